/** Warm-up for a minimum time. */

import { type WarmupPolicy, type WarmupStep, done, runFirst } from "../policy.js";
import { NS, type Seconds } from "../time.js";
import type { Trial } from "../trial.js";
import { FixedCount } from "./fixed-count.js";

/** Warms up with the workload's first request until a minimum time has passed since the first run began. */
export class TimeFloor implements WarmupPolicy {
  private readonly floor: Seconds;
  private readonly maxNewTokens: number | undefined;

  /**
   * Creates a warm-up of at least `floor` seconds, 30 by default: energy counters and clocks settle within about half a
   * minute. `maxNewTokens` shortens the output of each run.
   */
  constructor({ floor = 30, maxNewTokens }: { readonly floor?: Seconds; readonly maxNewTokens?: number } = {}) {
    this.floor = floor;
    this.maxNewTokens = maxNewTokens;
  }

  next(history: readonly Trial[]): WarmupStep {
    const seconds = elapsed(history);
    if (seconds < this.floor) return runFirst(this.maxNewTokens);
    return done(`${seconds.toFixed(1)} s in ${history.length} runs`);
  }
}

/** Warms up with a fixed number of runs first, and then until a minimum time has passed since the first of them. */
export class CountThenFloor implements WarmupPolicy {
  private readonly count: FixedCount;
  private readonly floor: TimeFloor;

  /** Creates a warm-up from the policy that is applied first and the one that is applied after it. */
  constructor({ count = new FixedCount(), floor = new TimeFloor() } = {}) {
    this.count = count;
    this.floor = floor;
  }

  next(history: readonly Trial[]): WarmupStep {
    const step = this.count.next(history);
    return step.step === "done" ? this.floor.next(history) : step;
  }
}

/** Returns the time from the beginning of the first trial to the end of the last one, in seconds. */
function elapsed(history: readonly Trial[]): Seconds {
  const [first, last] = [history[0], history.at(-1)];
  return first && last ? (last.ended() - first.began()) * NS : 0;
}
