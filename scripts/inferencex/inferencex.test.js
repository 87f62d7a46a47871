/** The sweep on the synthetic host, whose times and joules are given, and its parts without a host. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { Quantity } from "@llem/sdk";
import { populationStandardDeviation } from "@llem/sdk/statistics";
import { run } from "@llem/sdk/testing";

import { crossCheckAccumulator, integratePower, joulesPer } from "./aggregate_power.js";
import { statisticsOf } from "./benchmark_result.js";
import { drawLengths, parseSeqLens, rangeOf, seqLenName } from "./grid.js";
import { aggregatePower, gpusOf, samplesByGpu, telemetryCsv } from "./power_files.js";
import { paretoFront, processResult } from "./process_result.js";

const project = fileURLToPath(new URL(".", import.meta.url));

/** A prompt token takes 1 ms and 0.5 J, a step 8 ms, a decoded token 2 J. The machine at rest takes 10 W. */
const host = {
  prefill_s_per_token: 1e-3,
  decode_s_per_step: 8e-3,
  idle_watts: 10,
  prefill_joules_per_token: 0.5,
  decode_joules_per_token: 2,
};

const close = (value, expected) => {
  assert.ok(Math.abs(value - expected) <= 1e-9 * Math.abs(expected), `${value}, not ${expected}`);
};

test("shapes have InferenceX's names, and lengths its range", () => {
  assert.deepEqual(parseSeqLens("1k1k,128_32"), [{ isl: 1024, osl: 1024 }, { isl: 128, osl: 32 }]);
  for (const wrong of ["", "2k2k", "128", "0_5", "128_32_1"]) assert.equal(parseSeqLens(wrong), undefined, wrong);
  assert.deepEqual([{ isl: 8192, osl: 1024 }, { isl: 5, osl: 6 }].map(seqLenName), ["8k1k", "5_6"]);
  assert.deepEqual(rangeOf(128, 0.8), [102, 128]);
  assert.deepEqual(rangeOf(128, 1), [128, 128]);
  // Both ends of the range are drawn.
  const shares = { manyF64: (count) => Array.from({ length: count }, (_, index) => [0, 0.5, 1 - 2 ** -53][index]) };
  assert.deepEqual(drawLengths(shares, 10, 0.8, 3), [8, 9, 10]);
});

test("statistics are numpy's", () => {
  const statistics = statisticsOf({ tpot: [0.004, 0.001, 0.003, 0.002] });
  const names = ["mean", "median", "std", "p90", "p99", "p99.9"].map((one) => `${one}_tpot_ms`);
  assert.deepEqual(Object.keys(statistics), names);
  // numpy.std([4, 1, 3, 2]), numpy.percentile([4, 1, 3, 2], [90, 99, 99.9]).
  close(statistics.std_tpot_ms, 1.118033988749895);
  close(statistics.p90_tpot_ms, 3.7);
  close(statistics.p99_tpot_ms, 3.9699999999999998);
  close(statistics["p99.9_tpot_ms"], 3.997);
  assert.equal(populationStandardDeviation([]), undefined);
});

test("throughputs are per GPU, and interactivity is the reciprocal of each statistic", () => {
  const result = { total_token_throughput: 100, output_throughput: 20, max_concurrency: 4 };
  const latencies = { mean_tpot_ms: 8, std_tpot_ms: 0, p99_tpot_ms: 10, mean_ttft_ms: 250 };
  const agg = processResult({ ...result, ...latencies }, { hw: "x" }, { numGpus: 2, numDevices: 2 });
  assert.deepEqual([agg.tput_per_gpu, agg.output_tput_per_gpu, agg.input_tput_per_gpu], [50, 10, 40]);
  assert.deepEqual([agg.mean_intvty, agg.p99_intvty, agg.mean_tpot, agg.mean_ttft], [125, 100, 0.008, 0.25]);
  // The tool divides by zero here.
  assert.equal(agg.std_intvty, null);
  const onCpu = processResult(result, {}, { numGpus: 0, numDevices: 1 });
  assert.deepEqual([onCpu.tput_per_gpu, onCpu.tput_per_device], [null, 100]);
});

test("the Pareto front has the points that no other dominates", () => {
  const points = [[10, 1], [8, 3], [7, 2], [5, 5], [5, 4], [null, 9]].map(([x, y]) => ({ x, y }));
  assert.deepEqual(paretoFront(points), [true, true, false, true, false, false]);
});

test("power is integrated with interpolated edges", () => {
  // 100 W until 2 s, then 200 W at 4 s: at 1 s 100 W, at 3 s 150 W.
  const samples = { 0: [[0, 100], [2, 100], [4, 200]] };
  const valid = integratePower(samples, { start: 1, end: 3, expected: 1 });
  assert.deepEqual(valid.reasons, []);
  close(valid.total_gpu_energy_j, 100 + 125);
  close(valid.avg_power_w, 112.5);
  const reasonsOf = (byGpu, window) => integratePower(byGpu, { expected: 1, ...window }).reasons;
  assert.deepEqual(reasonsOf(samples, { start: 1, end: 5 }), ["benchmark_window_not_bracketed"]);
  assert.deepEqual(reasonsOf({ 0: [[0, 1], [3.5, 1]] }, { start: 1, end: 3 }), ["sampling_gap_exceeded"]);
  assert.deepEqual(reasonsOf(samples, { start: 1, end: 3, expected: 2 }), ["expected_gpu_count_mismatch"]);
  assert.deepEqual(reasonsOf({}, { start: 1, end: 3 }), ["telemetry_file_missing"]);
  const per = joulesPer(225, { completed: 5, totalInput: 45, totalOutput: 15 });
  assert.deepEqual(Object.values(per), [45, 5, 15, 3.75]);
});

