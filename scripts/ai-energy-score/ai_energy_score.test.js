/** Both protocols on the synthetic host, whose times and joules are given, and their parts without a host. */

import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { Quantity, Unavailable } from "@llem/sdk";
import { run } from "@llem/sdk/testing";

import { energiesOf, meanOf, minus, plus } from "./energies.js";
import { bytesOf, isReasoning } from "./prompts.js";
import { COLUMNS, aggregateRow, csvOf, fixed, gpuSummary } from "./result_files.js";
import { summaryOf } from "./single_prompts.js";
import { parseScores, starsOf } from "./stars.js";

const project = fileURLToPath(new URL(".", import.meta.url));

/** A prompt token takes 1 ms and 0.5 J, a step 8 ms, and each token of it 2 J. */
const host = {
  prefill_s_per_token: 1e-3,
  decode_s_per_step: 8e-3,
  idle_watts: 0,
  prefill_joules_per_token: 0.5,
  decode_joules_per_token: 2,
};

const close = (value, expected) =>
  assert.ok(Math.abs(value - expected) <= 1e-9 * Math.abs(expected), `${value}, not ${expected}`);

/** Makes a file of prompts of 10 bytes each, which are 10 tokens of the default model. */
function promptsOf(number) {
  const file = join(mkdtempSync(join(tmpdir(), "llem-test-")), "prompts.jsonl");
  const rows = Array.from({ length: number }, (_, index) => JSON.stringify({ text: `prompt ${String(index).padStart(3, "0")}` }));
  writeFileSync(file, rows.join("\n"));
  return { prompts: file };
}

test("version 1 has a prefill pass and a generate pass over all samples, and decode is the difference", () => {
  const parameters = { protocol: "v1", runs: 2, "max-new-tokens": 5, "warmup-runs": 3, "num-samples": 4 };
  const result = run(project, { parameters, host, datasets: promptsOf(6) });
  assert.equal(result.status, "completed", result.error);
  const asked = result.requests.map(({ promptTokens, outputTokens }) => [promptTokens, outputTokens]);
  assert.deepEqual(asked, Array(2).fill([...Array(4).fill([10, 1]), ...Array(4).fill([10, 5])]).flat());
  const warmups = result.warmupRequests.map(({ outputTokens }) => outputTokens);
  assert.deepEqual(warmups, Array(2).fill([5, 2, 2, 2]).flat());
  // 40 prompt tokens in each pass, then 16 tokens of steps.
  close(result.metric("cpu_prefill_wh").value, 20 / 3600);
  close(result.metric("cpu_decode_wh").value, 32 / 3600);
  close(result.metric("cpu_wh_per_1000_queries").value, (52 / 3600 / 4) * 1000);
  // There is no GPU: no score, and nothing is zero.
  assert.equal(result.metrics("wh_per_1000_queries").length, 0);
  assert.ok(result.warnings.some((warning) => warning.includes("no score")));
});

test("version 2 runs single prompts in one window", () => {
  const parameters = { runs: 1, "num-samples": 3, "carbon-intensity": 400 };
  const result = run(project, { parameters, host, datasets: promptsOf(3) });
  assert.equal(result.status, "completed", result.error);
  assert.equal(result.requests.length, 3);
  assert.equal(result.warmupRequests.length, 0);
  const completion = result.requests.reduce((sum, { outputTokens }) => sum + outputTokens, 0);
  const joules = 30 * 0.5 + (completion - 3) * 2;
  close(result.metric("total_energy_wh").value, joules / 3600);
  close(result.metric("cpu_wh_per_1000_queries").value, (joules / 3600 / 3) * 1000);
  close(result.metric("measured_time_to_first_token").value, 0.01);
  const seconds = 30 * 1e-3 + (completion - 3) * 8e-3;
  close(result.metric("throughput_tokens_per_second").value, (30 + completion) / seconds);
  const [{ columns, rows }] = result.record.tables.filter(({ name }) => name === "master_results");
  const cells = Object.fromEntries(rows[0].map((cell, index) => [columns[index], cell]));
  assert.deepEqual(columns, COLUMNS);
  assert.deepEqual([cells.total_prompts, cells.gpu_energy_wh, cells.reasoning_state], ["3", "", "Off"]);
  assert.equal(cells.total_completion_tokens, String(completion));
  assert.equal(cells.co2_emissions_g, ((joules / 3.6e6) * 400).toFixed(4));
});

test("the longest output depends on reasoning, by the benchmark's rule", () => {
  for (const off of [{}, { enable_thinking: false }, { reasoning: false }, { reasoning_effort: "off" }]) {
    assert.equal(isReasoning(off), false, JSON.stringify(off));
  }
  for (const on of [{ enable_thinking: true }, { reasoning_effort: "high" }, { cot_depth: 3 }]) {
    assert.equal(isReasoning(on), true, JSON.stringify(on));
  }
});

test("a run without a protocol of that name is refused", () => {
  const result = run(project, { parameters: { protocol: "v3" } });
  assert.deepEqual([result.status, /set it to v1 or v2/.test(result.error)], ["failed", true]);
});

