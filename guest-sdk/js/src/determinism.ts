/**
 * Random numbers and clocks of the language that are the same in every run with one seed.
 *
 * QuickJS takes the seed of `Math.random` and the origin of `performance` from the moment at which the component is
 * built. Here `Math.random` is a stream of the run's seed, and `performance.now` counts from the beginning of the call.
 * `Date` reads WASI's clock, which the host seeds (`About.monotonicClocks`).
 */

import { isComponent } from "#host";
import { Random } from "./random.js";

/** The stream of `Math.random`. `undefined` before its first number. */
let random: Random | undefined;

/** Whether a run has begun. `describe` and the build have no seed. */
let hasSeed = false;

/** The time of QuickJS's own clock at the beginning of the first call, in ms. */
let origin: number | undefined;

const clock = isComponent ? globalThis.performance : undefined;

/**
 * Tells that the host has called the component.
 *
 * @internal
 */
export function beginCall(isRun: boolean): void {
  hasSeed = isRun;
  origin ??= clock?.now();
}

if (clock !== undefined) {
  Math.random = () => {
    if (!hasSeed) throw new Error("Math.random has no seed before the run begins");
    random ??= new Random("Math.random");
    return random.nextF64();
  };
  // The clock counts in nanoseconds, and rounding to them removes what is left of the moment of the build.
  const now = () => Math.round((clock.now() - (origin ?? 0)) * 1e6) / 1e6;
  (globalThis as { performance: unknown }).performance = { now, timeOrigin: 0 };
}
