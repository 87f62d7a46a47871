/** The experiment on the synthetic host, whose times are given, and its parts without a host. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { run } from "@llem/sdk/testing";

import { concurrencyOverTime, rateOverTime, summary } from "./distributions.js";
import { measuredPart, transientOf } from "./phases.js";
import { PythonRandom, lengthsOf } from "./python_random.js";
import { RequestStats, isConforming } from "./request_stats.js";
import { constant, concurrent, linspace, throughput } from "./strategies.js";

const project = fileURLToPath(new URL(".", import.meta.url));

/** A prompt token takes 1 ms and a step of generation 8 ms, whatever else happens. */
const host = { prefill_s_per_token: 1e-3, decode_s_per_step: 8e-3 };

const close = (value, expected) =>
  assert.ok(Math.abs(value - expected) <= 1e-9 * Math.abs(expected), `${value}, not ${expected}`);

test("random numbers are Python's", () => {
  const random = new PythonRandom(42);
  assert.deepEqual([random.random(), random.random()], [0.6394267984578837, 0.025010755222666936]);
  close(new PythonRandom(42).expovariate(3.7), 0.27569196953373);
  const draw = lengthsOf({ average: 64, stdev: 9 }, 42);
  assert.deepEqual([draw(), draw(), draw(), draw()], [63, 62, 63, 70]);
});

test("summaries are guidellm's: percentiles are values, weights count", () => {
  const one = summary([
    [1, 1],
    [2, 1],
    [10, 2],
  ]);
  close(one.mean, 5.75);
  close(one.variance, 18.1875);
  assert.deepEqual([one.median, one.mode, one.percentiles.p25, one.count, one.total_sum], [2, 10, 1, 4, 23]);
  assert.equal(summary([]).mean, 0);
  const { mean_ci: ci, percentile_cis: cis } = summary(
    [1, 2, 3, 4, 5, 6].map((value) => [value, 1]),
    { confidence: 0.95 },
  );
  close(ci.lower, 1.5366856930200978);
  assert.deepEqual([cis.p50, cis.p95], [{ lower: 1, upper: 6 }, null]);
});

test("rates are events over half of the time to their neighbours", () => {
  const rate = rateOverTime(
    [
      [1, 1],
      [2, 1],
      [4, 1],
    ],
    [0, 4],
  );
  close(rate.mean, 3 / 4);
  assert.equal(rate.count, 3);
  // Half a second before the first event nothing happens: the rate is 0 there.
  assert.equal(rate.min, 0);
});

test("concurrency is weighted by time", () => {
  const { mean, max, median } = concurrencyOverTime(
    [
      [0, 4, 1],
      [1, 3, 1],
    ],
    [0, 4],
  );
  assert.deepEqual([mean, max, median], [1.5, 2, 1]);
});

test("targets of strategies are guidellm's", () => {
  const draw = (strategy, count) => Array.from({ length: count }, () => strategy.next());
  assert.deepEqual(draw(constant(4), 3), [0.25, 0.5, 0.75]);
  assert.deepEqual(draw(constant(2, undefined, 4), 6), [0, Math.sqrt(8), Math.sqrt(12), 4, 4.5, 5]);
  assert.deepEqual(draw(throughput(4, 2), 5), [0.5, 1, 1.5, 2, 2]);
  assert.deepEqual(draw(concurrent(4, 2), 5), [0.5, 1, 1.5, 0, 0]);
  assert.deepEqual(linspace(1, 4, 4), [1, 2, 3, 4]);
});

test("phases leave out seconds, shares and requests", () => {
  const requests = [0, 1, 2, 3, 4, 5].map((at) => ({ start: at, first: at + 0.5, end: at + 1 }));
  const part = (number, mode, limits) => {
    const phase = transientOf(number, mode);
    return Object.values(measuredPart(requests, { start: 0, stop: 6, ...limits }, phase, phase));
  };
  assert.deepEqual(part(0, "prefer_duration", { maxRequests: 6 }), [0, 6]);
  assert.deepEqual(part(0.1, "prefer_duration", { maxSeconds: 10 }), [1, 9]);
  // Two have ended when the second one starts and reports; the fourth leaves two.
  assert.deepEqual(part(1, "requests", { maxRequests: 6 }), [2, 4]);
});

test("a time of an output token has the first one in it, and objectives need their latencies", () => {
  const record = {
    index: 0,
    status: "successful",
    targeted: 1,
    start: 1.5,
    tokens: [2, 2.5, 3],
    end: 3,
    resolveEnd: 3,
    promptTokens: 7,
  };
  const one = new RequestStats(record);
  assert.deepEqual([one.latency, one.ttft, one.tpot, one.itl, one.dispatchDelay], [1.5, 500, 500, 500, 0.5]);
  assert.deepEqual(one.outputTimings, [
    [2, 1],
    [2.5, 1],
    [3, 1],
  ]);
  assert.equal(isConforming({ ttft: 500, e2el: 1499 }, one), false);
  assert.equal(isConforming({ tpot: 1 }, new RequestStats({ ...record, tokens: [2] })), undefined);
});

test("a sweep runs its rates between the slowest and the fastest", () => {
  const parameters = { "sweep-size": 4, "max-requests": 6, "prompt-tokens": 10, "output-tokens": 5 };
  const result = run(project, { parameters, host });
  assert.equal(result.status, "completed", result.error);
  const labels = [...new Set(result.requests.map(({ label }) => label))];
  const of = (name, statistic, strategy) =>
    result.record.metrics.find(
      (one) => one.name === name && one.labels.statistic === statistic && one.labels.strategy === strategy,
    ).quantity.value;
  const [slow, fast] = labels.slice(0, 2).map((label) => of("requests_per_second", "mean", label));
  assert.deepEqual(labels, [
    "synchronous",
    "throughput@512",
    ...[(slow + fast) / 2, fast].map((rate) => `constant@${rate.toFixed(2)}`),
  ]);
  // A request alone takes 10 ms of prefill and four steps.
  close(of("request_latency", "median", "synchronous"), 0.042);
  close(of("time_to_first_token_ms", "mean", "synchronous"), 10);
  close(of("inter_token_latency_ms", "mean", "synchronous"), 8);
  close(of("time_per_output_token_ms", "mean", "synchronous"), 42 / 5);
});

test("a profile without its numbers is refused with the parameter's name", () => {
  const result = run(project, { parameters: { profile: "constant" } });
  assert.equal(result.status, "failed");
  assert.match(result.error, /rate is ''/);
});
