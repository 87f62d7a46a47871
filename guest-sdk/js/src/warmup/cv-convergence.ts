/** Warm-up until the latency is steady. */

import { type WarmupPolicy, type WarmupStep, done, runFirst } from "../policy.js";
import { coefficientOfVariation } from "../statistics.js";
import type { Trial } from "../trial.js";

/** Options of {@link CvConvergence}. */
export interface CvConvergenceOptions {
  /** The number of last latencies that the coefficient is computed of, at least 2 and 5 by default. */
  readonly window?: number;
  /** The coefficient of variation below which latencies count as steady, 0.05 by default. */
  readonly threshold?: number;
  /** The maximum number of runs, 50 by default. After them the record says that the latency was not steady. */
  readonly maxRuns?: number;
  /** The maximum number of tokens that each run generates. Without it the request is left as it is. */
  readonly maxNewTokens?: number;
}

/** Warms up until the coefficient of variation (CV) of the last latencies falls below a threshold. */
export class CvConvergence implements WarmupPolicy {
  private readonly window: number;
  private readonly threshold: number;
  private readonly maxRuns: number;
  private readonly maxNewTokens: number | undefined;

  /** Creates a warm-up. */
  constructor({ window = 5, threshold = 0.05, maxRuns = 50, maxNewTokens }: CvConvergenceOptions = {}) {
    this.window = window;
    this.threshold = threshold;
    this.maxRuns = maxRuns;
    this.maxNewTokens = maxNewTokens;
  }

  next(history: readonly Trial[]): WarmupStep {
    const runs = history.length;
    if (runs < this.window) return runFirst(this.maxNewTokens);
    const latencies = history.slice(runs - this.window).map((trial) => trial.seconds());
    const cv = coefficientOfVariation(latencies) ?? Infinity;
    const shown = Number.isFinite(cv) ? cv.toFixed(4) : "inf";
    if (cv < this.threshold) return done(`CV of latency ${shown} after ${runs} runs`);
    if (runs >= this.maxRuns) return done(`not steady: CV of latency still ${shown} after ${runs} runs`);
    return runFirst(this.maxNewTokens);
  }
}