test("the power of the GPUs that hold the model becomes the fields of a point", () => {
  const gpus = gpusOf({ ranks: [{ device: "cuda:0" }, { device: "cuda:2" }, { device: "cuda:2" }] });
  assert.deepEqual(gpus, ["0", "2"]);
  assert.deepEqual(gpusOf({ ranks: [{ device: "cpu" }] }), []);
  // 100 W on GPU 0, 200 W on GPU 2, each within 5 W; GPU 1 has no part of the model.
  const sample = (second, gpu) => {
    const power = new Quantity(100 + 50 * gpu, 5, "W", "nvml-power");
    return { at: second * 1e9, device: `cuda:${gpu}`, domain: "gpu", power };
  };
  const timeline = [0, 1, 2, 3].flatMap((second) => [0, 1, 2].map((gpu) => sample(second, gpu)));
  const samples = samplesByGpu(timeline, gpus, 1000);
  assert.deepEqual(Object.keys(samples.power), ["0", "2"]);
  assert.equal(telemetryCsv(samples).split("\n")[1], "1000, 0, 100 W");
  const energy = [["cuda:0", 310], ["cuda:2", 590]].map(([device, joules]) => {
    return { device, domain: "gpu", energy: new Quantity(joules, 1, "J", "nvml-counter") };
  });
  const result = { benchmark_start_time_unix: 1000.5, benchmark_end_time_unix: 1002.5, duration: 2, completed: 4 };
  const tokens = { total_input_tokens: 60, total_output_tokens: 20 };
  const power = aggregatePower({ name: "x", result: { ...result, ...tokens }, samples, monitored: { energy }, gpus });
  assert.deepEqual([power.valid, power.fields.power_valid, power.validation.reasons], [true, 1, []]);
  const { total_gpu_energy_j: joules, avg_power_w: watts, joules_per_output_token: each } = power.fields;
  assert.deepEqual([joules, watts, each, power.fields.joules_per_total_token], [600, 150, 30, 7.5]);
  // Two GPUs, 2 s, 5 W each.
  assert.deepEqual([power.gpu.value, power.gpu.uncertainty, power.gpu.source], [600, 20, "nvml-power"]);
  assert.deepEqual(power.validation.accumulator_check.per_gpu_delta_j, { 0: 310, 2: 590 });
  assert.equal(power.validation.accumulator_check.integrated_stream_j, 900);
  assert.equal(power.validation.accumulator_check.within_tolerance, true);
});

test("the counter is compared with all samples, with a tolerance of 5 %", () => {
  const samples = { 0: [[0, 100], [10, 100]] };
  const check = crossCheckAccumulator(samples, { 0: 1040 });
  close(check.relative_error, 40 / 1040);
  assert.equal(check.within_tolerance, true);
  assert.equal(crossCheckAccumulator(samples, { 0: 1100 }).within_tolerance, false);
  assert.equal(crossCheckAccumulator(samples, {}), null);
});

test("a point runs its warm-up and its requests, some at a time", () => {
  const parameters = { "seq-lens": "10_5", conc: "2", "random-range-ratio": 1, "num-prompts": 4 };
  const result = run(project, { parameters, host });
  assert.equal(result.status, "completed", result.error);
  assert.equal(result.warmupRequests.length, 4);
  assert.deepEqual(result.requests.map((one) => [one.promptTokens, one.outputTokens]), Array(4).fill([10, 5]));
  // Twice: two prompts in one pass of 20 ms, then four steps of 8 ms.
  const seconds = 2 * (0.02 + 4 * 0.008);
  const value = (name) => result.metric(name).value;
  close(value("tput_per_device"), 60 / seconds);
  close(value("output_tput_per_device"), 20 / seconds);
  close(value("median_intvty"), 125);
  close(value("median_ttft"), 0.02);
  const joules = 10 * seconds + 40 * 0.5 + 16 * 2;
  close(value("total_cpu_energy_j"), joules);
  close(value("cpu_joules_per_output_token"), joules / 20);
  assert.deepEqual([...result.metrics("tput_per_gpu"), ...result.metrics("total_gpu_energy_j")], []);
  assert.ok(result.warnings.some((warning) => warning.includes("the model is not on a GPU")));
});

test("a run that requires power fails without a GPU", () => {
  const result = run(project, { parameters: { "seq-lens": "4_2", conc: "1", "require-power": true }, host });
  assert.equal(result.status, "failed");
  assert.match(result.error, /require-power is set/);
});
