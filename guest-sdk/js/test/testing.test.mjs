// The testing module on the synthetic host, with components of the templates.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

import { run } from "@llem/sdk/testing";

const options = { skip: process.env.LLEM ? false : "LLEM names no llem" };
const folder = mkdtempSync(join(tmpdir(), "llem-js-"));
after(() => rmSync(folder, { recursive: true }));

/** Builds the template of a world and returns the component's path. */
function build(world) {
  const component = join(folder, `${world}.wasm`);
  const source = `template-ts/${world}/first_${world}.ts`;
  const given = ["node_modules/@llem/sdk/build.mjs", source, "--world", world, "-o", component];
  const { status, stderr } = spawnSync(process.execPath, given, { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  return component;
}

test("times, joules and requests of an experiment are the synthetic host's", options, () => {
  const experiment = build("experiment");
  const result = run(experiment, { parameters: { prompts: 3 } });
  assert.equal(result.status, "completed", result.error);
  assert.deepEqual(result.requests.map(({ outputTokens }) => outputTokens), [16, 16, 16]);
  assert.equal(result.warmupRequests.length, 5);
  const rate = result.metric("decode_rate");
  assert.ok(Math.abs(rate.value - 200) < 1e-9 && rate.unit === "{token}/s", JSON.stringify(rate));
  assert.ok(result.metric("joules_per_output_token").value > 0);
  assert.ok(result.log.some(({ message }) => message === "warm: 5 runs"));
  assert.throws(() => result.metric("no_such"), /0 metrics are called 'no_such'/);
  const faster = run(experiment, { parameters: { prompts: 3 }, host: { decode_s_per_step: 2e-3 }, seed: 5 });
  assert.ok(Math.abs(faster.metric("decode_rate").value - 500) < 1e-9);
  assert.throws(() => run(experiment, { parameters: { unknown: 1 } }), /unknown/);
});

test("policies run with the shipped ones", options, () => {
  const [warmup, workload, metrics] = ["warmup", "workload", "metrics"].map(build);
  const warmed = run({ warmup }, { parameters: { requests: 2, window: 4 } });
  assert.equal(warmed.status, "completed", warmed.error);
  assert.equal(warmed.warmupRequests.length, 4);
  const arrivals = (seed) => {
    const { requests, status, error } = run({ workload }, { parameters: { requests: 5 }, seed });
    assert.equal(status, "completed", error);
    return requests.map(({ submitted }) => submitted).sort((one, other) => one - other);
  };
  assert.equal(new Set(arrivals(1)).size, 5);
  assert.deepEqual(arrivals(1), arrivals(1));
  assert.notDeepEqual(arrivals(1), arrivals(2));
  const derived = run({ metrics }, { parameters: { requests: 2, "new-tokens": 8 } });
  for (const name of ["itl_p50", "itl_p99"]) assert.ok(Math.abs(derived.metric(name).value - 5e-3) < 1e-12, name);
});
