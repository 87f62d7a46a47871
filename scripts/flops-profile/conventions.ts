/**
 * How each tool counts the operations of a module in one forward pass.
 *
 * | | a product of n weights | attention, eager | attention, sdpa | softmax | LayerNorm | activation |
 * |---|---|---|---|---|---|---|
 * | deepspeed | 2 | 2 | 2 | 1 (eager) | 5 | 1 |
 * | calflops | 2 | 2 | 0 | 1 (eager) | 5 | 1 |
 * | fvcore | 1 | 1 | 0 | 0 | 5 | 0 |
 * | torch | 2 | 2 | 2 | 0 | 0 | 0 |
 *
 * Attention counts all keys: those of the pass and those of the cache, whether the mask hides them or not.
 */

import type { Module } from "./modules.js";

/** A forward pass over a batch: `tokens` new tokens of each sequence, after `past` cached ones. */
export interface Pass {
  readonly batch: number;
  readonly tokens: number;
  readonly past: number;
  /** The positions of each sequence whose logits are computed. */
  readonly logits: number;
}

/** How transformers runs attention and experts. Its defaults are the first of each. */
export interface Implementation {
  readonly attention: "sdpa" | "eager";
  readonly experts: "grouped_mm" | "eager";
}

/** The operations of a module or pass. MACs are multiply-adds; not every tool tells them. */
export interface Count {
  readonly flops: number;
  readonly macs: number;
}

/** The tools whose counts are computed. */
export const TOOLS = ["deepspeed", "calflops", "fvcore", "torch"] as const;
export type Tool = (typeof TOOLS)[number];

const NOTHING: Count = { flops: 0, macs: 0 };

/** Returns the number of keys that a cache keeps of `past` ones (transformers' `DynamicSlidingWindowLayer`). */
function cachedKeys(past: number, window: number | null): number {
  return window === null ? past : Math.min(past, window - 1);
}

/** Returns the multiply-adds of a module's matrix products. */
function multiplyAdds({ operation }: Module, { batch, tokens, past, logits }: Pass): number {
  switch (operation.kind) {
    case "linear":
      return batch * (operation.perLogits ? logits : tokens) * operation.weights;
    case "addmm":
    case "router":
    case "experts":
      return batch * tokens * operation.weights;
    case "attention":
      return 2 * batch * tokens * (tokens + cachedKeys(past, operation.window)) * operation.queries;
    default:
      return 0;
  }
}

/** Returns what a tool counts of a module itself in a pass. */
export function countOf(tool: Tool, module: Module, pass: Pass, how: Implementation): Count {
  const { operation } = module;
  const rows = pass.batch * pass.tokens;
  const isFused = operation.kind === "attention" && how.attention === "sdpa";
  // No tool knows the operator that runs all experts at once.
  const isGrouped = operation.kind === "experts" && how.experts === "grouped_mm";
  const isMissed = isGrouped || (isFused && (tool === "calflops" || tool === "fvcore"));
  const macs = isMissed ? 0 : multiplyAdds(module, pass);
  if (tool === "torch") return { flops: 2 * macs, macs };
  if (operation.kind === "layer-norm") return { flops: 5 * rows * operation.elements, macs: 0 };
  // fvcore's flop is a multiply-add.
  if (tool === "fvcore") return { flops: macs, macs };
  if (operation.kind === "activation") return { flops: rows * operation.elements * operation.each, macs: 0 };
  // The bias of addmm is counted once, although it is added to each row.
  if (operation.kind === "addmm") return { flops: 2 * macs + operation.outputs, macs };
  if (operation.kind === "router") return { flops: 2 * macs + rows * operation.outputs, macs };
  if (operation.kind === "attention" && how.attention === "eager") {
    const keys = pass.tokens + cachedKeys(pass.past, operation.window);
    return { flops: 2 * macs + rows * operation.heads * keys, macs };
  }
  return { flops: 2 * macs, macs };
}

/** Returns the sum of what a tool counts in a pass. */
export function totalOf(tool: Tool, modules: readonly Module[], pass: Pass, how: Implementation): Count {
  return modules.reduce<Count>((sum, module) => plus(sum, countOf(tool, module, pass, how)), NOTHING);
}

export function plus(one: Count, other: Count): Count {
  return { flops: one.flops + other.flops, macs: one.macs + other.macs };
}

/** Returns the passes of a generation after its prompt: one token each, every later one with one more cached. */
export function decodePasses(batch: number, prompt: number, newTokens: number): Pass[] {
  return Array.from({ length: Math.max(newTokens - 1, 0) }, (_, step) => {
    return { batch, tokens: 1, past: prompt + step, logits: 1 };
  });
}

/** The operators that fvcore meets and does not count, as its `unsupported_ops` would name them. */
export function unsupportedByFvcore(modules: readonly Module[], how: Implementation): string[] {
  const kinds = new Set(modules.map(({ operation }) => operation.kind));
  const fused = how.attention === "sdpa" ? "aten::scaled_dot_product_attention" : "aten::softmax";
  const isRms = modules.some(({ className }) => className.endsWith("RMSNorm"));
  return [
    "aten::embedding",
    ...(kinds.has("attention") ? [fused] : []),
    ...(kinds.has("experts") && how.experts === "grouped_mm" ? ["aten::_grouped_mm"] : []),
    ...(kinds.has("activation") ? ["the activation"] : []),
    ...(isRms ? ["aten::pow, aten::mean, aten::rsqrt (RMSNorm)"] : []),
    "aten::add, aten::mul (elementwise)",
  ];
}
