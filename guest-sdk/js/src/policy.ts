/** The interfaces of the three policies that an experiment is assembled from. */

import type { Metric } from "./metric.js";
import type { ModelInfo } from "./model-info.js";
import type { Request } from "./request.js";
import type { Schedule, Session } from "./schedule.js";
import type { Seconds } from "./time.js";
import type { Trial } from "./trial.js";

/** The next step of a warm-up. */
export type WarmupStep =
  /** Runs a request: by default the first one of the workload. `maxNewTokens` shortens the output. */
  | { readonly step: "run"; readonly request?: Request | undefined; readonly maxNewTokens?: number | undefined }
  /** Waits this many seconds without running anything. */
  | { readonly step: "wait"; readonly length: Seconds }
  /** Ends the warm-up. The text is the reason, which goes to the record. */
  | { readonly step: "done"; readonly reason: string };

/** Runs the workload's first request with at most this many output tokens. Without it the request is not changed. */
export function runFirst(maxNewTokens?: number): WarmupStep {
  return { step: "run", maxNewTokens };
}

/** Ends the warm-up for this reason. */
export function done(reason: string): WarmupStep {
  return { step: "done", reason };
}

/** Decides how the machine is warmed up. */
export interface WarmupPolicy {
  /** Returns the next step. `history` holds all warm-up trials so far. */
  next(history: readonly Trial[]): WarmupStep;
}

/** Decides which requests are measured, and when they are sent. */
export interface WorkloadPolicy {
  /**
   * Returns how the requests are run on this model. It is called once, before all other functions. Without it one
   * request runs after another.
   */
  begin?(model: ModelInfo): Schedule;
  /**
   * Returns the next request, or `undefined` at the end. `last` is a trial that has ended since the previous call, if
   * there is one.
   *
   * In a continuous batch this is called before the arrival of the request. Trials that end after the last request are
   * passed in further calls.
   */
  next(last: Trial | undefined): Request | undefined;
  /** Returns the total number of requests for the progress display, if it is known. */
  total?(): number | undefined;
}

/** Derives metrics from the measured trials. */
export interface MetricsPolicy {
  /**
   * Records a measured trial as soon as it has ended. A policy that keeps all trials needs memory for every token of the
   * run.
   */
  observe(trial: Trial): void;
  /** Returns the metrics of all observed trials. It is called once, at the end. */
  derive(model: ModelInfo, session: Session): Metric[];
}

/** Computes metrics from the model and all trials. */
export type Derive = (model: ModelInfo, trials: readonly Trial[]) => Metric[];

/** A metrics policy that calls a function with all trials. It keeps the trials in memory until the end. */
export class MetricsFn implements MetricsPolicy {
  private readonly trials: Trial[] = [];
  private readonly function: Derive;

  /** Creates a policy from a function of the model and all trials. */
  constructor(derive: Derive) {
    this.function = derive;
  }

  observe(trial: Trial): void {
    this.trials.push(trial);
  }

  derive(model: ModelInfo): Metric[] {
    return this.function(model, this.trials);
  }
}
