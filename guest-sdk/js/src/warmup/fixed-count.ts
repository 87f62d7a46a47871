/** Warm-up by a number of runs, and no warm-up. */

import { type WarmupPolicy, type WarmupStep, done, runFirst } from "../policy.js";
import type { Trial } from "../trial.js";

/** Warms up with a fixed number of runs of the workload's first request, with a shortened output. */
export class FixedCount implements WarmupPolicy {
  private readonly runs: number;
  private readonly maxNewTokens: number | undefined;

  /**
   * Creates a warm-up of five runs of two tokens, which exercise both prefill and decode, unless other numbers are
   * given. A `maxNewTokens` of `undefined` leaves the request as it is.
   */
  constructor(options: { readonly runs?: number; readonly maxNewTokens?: number | undefined } = {}) {
    const { runs, maxNewTokens } = { runs: 5, maxNewTokens: 2, ...options };
    this.runs = runs;
    this.maxNewTokens = maxNewTokens;
  }

  next(history: readonly Trial[]): WarmupStep {
    return history.length < this.runs ? runFirst(this.maxNewTokens) : done(`${this.runs} runs`);
  }
}

/** Does not warm up, for experiments that measure the cost of a first request. */
export class ColdStart implements WarmupPolicy {
  next(): WarmupStep {
    return done("cold start, as asked");
  }
}
