/** Runs the warm-up on the synthetic host, with the shipped workload and metrics. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { run } from "@llem/sdk/testing";

const warmup = fileURLToPath(new URL(".", import.meta.url));

test("equal times are steady after the window", () => {
  const result = run({ warmup }, { parameters: { requests: 2, window: 4 } });
  assert.equal(result.status, "completed", result.error);
  // Equal requests take equal times on the synthetic host.
  assert.equal(result.warmupRequests.length, 4);
  assert.ok(result.log.some((line) => line.message === "warm: steady after 4 runs"));
  assert.equal(result.requests.length, 2);
});
