/**
 * Floating-point operations, computed from the model's shape. A multiply-add counts as two operations. Only matrix
 * products count, as in the literature (Kaplan et al., arXiv 2001.08361, table 1).
 */

import { flops } from "#host";
import { call, whole } from "./error.js";
import type { Model } from "./model.js";
import { consume } from "./snapshot.js";

/** The shape of a static batch of equal sequences. */
export interface Shape {
  /** The number of sequences. */
  readonly batch: number;
  /** The prompt tokens of each sequence. */
  readonly promptTokens: number;
  /** The new tokens of each sequence. The first comes from prefill, and each later one is a decode step. */
  readonly newTokens: number;
  /** Whether logits are computed for all positions of a prompt, as eager frameworks do by default. */
  readonly allLogits?: boolean;
  /** The attached adapter. By default the base weights. */
  readonly adapter?: string;
}

/** The operations of a part of the model, in FLOP. */
export interface Part {
  /** The name of the part: `attention-projections`, `attention`, `mlp`, `lm-head`, `adapter`, or a module's name. */
  readonly name: string;
  /** Operations of prompt processing, up to the first token, in FLOP. */
  readonly prefill: number;
  /** Operations of all decode steps, in FLOP. */
  readonly decode: number;
}

/** The well-known approximation: two operations for each token and active parameter. */
export interface Approximation {
  /** The number of active parameters: those that a token is multiplied with. */
  readonly activeParameters: number;
  /** Operations of prompt processing, in FLOP. */
  readonly prefill: number;
  /** Operations of all decode steps, in FLOP. */
  readonly decode: number;
}

/** Operations by part of the model, in FLOP. */
export class FlopsByPart {
  /** The parts, in the order of the host. */
  readonly parts: readonly Part[];

  /** Creates the operations from their parts. */
  constructor(parts: readonly Part[]) {
    this.parts = parts;
  }

  /** Returns the operations of prompt processing in a part. Returns 0 if there is no such part. */
  prefill(name: string): number {
    return this.parts.find((part) => part.name === name)?.prefill ?? 0;
  }

  /** Returns the operations of all decode steps in a part. Returns 0 if there is no such part. */
  decode(name: string): number {
    return this.parts.find((part) => part.name === name)?.decode ?? 0;
  }

  /** Returns the operations of all parts, prefill and decode together. */
  total(): number {
    return this.parts.reduce((sum, part) => sum + (part.prefill + part.decode), 0);
  }
}

/** The operations of a request, counted in several ways. */
export interface Estimate {
  /** The operations that the result needs: attention counts the keys that each query sees. */
  readonly needed: FlopsByPart;
  /** The operations that eager frameworks run: attention over all keys, masked afterwards. */
  readonly executed: FlopsByPart;
  /** The executed operations of each module, by its name in transformers. */
  readonly modules: FlopsByPart;
  /** The well-known approximation: two operations for each parameter and token. */
  readonly approximation: Approximation;
}

/**
 * Counts the operations of a request shape on a loaded model. Throws `invalid-argument` if the shape does not fit the
 * context, and `not-found` if the adapter is not attached.
 */
export function estimate(model: Model, shape: Shape): Estimate {
  const { batch, promptTokens, newTokens } = shape;
  using onHost = new flops.Shape(
    whole("batch", batch),
    whole("promptTokens", promptTokens),
    whole("newTokens", newTokens),
  );
  onHost.setAllLogits(shape.allLogits ?? false);
  onHost.setAdapter(shape.adapter ?? null);
  return consume(call(() => flops.Estimate.of(model.resource(), onHost)), (estimate) => ({
    needed: new FlopsByPart(estimate.needed()),
    executed: new FlopsByPart(estimate.executed()),
    modules: new FlopsByPart(estimate.modules()),
    approximation: estimate.approximation(),
  }));
}
