/**
 * Statistics of repeated values: mean, spread, percentiles and confidence intervals.
 *
 * The functions have the same names and give the same numbers in the SDK of every language: `guest-sdk/numbers.json`
 * holds cases whose results come from numpy and scipy. Sums are made from left to right. All functions return
 * `undefined` where a statistic is not defined, and NaN if one of the values is NaN.
 */

import { tQuantile } from "./students-t.js";

export { tQuantile };

/** A mean with its confidence interval. All numbers are in the unit of the values. {@link interval} computes it. */
export interface Interval {
  /** The mean of the values. */
  readonly mean: number;
  /** The lower end of the interval. */
  readonly low: number;
  /** The upper end of the interval. */
  readonly high: number;
}

function sum(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

/** Returns the arithmetic mean, in the unit of the values. Returns `undefined` if there are no values. */
export function mean(values: readonly number[]): number | undefined {
  return values.length > 0 ? sum(values) / values.length : undefined;
}

/**
 * Returns the sample standard deviation (divided by n - 1, numpy's `ddof=1`), in the unit of the values. Returns
 * `undefined` if there are fewer than two values, because their spread is then not known.
 */
export function standardDeviation(values: readonly number[]): number | undefined {
  const average = mean(values);
  if (average === undefined || values.length < 2) return undefined;
  const squares = sum(values.map((value) => (value - average) * (value - average)));
  return Math.sqrt(squares / (values.length - 1));
}

/**
 * Returns the population standard deviation (divided by n, numpy's default), in the unit of the values. It describes the
 * values themselves, and {@link standardDeviation} the spread of what they were drawn from. Returns `undefined` if there
 * are no values.
 */
export function populationStandardDeviation(values: readonly number[]): number | undefined {
  const average = mean(values);
  if (average === undefined) return undefined;
  return Math.sqrt(sum(values.map((value) => (value - average) * (value - average))) / values.length);
}

/**
 * Returns the standard deviation of the mean: the sample standard deviation divided by sqrt(n) (GUM 4.2.3), in the unit
 * of the values. Returns `undefined` if there are fewer than two values.
 */
export function standardError(values: readonly number[]): number | undefined {
  const deviation = standardDeviation(values);
  return deviation === undefined ? undefined : deviation / Math.sqrt(values.length);
}

/**
 * Returns the sample standard deviation divided by the mean, without a unit. Returns `undefined` if there are fewer than
 * two values or if the mean is not above zero.
 */
export function coefficientOfVariation(values: readonly number[]): number | undefined {
  const [average, deviation] = [mean(values), standardDeviation(values)];
  if (average === undefined || deviation === undefined || average <= 0) return undefined;
  return deviation / average;
}

/**
 * Returns the value below which `p` percent of the values lie, in the unit of the values. Between two values it
 * interpolates linearly, as numpy's `percentile` does by default (Hyndman and Fan, The American Statistician 50(4),
 * 1996, definition 7). The values need not be sorted. Returns `undefined` if there are no values or if `p` is not within
 * 0 and 100.
 *
 * ```ts
 * percentile([4, 1, 3, 2], 90); // 3.7, as numpy.percentile([4, 1, 3, 2], 90)
 * ```
 */
export function percentile(values: readonly number[], p: number): number | undefined {
  if (values.length === 0 || !(p >= 0 && p <= 100)) return undefined;
  if (values.some(Number.isNaN)) return Number.NaN;
  const sorted = Float64Array.from(values).sort();
  const last = sorted.length - 1;
  const position = (p / 100) * last;
  // Rounding may put the position of a percentile below 100 on the last value.
  const below = Math.min(Math.floor(position), last);
  const [low, high] = [sorted[below] as number, sorted[Math.min(below + 1, last)] as number];
  const share = position - below;
  // Interpolates from the closer value, as numpy does, so that the percentile 100 is the largest value itself.
  if (share === 0) return low;
  return share < 0.5 ? low + (high - low) * share : high - (high - low) * (1 - share);
}

/** Returns the median, in the unit of the values: the 50th percentile. Returns `undefined` if there are no values. */
export function median(values: readonly number[]): number | undefined {
  return percentile(values, 50);
}

/** Returns whether these are weights of `count` values, with a sum above zero. */
function areWeights(weights: readonly number[], count: number): boolean {
  return weights.length === count && weights.every((weight) => weight >= 0 && weight < Infinity) && sum(weights) > 0;
}

/**
 * Returns the mean of values that count by their weights (numpy's `average`), in the unit of the values. Returns
 * `undefined` if there are not as many weights as values, if a weight is negative or not finite, or if the weights add up
 * to zero.
 */
export function weightedMean(values: readonly number[], weights: readonly number[]): number | undefined {
  if (!areWeights(weights, values.length)) return undefined;
  return sum(values.map((value, index) => value * (weights[index] as number))) / sum(weights);
}

/**
 * Returns the smallest value such that the values up to it have `p` percent of the weight or more, in the unit of the
 * values. This is numpy's `percentile` with `weights` and `method="inverted_cdf"`. The result is always one of the values.
 * Values of weight zero are left out. Returns `undefined` if there are not as many weights as values, if a weight is
 * negative or not finite, if the weights add up to zero, or if `p` is not within 0 and 100.
 *
 * ```ts
 * weightedPercentile([1, 2, 3], [8, 1, 1], 90); // 2
 * ```
 */
export function weightedPercentile(
  values: readonly number[],
  weights: readonly number[],
  p: number,
): number | undefined {
  if (!(p >= 0 && p <= 100) || !areWeights(weights, values.length)) return undefined;
  if (values.some(Number.isNaN)) return Number.NaN;
  const ordered = values
    .map((value, index) => ({ value, weight: weights[index] as number }))
    .filter(({ weight }) => weight > 0)
    .sort((one, other) => one.value - other.value || one.weight - other.weight);
  const total = sum(ordered.map(({ weight }) => weight));
  let reached = 0;
  const found = ordered.find(({ weight }) => (reached += weight) / total >= p / 100);
  return (found ?? ordered.at(-1))?.value;
}

/**
 * Computes the confidence interval of the mean of repeated, independent values, by Student's t distribution.
 * `confidence` is the probability with which such intervals contain the mean of the distribution that the values come
 * from. Returns `undefined` if there are fewer than two values or if `confidence` is not between 0 and 1.
 */
export function interval(values: readonly number[], confidence = 0.95): Interval | undefined {
  const [average, error] = [mean(values), standardError(values)];
  if (average === undefined || error === undefined || !(confidence > 0 && confidence < 1)) return undefined;
  // The lower tail has more digits than the upper one if the confidence is close to 1.
  const quantile = tQuantile((1 - confidence) / 2, values.length - 1);
  if (quantile === undefined) return undefined;
  const half = -quantile * error;
  return { mean: average, low: average - half, high: average + half };
}
