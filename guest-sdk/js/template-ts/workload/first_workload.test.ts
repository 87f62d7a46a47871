/** Runs the workload on the synthetic host, with the shipped warm-up and metrics. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { run } from "@llem/sdk/testing";

const workload = fileURLToPath(new URL(".", import.meta.url));

function arrivals(seed: number): number[] {
  const result = run({ workload }, { parameters: { requests: 5 }, seed });
  assert.equal(result.status, "completed", result.error);
  return result.requests.map((request) => request.submitted).sort((one, other) => one - other);
}

test("requests arrive at times of the seed", () => {
  const times = arrivals(1);
  assert.equal(new Set(times).size, 5);
  assert.deepEqual(times, arrivals(1));
  assert.notDeepEqual(times, arrivals(2));
});
