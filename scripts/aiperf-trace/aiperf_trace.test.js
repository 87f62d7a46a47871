/** The experiment on the synthetic host, whose times are given, and its parts without a host. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { run } from "@llem/sdk/testing";

import { isGood, metricsOf, slosOf, statisticsOf } from "./metrics.js";
import { PromptMaker, blockSizes, entryOf, select } from "./trace.js";

const project = fileURLToPath(new URL(".", import.meta.url));

const close = (value, expected) =>
  assert.ok(Math.abs(value - expected) <= 1e-9 * Math.abs(expected), `${value}, not ${expected}`);
const entry = (row) => entryOf((name) => row[name], 0);

test("statistics are numpy's, with the population standard deviation", () => {
  const found = statisticsOf([4, 1, 3, 2], 10);
  close(found.avg, 25);
  close(found.p90, 37);
  close(found.p25, 17.5);
  close(found.std, 11.180339887498949);
  assert.deepEqual([found.min, found.max, found.sum, found.count], [10, 40, 100, 4]);
});

test("latencies are AIPerf's, and a request of one token has no inter-token latency", () => {
  const ms = 1e6;
  const requests = [
    { start: 0, tokens: [10 * ms, 30 * ms, 40 * ms], isl: 20 },
    { start: 50 * ms, tokens: [100 * ms], isl: 5 },
  ];
  const metrics = metricsOf(requests, { time_to_first_token: 20 });
  const avg = (tag) => metrics.get(tag).avg;
  close(avg("time_to_first_token"), 30);
  close(avg("time_to_second_token"), 20);
  close(avg("inter_token_latency"), 15);
  assert.equal(metrics.get("inter_token_latency").count, 1);
  close(avg("inter_chunk_latency"), 15);
  close(avg("output_token_throughput_per_user"), 1 / 0.015);
  close(avg("prefill_throughput_per_user"), (20 / 0.01 + 5 / 0.05) / 2);
  close(avg("benchmark_duration"), 0.1);
  close(avg("output_token_throughput"), 40);
  close(avg("goodput"), 10);
  // Per token the requests take 40 / 3 and 50 ms; the 90th percentile lies between them.
  close(avg("e2e_normalized_interactivity_p90"), 1000 / (40 / 3 + 0.9 * (50 - 40 / 3)));
});

test("a limit of what should be high is a lowest value, and what a request lacks is not met", () => {
  const request = { start: 0, tokens: [10e6, 20e6], isl: 4 };
  assert.ok(isGood(request, { output_token_throughput_per_user: 100, request_latency: 20 }));
  assert.ok(!isGood(request, { output_token_throughput_per_user: 101 }));
  assert.ok(!isGood({ ...request, tokens: [10e6] }, { inter_token_latency: 1000 }));
  assert.deepEqual(slosOf(" request_latency:250  inter_token_latency:10"), {
    request_latency: 250,
    inter_token_latency: 10,
  });
  assert.equal(slosOf("latency:3"), undefined);
});

test("blocks of equal ids are equal tokens, and only the last one may be cut", () => {
  assert.deepEqual(blockSizes({ inputLength: 20, hashIds: [1, 2] }, 8), { sizes: [8, 8], rest: 4 });
  assert.deepEqual(blockSizes({ inputLength: 13, hashIds: [1, 2] }, 8), { sizes: [8, 5], rest: 0 });
  assert.throws(() => blockSizes({ inputLength: 8, hashIds: [1, 2] }, 8), /isl-block-size/);
  let drawn = 0;
  const maker = new PromptMaker(4, (_, count) => Array.from({ length: count }, () => (drawn += 1)));
  const [one, other] = [
    maker.tokens({ inputLength: 10, hashIds: [7, 8] }),
    maker.tokens({ inputLength: 6, hashIds: [7, 9] }),
  ];
  assert.deepEqual(one.slice(0, 4), other.slice(0, 4));
  assert.equal(new Set([...one, ...other]).size, 10 + 6 - 4);
  assert.throws(() => maker.tokens({ inputLength: 3, hashIds: [7] }), /hash id 7 stands for 4 tokens and for 3/);
});

test("rows are refused with their number, and selected by time and length", () => {
  assert.throws(() => entry({ input_length: 3 }), /row 0: it has no timestamp/);
  assert.throws(() => entry({ timestamp: 1, input_length: 3, text_input: "a" }), /either input_length or text_input/);
  assert.throws(() => entry({ timestamp: 1, input_length: 3, hash_ids: "1;2" }), /hash_ids is 1;2/);
  const fromCsv = entry({ timestamp: "1", input_length: "20", output_length: "", hash_ids: "[1, 2]", text_input: "" });
  assert.deepEqual(fromCsv, {
    timestamp: 1,
    inputLength: 20,
    text: undefined,
    outputLength: undefined,
    hashIds: [1, 2],
  });
  assert.throws(() => entry({ timestamp: 1, session_id: "a", input_length: 3 }), /session_id/);
  const rows = [1000, 1500, 2000].map((timestamp) => entry({ timestamp, input_length: 5, output_length: 9 }));
  const selected = select(rows, { start: 1000, end: 1500, maxOsl: 4, speedup: 3 });
  assert.deepEqual(
    selected.map((one) => [one.timestamp, one.outputLength]),
    [
      [333, 4],
      [500, 4],
    ],
  );
});

test("a granted trace is replayed at its times", () => {
  const folder = mkdtempSync(join(tmpdir(), "trace-"));
  try {
    const trace = join(folder, "trace.jsonl");
    const rows = [
      { timestamp: 1000, input_length: 10, output_length: 3, hash_ids: [0, 1] },
      { timestamp: 1100, input_length: 16, output_length: 2, hash_ids: [0, 2, 3, 4] },
      { timestamp: 1400, input_length: 6 },
    ];
    writeFileSync(trace, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
    const parameters = {
      "isl-block-size": 4,
      "synthesis-speedup-ratio": 2,
      "fixed-schedule-auto-offset": true,
      "output-tokens-mean": 5,
    };
    const host = { prefill_s_per_token: 1e-3, decode_s_per_step: 8e-3 };
    const result = run(project, { parameters, host, datasets: { trace } });
    assert.equal(result.status, "completed", result.error);
    const [first] = result.requests;
    const sent = result.requests.map(({ submitted, promptTokens, outputTokens }) => [
      submitted - first.submitted,
      promptTokens,
      outputTokens,
    ]);
    assert.deepEqual(sent, [
      [0, 10, 3],
      [50e6, 16, 2],
      [200e6, 6, 5],
    ]);
    const metric = (name, statistic) =>
      result.record.metrics.find((one) => one.name === name && one.labels.statistic === statistic).quantity.value;
    close(metric("time_to_first_token", "avg"), (10 + 16 + 6) / 3);
    close(metric("inter_token_latency", "p99"), 8);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
