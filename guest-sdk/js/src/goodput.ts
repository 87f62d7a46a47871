/**
 * Goodput: the rate of requests that meet their service levels (DistServe, arXiv 2401.09670, section 1), counted as in
 * `vllm bench serve --goodput`.
 */

import type { Completion } from "./completion.js";
import type { Metric } from "./metric.js";
import type { ModelInfo } from "./model-info.js";
import type { MetricsPolicy } from "./policy.js";
import { Quantity } from "./quantity.js";
import type { Session } from "./schedule.js";
import { NS, type Nanoseconds } from "./time.js";
import type { Trial } from "./trial.js";

/** The highest latencies that a sequence may have, in ms. A level that is not given is no limit. */
export interface ServiceLevels {
  /** The maximum time to first token, in ms. */
  readonly ttft?: number;
  /** The maximum time per output token after the first, in ms. A sequence with fewer than two tokens meets it. */
  readonly tpot?: number;
  /** The maximum end-to-end latency, in ms. */
  readonly e2el?: number;
}

/**
 * Returns true if a sequence meets all levels. A sequence that was interrupted or cancelled, or has no token, does not.
 */
export function areMetBy(levels: ServiceLevels, completion: Completion): boolean {
  const isServed = completion.finish !== "interrupted" && completion.finish !== "cancelled";
  const within = (level: number | undefined, seconds: number | undefined) =>
    level === undefined || (seconds !== undefined && 1e3 * seconds <= level);
  return (
    isServed &&
    completion.tokens.length > 0 &&
    within(levels.ttft, completion.ttft()) &&
    within(levels.tpot, completion.tpot() ?? 0) &&
    within(levels.e2el, completion.e2el())
  );
}

/** A counter of sequences that meet their service levels. It is a metrics policy, and can also be part of another one. */
export class Goodput implements MetricsPolicy {
  private readonly levels: ServiceLevels;
  private met = 0;
  /** The time of the first submission and of the last token. */
  private span: readonly [first: Nanoseconds, last: Nanoseconds] | undefined;

  /** Creates a counter for these levels. */
  constructor(levels: ServiceLevels) {
    this.levels = levels;
  }

  /** Counts the sequences of a trial. */
  count(trial: Trial): void {
    for (const completion of trial.completions()) {
      if (areMetBy(this.levels, completion)) this.met += 1;
      const ended = completion.tokenTimes.at(-1) ?? completion.submitted;
      const [first, last] = this.span ?? [completion.submitted, ended];
      this.span = [Math.min(first, completion.submitted), Math.max(last, ended)];
    }
  }

  /**
   * Returns the number of sequences a second that met the levels, in {request}/s. The time is the session's wall time if
   * the session was measured as a whole, otherwise the time from the first submission to the last token. Returns
   * `undefined` if the time is zero or if no trial was counted.
   */
  rate(session: Session = {}): Quantity | undefined {
    const span = this.span && this.span[1] - this.span[0];
    const duration = session.measurement?.wallTime ?? span;
    if (duration === undefined) return undefined;
    return Quantity.exact(this.met, "{request}", "counted").per(duration * NS, "{request}/s");
  }

  observe(trial: Trial): void {
    this.count(trial);
  }

  derive(_: ModelInfo, session: Session): Metric[] {
    const rate = this.rate(session);
    return rate === undefined ? [] : [rate.intoMetric("request_goodput")];
  }
}
