/** Runs the metrics on the synthetic host, with the shipped warm-up and workload. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { run } from "@llem/sdk/testing";

const metrics = fileURLToPath(new URL(".", import.meta.url));

test("percentiles of equal latencies are the latency", () => {
  const result = run({ metrics }, { parameters: { requests: 2, "new-tokens": 8 } });
  assert.equal(result.status, "completed", result.error);
  // A step of decode takes 5 ms on the synthetic host.
  for (const name of ["itl_p50", "itl_p99"]) {
    const { value, unit } = result.metric(name);
    assert.ok(Math.abs(value - 5e-3) < 1e-12 && unit === "s", `${name}: ${value} ${unit}`);
  }
});
