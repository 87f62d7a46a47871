/** The experiment on the synthetic host, whose times are given, and its parts without a host. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { run } from "@llem/sdk/testing";

import { type Implementation, countOf, decodePasses } from "./conventions.js";
import { familyOf } from "./families.js";
import type { Module, Operation } from "./modules.js";
import { numberToString } from "./profile_text.js";

const project = fileURLToPath(new URL(".", import.meta.url));

/** A prompt token takes 1 ms and a decode step 8 ms. */
const host = { prefill_s_per_token: 1e-3, decode_s_per_step: 8e-3 };

const close = (value: number, expected: number) =>
  assert.ok(Math.abs(value - expected) < 1e-9 * expected, `${value}, not ${expected}`);

const module = (operation: Operation): Module => ({ path: "m", className: "M", params: 0, operation });
const eager: Implementation = { attention: "eager", experts: "eager" };
const sdpa: Implementation = { attention: "sdpa", experts: "grouped_mm" };

/** Two sequences of 24 tokens; the expected numbers are those that the tools gave on a model with these sizes. */
const prompt = { batch: 2, tokens: 24, past: 0, logits: 24 };

test("each tool counts a module by its convention", () => {
  const attention = module({ kind: "attention", queries: 48, heads: 4, window: null });
  assert.deepEqual(countOf("deepspeed", attention, prompt, eager), { flops: 225792, macs: 110592 });
  assert.deepEqual(countOf("deepspeed", attention, prompt, sdpa), { flops: 221184, macs: 110592 });
  assert.deepEqual(countOf("calflops", attention, prompt, sdpa), { flops: 0, macs: 0 });
  assert.deepEqual(countOf("fvcore", attention, prompt, eager), { flops: 110592, macs: 110592 });
  assert.deepEqual(countOf("torch", attention, prompt, sdpa), { flops: 221184, macs: 110592 });
  const addmm = module({ kind: "addmm", weights: 48 * 144, outputs: 144 });
  assert.deepEqual(countOf("deepspeed", addmm, prompt, sdpa), { flops: 663696, macs: 331776 });
  const norm = module({ kind: "layer-norm", elements: 48 });
  assert.deepEqual(countOf("fvcore", norm, prompt, sdpa), { flops: 11520, macs: 0 });
  assert.deepEqual(countOf("torch", norm, prompt, sdpa), { flops: 0, macs: 0 });
  const silu = module({ kind: "activation", elements: 80, each: 1 });
  assert.deepEqual(countOf("deepspeed", silu, prompt, sdpa), { flops: 3840, macs: 0 });
  const experts = module({ kind: "experts", weights: 100 });
  assert.equal(countOf("torch", experts, prompt, sdpa).flops, 0);
  assert.equal(countOf("torch", experts, prompt, eager).flops, 2 * 48 * 100);
});

test("a decode step sees the cached keys, or those of the window", () => {
  const [step] = decodePasses(2, 24, 5);
  assert.deepEqual(decodePasses(2, 24, 5).map(({ past }) => past), [24, 25, 26, 27]);
  const attention = (window: number | null) => module({ kind: "attention", queries: 48, heads: 4, window });
  assert.ok(step);
  assert.deepEqual(countOf("deepspeed", attention(null), step, eager), { flops: 9800, macs: 4800 });
  assert.deepEqual(countOf("deepspeed", attention(8), step, eager), { flops: 3136, macs: 1536 });
});

test("numbers are written as DeepSpeed writes them", () => {
  const written = [0, 48, 999, 1000, 3279104, 452984832, 9.07e11, 1.5e12, 0.0428, 5e-7].map(numberToString);
  assert.deepEqual(written, ["0 ", "48 ", "999 ", "1 K", "3.28 M", "452.98 M", "907 G", "1.5 T", "42.8 m", "0.5 u"]);
});

test("an architecture that is not known has no family", () => {
  assert.equal(familyOf("MambaForCausalLM"), undefined);
});

test("the profile has the model's parameters, and rates of the given times", () => {
  const parameters = { "seq-len": 10, "new-tokens": 4, repetitions: 2 };
  const result = run(project, { parameters, host });
  assert.equal(result.status, "completed", result.error);
  const value = (name: string, labels: Record<string, string>) => {
    const found = result.metrics(name).find((metric) => {
      return Object.entries(labels).every(([key, text]) => metric.labels[key] === text);
    });
    assert.ok(found, `${name} ${JSON.stringify(labels)}`);
    return found.value;
  };
  // synthetic:tiny: 4 layers of 786432 weights and 2 norms of 256, a norm, a tied embedding of 512 x 256.
  assert.equal(result.metric("params").value, 4 * (786432 + 512) + 256 + 131072);
  const weights = 4 * 786432 + 131072;
  const attention = (tokens: number, keys: number) => 4 * 4 * tokens * keys * 256;
  const torch = 2 * 10 * weights + attention(10, 10);
  assert.equal(value("fwd_flops", { phase: "forward", tool: "torch" }), torch);
  assert.equal(value("fwd_flops", { phase: "forward", tool: "llem_executed" }), torch);
  assert.equal(value("fwd_flops", { phase: "forward", tool: "deepspeed" }), torch + 10 * 4 * 768);
  assert.equal(value("fwd_macs", { phase: "forward", tool: "fvcore" }), 10 * weights);
  const decode = 2 * 3 * weights + attention(1, 11 + 12 + 13);
  assert.equal(value("fwd_flops", { phase: "decode", tool: "torch" }), decode);
  // 10 tokens take 10 ms, 3 steps take 24 ms.
  close(value("fwd_latency", { phase: "forward" }), 0.01);
  close(value("fwd_latency", { phase: "decode" }), 0.024);
  close(value("fwd_flops_per_second", { phase: "decode", tool: "torch" }), decode / 0.024);
});

test("a word that no parameter takes is refused with its name", () => {
  const result = run(project, { parameters: { "attn-implementation": "flash" } });
  assert.equal(result.status, "failed");
  assert.match(result.error ?? "", /attn-implementation is 'flash': set it to sdpa or eager/);
});
