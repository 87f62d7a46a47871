/**
 * The quantile of Student's t distribution, to 1e-12 of its value.
 *
 * Every SDK has the algorithm of this file, step by step, so that all of them give the same intervals. With ν degrees of
 * freedom and t > 0:
 *
 * ```text
 * density      f(t) = r (1 + t²/ν)^(-(ν+1)/2)            r = Γ((ν+1)/2) / (Γ(ν/2) sqrt(νπ))
 * from 0 to t  I_y(1/2, ν/2) / 2 = f(t) t S              y = t²/(ν+t²)
 * beyond t     I_x(ν/2, 1/2) / 2 = f(t) (1 + t²/ν)/t K   x = ν/(ν+t²)
 * ```
 *
 * I is the regularised incomplete beta function (DLMF 8.17.2), S and K are hypergeometric functions:
 *
 * - S = F((ν+1)/2, 1; 3/2; y), by its series (DLMF 8.17.8). All terms are positive.
 * - K = F(1/2, 1; ν/2+1; -ν/t²) (DLMF 8.17.8 and 15.8.1), by its continued fraction (DLMF 15.7.1 with b = 0). All parts
 *   are positive.
 *
 * Newton's method finds the root from below. The area from 0 to t is concave in t and the area beyond t is convex, so
 * that no step goes past the root.
 */

/** The smallest probability on either side of the quantile. Below it squares of quantiles leave the range of numbers. */
const SMALLEST = 1e-100;

/**
 * The probability of a tail below which the continued fraction is used. It converges slowly close to t = 0, and the
 * series far from it.
 */
const TAIL = 0.1;

/**
 * The 90 % quantile of the normal distribution, rounded down. The quantile of Student's t distribution is above it for
 * every number of degrees of freedom, so Newton's method begins here for smaller tails.
 */
const START = 1.28;

/** The relative change at which sums, fractions and roots count as found. */
const EPSILON = 1e-15;

/**
 * Returns the value that a number of Student's t distribution with `freedom` degrees of freedom is below with this
 * probability. `freedom` need not be whole. Returns `undefined` if `freedom` is not a finite number of at least 1, or if
 * `probability` or its complement is below 1e-100.
 */
export function tQuantile(probability: number, freedom: number): number | undefined {
  const tail = Math.min(probability, 1 - probability);
  if (!(tail >= SMALLEST && freedom >= 1 && Number.isFinite(freedom))) return undefined;
  const peak = gammaRatio(freedom / 2) / Math.sqrt(freedom * Math.PI);
  const density = (t: number) => peak * Math.exp((-(freedom + 1) / 2) * Math.log1p((t * t) / freedom));
  const area = 0.5 - tail;
  const t =
    tail < TAIL
      ? rise(START, (t) => areaBeyond(t, freedom) - tail / density(t))
      : // The density is highest at 0, so the root is not below this.
        rise(area / peak, (t) => area / density(t) - areaFromZero(t, freedom));
  return probability < 0.5 ? -t : t;
}

/** Adds Newton's steps to `t` until they no longer change it. */
function rise(start: number, step: (t: number) => number): number {
  let t = start;
  for (;;) {
    const change = step(t);
    t += change;
    if (change <= EPSILON * t) return t;
  }
}

/** Returns the area under the density from 0 to `t`, divided by the density at `t`. */
function areaFromZero(t: number, freedom: number): number {
  const y = (t * t) / (freedom + t * t);
  let [term, sum] = [1, 1];
  for (let index = 0; term > (EPSILON / 10) * sum; index += 1) {
    term *= (y * (freedom + 1 + 2 * index)) / (3 + 2 * index);
    sum += term;
  }
  return t * sum;
}

/**
 * Returns the area under the density beyond `t`, divided by the density at `t`. The fraction is
 * c/(c + u1 w/(c+1 + u2 w/(c+2 + ...))) with c = ν/2, w = ν/t², u1 = c/2, u2 = c + 1/2, and so on, evaluated by the
 * method of Lentz (DLMF 3.10(iii)).
 */
function areaBeyond(t: number, freedom: number): number {
  const [c, w] = [freedom / 2, freedom / (t * t)];
  let [numerator, denominator, fraction] = [c, 0, c];
  for (let index = 0; ; index += 1) {
    const odd = (index + 0.5) * (c + index);
    const even = (index + 1) * (c + index + 0.5);
    let change = 1;
    for (const [u, place] of [[odd, 2 * index + 1], [even, 2 * index + 2]] as const) {
      denominator = 1 / (c + place + u * w * denominator);
      numerator = c + place + (u * w) / numerator;
      change = numerator * denominator;
      fraction *= change;
    }
    // The values of two neighbouring parts enclose the fraction.
    if (Math.abs(change - 1) <= EPSILON) return ((1 + (t * t) / freedom) / t) * (c / fraction);
  }
}

/** The coefficients of the expansion of the ratio of gamma functions, the highest power first. */
const RATIO_TERMS = [-174_317 / 134_217_728, 631 / 524_288, -19 / 8192, 1 / 64, 1];

/**
 * Returns Γ(a + 1/2) / Γ(a): by Γ(a + 1) = a Γ(a) up to an argument of 30, then by the expansion for large arguments in
 * powers of (a - 1/4)^-2 (DLMF 5.11.14). Its first neglected term is below 1e-17. A difference of two logarithms of Γ
 * would lose digits.
 */
function gammaRatio(argument: number): number {
  let [a, factor] = [argument, 1];
  for (; a < 30; a += 1) factor *= a / (a + 0.5);
  const w = a - 0.25;
  const s = 1 / (w * w);
  return factor * Math.sqrt(w) * RATIO_TERMS.reduce((sum, term) => sum * s + term, 0);
}
