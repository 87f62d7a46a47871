/** The generator of arrival times. */

import { LlemError } from "../error.js";
import type { UniformSource } from "../random.js";
import type { Seconds } from "../time.js";
import { gap } from "./gaps.js";

/** The mean number of requests that arrive in a second. A ramp changes it over the first `requests` requests. */
export interface ArrivalRate {
  readonly ramp: "none" | "linear" | "exponential";
  readonly from: number;
  readonly to: number;
  readonly requests: number;
}

/** The rule by which requests arrive. */
export type ArrivalProcess =
  /** All requests arrive at the beginning. */
  | { readonly kind: "at-once" }
  /** Requests have no arrival times: the runner sends each as soon as its concurrency allows it. */
  | { readonly kind: "closed-loop" }
  /** Gaps are drawn from a gamma distribution of shape `burstiness`. Infinity makes every gap equal to the mean. */
  | { readonly kind: "drawn"; readonly rate: ArrivalRate; readonly burstiness: number }
  /** The times are given. */
  | { readonly kind: "trace"; readonly offsets: readonly Seconds[] };

/** Returns the rate at the request of this index, in requests a second. */
function rateAt({ ramp, from, to, requests }: ArrivalRate, index: number): number {
  if (ramp === "none") return from;
  const share = Math.min(index / Math.max(requests - 1, 1), 1);
  return ramp === "linear" ? from + (to - from) * share : from * Math.pow(to / from, share);
}

/** Throws `invalid-argument` if a rate or the burstiness is not a number above 0, or if a trace decreases. */
function check(process: ArrivalProcess): void {
  if (process.kind === "drawn") {
    for (const rate of [process.rate.from, process.rate.to]) {
      if (!(Number.isFinite(rate) && rate > 0)) {
        throw LlemError.invalidArgument(`a rate of ${rate} arrivals a second is no number above 0`);
      }
    }
    if (!(process.burstiness > 0)) {
      throw LlemError.invalidArgument(`a burstiness of ${process.burstiness} is no number above 0`);
    }
  } else if (process.kind === "trace") {
    for (const [index, offset] of process.offsets.entries()) {
      const before = process.offsets[index - 1] ?? 0;
      if (!(offset >= before)) {
        throw LlemError.invalidArgument(
          `arrival ${index} of the trace is at ${offset} s, before the one that precedes it at ${before} s`,
        );
      }
    }
  }
}

/** A generator of arrival times, one request after another. `Arrivals.times` creates it. */
export class ArrivalTimes {
  private readonly process: ArrivalProcess;
  /** The number of times that were drawn. */
  private drawn = 0;
  /** The last drawn time, in seconds. */
  private seconds = 0;

  /** @internal */
  constructor(process: ArrivalProcess) {
    check(process);
    this.process = process;
  }

  /**
   * Draws the next time, in seconds from the beginning of the measurement. Returns `undefined` at the end of a trace,
   * and `null` if the process is a closed loop, which has no fixed times.
   */
  draw(uniform: UniformSource): Seconds | null | undefined {
    const index = this.drawn;
    this.drawn += 1;
    switch (this.process.kind) {
      case "at-once":
        return 0;
      case "closed-loop":
        return null;
      case "trace":
        return this.process.offsets[index];
      case "drawn":
        this.seconds += gap(rateAt(this.process.rate, index), this.process.burstiness, uniform);
        return this.seconds;
    }
  }
}