test("stars cut the range of scores into five equal parts", () => {
  // The range is 0 to 100 in the first column of each pair.
  const range = [1, 101];
  const stars = [1, 20.9, 21, 41, 61, 80.9, 81, 101].map((score) => starsOf(score, range));
  assert.deepEqual(stars, [5, 5, 4, 3, 2, 2, 1, 1]);
  // A score outside widens the range.
  assert.equal(starsOf(0.5, range), 5);
  assert.equal(starsOf(200, range), 1);
  assert.equal(starsOf(3, []), undefined);
  assert.deepEqual(parseScores(" 0.5, 2"), [0.5, 2]);
  assert.deepEqual(parseScores(""), []);
  for (const wrong of ["1,,2", "0", "-1", "one"]) assert.equal(parseScores(wrong), undefined, wrong);
});

const wh = (value) => new Quantity(value, 0.1, "W.h", "nvml-counter");

/** Returns energies of a run on a GPU, with a CPU that is not measured. */
function onGpu(value) {
  const missing = new Unavailable("no counter");
  return { cpu: missing, ram: missing, gpu: wh(value), total: wh(value) };
}

test("energies of a window are those of the devices that held the model", () => {
  const joules = (value) => new Quantity(value, 1, "J", "rapl");
  const energy = [
    { device: "cpu", domain: "package-0", energy: joules(3600) },
    { device: "cpu", domain: "dram-0", energy: joules(360) },
    { device: "cuda:0", domain: "gpu", energy: joules(7200) },
    { device: "cuda:1", domain: "gpu", energy: joules(99) },
  ];
  const energyCovers = energy.slice(0, 3).map(({ device, domain }) => ({ device, domain }));
  const measurement = { energy, energyCovers, energyAccelerators: joules(7200), energyTotal: joules(11160) };
  const { cpu, ram, gpu, total } = energiesOf(measurement);
  assert.deepEqual([cpu, ram, gpu, total].map(({ value }) => value), [1, 0.1, 2, 3.1]);
  assert.equal(energiesOf({ ...measurement, energyCovers: [] }).gpu.reason, "no GPU held the model");
});

test("what is missing in one energy is missing in sums, differences and means", () => {
  const whole = plus(onGpu(2), onGpu(3));
  assert.equal(whole.gpu.value, 5);
  assert.equal(whole.cpu.reason, "no counter");
  assert.equal(minus(onGpu(2), onGpu(3)).gpu.value, -1);
  assert.equal(meanOf([onGpu(2), onGpu(4)]).gpu.value, 3);
  assert.equal(meanOf([onGpu(2), { ...onGpu(4), gpu: new Unavailable("lost") }]).gpu.reason, "lost");
});

test("the summary has two decimals, and with the newer format all energy is under decode", () => {
  const phases = { preprocess: onGpu(0.004), prefill: onGpu(1.006), decode: onGpu(2.25), total: onGpu(3.26) };
  const expected = { units: "Wh", total: 3.26, format: "optimum", preprocess_wh: 0, prefill_wh: 1.01, decode_wh: 2.25 };
  assert.deepEqual(gpuSummary(phases, "optimum"), expected);
  const whole = gpuSummary({ preprocess: {}, prefill: {}, decode: onGpu(1.23456), total: onGpu(1.23456) }, "ai_energy_benchmarks");
  assert.deepEqual([whole.total, whole.decode_wh, whole.prefill_wh], [1.23456, 1.23, null]);
});

test("a row of the CSV has the aggregator's digits and its words about failures", () => {
  const results = [
    { latency: 2, measuredTtft: 0.5, promptTokens: 10, completionTokens: 10 },
    { latency: 4, measuredTtft: 0.7, promptTokens: 20, completionTokens: 5 },
    { error: "too long" },
  ];
  const summary = summaryOf(results, 8.01);
  // The runner estimates the time to first token from the number of tokens: 2 / 10 and 4 / 5 s.
  close(summary.avg_time_to_first_token, 0.5);
  close(summary.measured_time_to_first_token, 0.6);
  const row = aggregateRow(summary, { model_name: "a,b", gpuWh: 25.4, co2: null, timestamp: "now" });
  const cells = Object.fromEntries(row.map((cell, index) => [COLUMNS[index], cell]));
  assert.equal(cells.total_duration_seconds, "8.01");
  assert.equal(cells.avg_total_time, "3.0000");
  assert.equal(cells.throughput_tokens_per_second, "5.62");
  assert.equal(cells.wh_per_1000_queries, "12700.0000");
  assert.equal(cells.tokens_per_joule, (45 / (25.4 * 3600)).toFixed(4));
  assert.equal(cells.co2_emissions_g, "");
  assert.match(cells.error_message, /^PARTIAL FAILURE: 1\/3 prompts failed \(33\.3%\) - WARNING/);
  assert.ok(csvOf([row]).includes('"a,b"'));
});

test("numbers halfway between two go to the even one", () => {
  // f"{value:.2f}" in Python.
  const expected = [[5.625, "5.62"], [0.375, "0.38"], [1.005, "1.00"], [2.675, "2.67"], [0, "0.00"], [-0.125, "-0.12"]];
  for (const [value, text] of expected) assert.equal(fixed(value, 2), text);
  assert.equal(fixed(6.25, 1), "6.2");
  assert.equal(fixed(null, 2), "");
});

test("texts become bytes", () => {
  assert.deepEqual(bytesOf("a%é"), [97, 37, 0xc3, 0xa9]);
});
