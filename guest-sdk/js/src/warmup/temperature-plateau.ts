/** Warm-up until the temperature of the devices is steady. Leakage, and with it power, follows temperature. */

import { temperatures } from "../measurement.js";
import { type WarmupPolicy, type WarmupStep, done, runFirst } from "../policy.js";
import { NS, type Seconds, nanoseconds } from "../time.js";
import type { Trial } from "../trial.js";

/** Options of {@link TemperaturePlateau}. */
export interface TemperaturePlateauOptions {
  /** The maximum change of a temperature that counts as steady, in K. 1 by default: sensors report whole degrees. */
  readonly kelvin?: number;
  /** The time over which the change is taken, in seconds, 30 by default. */
  readonly period?: Seconds;
  /** The maximum length of the warm-up, in seconds, 600 by default. */
  readonly maxTime?: Seconds;
  /** The maximum number of tokens that each run generates. Without it the request is left as it is. */
  readonly maxNewTokens?: number;
}

/** Warms up with the workload's first request until no device's temperature has changed for some time. */
export class TemperaturePlateau implements WarmupPolicy {
  private readonly kelvin: number;
  private readonly period: Seconds;
  private readonly maxTime: Seconds;
  private readonly maxNewTokens: number | undefined;

  /** Creates a warm-up. */
  constructor({ kelvin = 1, period = 30, maxTime = 600, maxNewTokens }: TemperaturePlateauOptions = {}) {
    this.kelvin = kelvin;
    this.period = period;
    this.maxTime = maxTime;
    this.maxNewTokens = maxNewTokens;
  }

  next(history: readonly Trial[]): WarmupStep {
    const [first, last] = [history[0], history.at(-1)];
    const elapsed = first && last ? last.ended() - first.began() : 0;
    if (last === undefined || elapsed < nanoseconds(this.period)) return runFirst(this.maxNewTokens);
    const since = last.ended() - nanoseconds(this.period);
    const spread = largestSpread(history.filter((trial) => trial.ended() > since));
    const seconds = (elapsed * NS).toFixed(1);
    if (spread === undefined) return done(`${seconds} s; no device tells its temperature`);
    const kelvin = spread.toFixed(0);
    if (spread <= this.kelvin) return done(`temperature moved by ${kelvin} K in the last of ${seconds} s`);
    if (elapsed >= nanoseconds(this.maxTime)) {
      return done(`not steady: temperature still moved by ${kelvin} K after ${seconds} s`);
    }
    return runFirst(this.maxNewTokens);
  }
}

/** Returns the largest change of a device's temperature over trials that ran alone, in K, if any device reports it. */
function largestSpread(trials: readonly Trial[]): number | undefined {
  const extremes = new Map<string, readonly [min: number, max: number]>();
  for (const trial of trials) {
    for (const { device, min, max } of temperatures(trial.generation().measurement)) {
      const [low, high] = extremes.get(device) ?? [min, max];
      extremes.set(device, [Math.min(low, min), Math.max(high, max)]);
    }
  }
  const spreads = [...extremes.values()].map(([min, max]) => max - min);
  return spreads.length > 0 ? Math.max(...spreads) : undefined;
}
