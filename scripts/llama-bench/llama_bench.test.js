/** The experiment on the synthetic host, whose times are given, and its parts without a host. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { run } from "@llem/sdk/testing";

import { resultOf } from "./results.js";
import { nameOf, parsePairs, parseRange, testsOf } from "./tests.js";

const project = fileURLToPath(new URL(".", import.meta.url));

/** A prompt token takes 1 ms and a step of generation 8 ms, whatever else happens. */
const host = { prefill_s_per_token: 1e-3, decode_s_per_step: 8e-3 };

const close = (value, expected) => assert.ok(Math.abs(value - expected) < 1e-9 * expected, `${value}, not ${expected}`);

test("ranges and pairs are llama-bench's", () => {
  assert.deepEqual(parseRange("512"), [512]);
  assert.deepEqual(parseRange("0,1-9+4,128-1024*2"), [0, 1, 5, 9, 128, 256, 512, 1024]);
  for (const wrong of ["", "1-", "-1", "1.5", "1-4*1", "1-4+0", "a"]) assert.equal(parseRange(wrong), undefined, wrong);
  assert.deepEqual(parsePairs("512,128;1024,64"), [[512, 128], [1024, 64]]);
  assert.deepEqual(parsePairs(""), []);
  for (const wrong of ["512", "512,128,1", "a,b"]) assert.equal(parsePairs(wrong), undefined, wrong);
});

test("tests come in llama-bench's order, by depth", () => {
  const tests = testsOf({ prompts: [0, 512], generations: [128], pairs: [[64, 16]], depths: [0, 256] });
  const names = ["pp512", "tg128", "pp64+tg16", "pp512 @ d256", "tg128 @ d256", "pp64+tg16 @ d256"];
  assert.deepEqual(tests.map(nameOf), names);
});

test("the rate is the mean of the repetitions' rates, with the sample standard deviation", () => {
  const result = resultOf({ prompt: 10, generation: 0, depth: 0 }, [1e9, 2e9]);
  assert.deepEqual(result.samples_ts, [10, 5]);
  assert.deepEqual([result.avg_ts, result.avg_ns], [7.5, 1.5e9]);
  close(result.stddev_ts, Math.sqrt(12.5));
  close(result.stddev_ns, Math.floor(Math.sqrt(0.5) * 1e9));
});

test("each test runs the tokens that its name says, and times only these", () => {
  const parameters = { "n-prompt": "100", "n-gen": "10", pg: "50,5", "n-depth": "0,30", repetitions: 2 };
  const result = run(project, { parameters, host });
  assert.equal(result.status, "completed", result.error);
  const rates = { pp100: 100 / 0.1, tg10: 10 / (1e-3 + 9 * 8e-3), "pp50+tg5": 55 / (50e-3 + 5 * 8e-3) };
  const measured = result.metrics("avg_ts");
  assert.equal(measured.length, 6);
  for (const { labels, value } of measured) close(value, rates[labels.test.split(" @ ")[0]]);
  // The warm-up is the whole prompt and one token of generation, at no depth.
  const warmups = result.warmupRequests.map(({ promptTokens, outputTokens }) => [promptTokens, outputTokens]);
  assert.deepEqual(warmups, Array(2).fill([[100, 0], [1, 1], [50, 0], [1, 1]]).flat());
});

test("a list that cannot be read is refused with its name", () => {
  const result = run(project, { parameters: { "n-prompt": "many" } });
  assert.equal(result.status, "failed");
  assert.match(result.error, /n-prompt is 'many'/);
});
