/** Runs the experiment on the synthetic host: no model, and times and joules that are known beforehand. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { run } from "@llem/sdk/testing";

const project = fileURLToPath(new URL(".", import.meta.url));

test("every prompt is measured", () => {
  const result = run(project, { parameters: { prompts: 3 } });
  assert.equal(result.status, "completed", result.error);
  assert.deepEqual(result.requests.map((request) => request.outputTokens), [16, 16, 16]);
  // A step of decode takes 5 ms on the synthetic host.
  assert.ok(Math.abs(result.metric("decode_rate").value - 200) < 1e-9);
  assert.ok(result.metric("joules_per_output_token").value > 0);
});
