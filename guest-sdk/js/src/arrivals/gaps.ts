/** Random gaps between arrivals. */

import type { UniformSource } from "../random.js";

/**
 * Draws the gap before a request, in seconds, from a gamma distribution of shape `burstiness` and mean `1 / rate`. The
 * rate is in requests a second. Both arguments are above 0, and an infinite burstiness gives the mean itself.
 */
export function gap(rate: number, burstiness: number, uniform: UniformSource): number {
  if (burstiness === Infinity) return 1 / rate;
  return burstiness === 1 ? exponential(uniform) / rate : gamma(burstiness, uniform) / (rate * burstiness);
}

/**
 * Draws from the exponential distribution of mean 1 by inverting its distribution function. The logarithm is finite
 * because uniform numbers are below 1.
 */
export function exponential(uniform: UniformSource): number {
  return -Math.log1p(-uniform.nextF64());
}

/**
 * Draws from the gamma distribution of this shape and scale 1 (Marsaglia and Tsang, "A Simple Method for Generating
 * Gamma Variables", ACM TOMS 26(3), 2000; section 6 for shapes below 1).
 */
function gamma(shape: number, uniform: UniformSource): number {
  if (shape < 1) {
    const drawn = gamma(shape + 1, uniform);
    return drawn * Math.pow(1 - uniform.nextF64(), 1 / shape);
  }
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = normal(uniform);
    const y = 1 + c * x;
    const v = y * y * y;
    if (v <= 0) continue;
    const u = 1 - uniform.nextF64();
    if (Math.log(u) < 0.5 * x * x + d * (1 - v + Math.log(v))) return d * v;
  }
}

/** Draws from the standard normal distribution (Box and Muller, Annals of Mathematical Statistics 29(2), 1958). */
export function normal(uniform: UniformSource): number {
  const radius = Math.sqrt(2 * exponential(uniform));
  return radius * Math.cos(2 * Math.PI * uniform.nextF64());
}
