/** guidellm's `DistributionSummary`: weighted values, and rates and concurrency weighted by time. */

import { tQuantile } from "@llem/sdk/statistics";

import { roundHalfEven } from "./python_random.js";

/** The quantiles of a summary. */
export const PERCENTILES = {
  ...{ p001: 0.001, p01: 0.01, p05: 0.05, p10: 0.1, p25: 0.25, p50: 0.5 },
  ...{ p75: 0.75, p90: 0.9, p95: 0.95, p99: 0.99, p999: 0.999 },
};

/** Events closer than this, in seconds, are one in rates and concurrency. */
const THRESHOLD = 1e-4;
const EPSILON = 1e-6;

const sum = (values) => values.reduce((total, value) => total + value, 0);

/**
 * Summarises values with weights. A percentile p is the lowest value at which the summed weights reach p: nothing is
 * interpolated, and the median is p50. `total_sum` is mean * count, as in guidellm.
 *
 * @param {(readonly [value: number, weight: number])[]} pairs
 * @param {{ count?: number, confidence?: number }} options with a confidence the intervals of unweighted values follow
 */
export function summary(pairs, { count = roundHalfEven(sum(pairs.map(([, weight]) => weight))), confidence } = {}) {
  // guidellm does not use the count that it was given if there are no values.
  if (pairs.length === 0) return empty(0);
  const intervals = confidence === undefined ? NO_INTERVALS : intervalsOf(pairs, confidence);
  const weights = new Map();
  for (const [value, weight] of pairs) weights.set(value, (weights.get(value) ?? 0) + weight);
  const kept = [...weights].filter(([, weight]) => weight > 0).sort(([a], [b]) => a - b);
  if (kept.length === 0) return { ...empty(count), ...intervals };
  const total = sum(kept.map(([, weight]) => weight));
  const pdf = kept.map(([value, weight]) => [value, total <= EPSILON ? 1 / kept.length : weight / total]);
  const mean = sum(pdf.map(([value, share]) => value * share));
  const variance = sum(pdf.map(([value, share]) => (value - mean) ** 2 * share));
  const percentiles = percentilesOf(pdf);
  const mode = pdf.reduce((best, one) => (one[1] > best[1] ? one : best))[0];
  return {
    ...{ mean, median: percentiles.p50, mode, variance, std_dev: Math.sqrt(variance) },
    ...{ min: pdf[0][0], max: pdf.at(-1)[0], count, total_sum: mean * count, percentiles, pdf: null },
    ...intervals,
  };
}

const NO_INTERVALS = { mean_ci: null, percentile_cis: null };

/** guidellm's summary of nothing: zeros. */
function empty(count) {
  const percentiles = Object.fromEntries(Object.keys(PERCENTILES).map((name) => [name, 0]));
  const zeros = { mean: 0, median: 0, mode: 0, variance: 0, std_dev: 0, min: 0, max: 0, count, total_sum: 0 };
  return { ...zeros, percentiles, pdf: null, ...NO_INTERVALS };
}

function percentilesOf(pdf) {
  let reached = 0;
  const cumulated = pdf.map(([, share]) => (reached += share));
  const at = (p) =>
    pdf[
      Math.max(
        cumulated.findIndex((share) => share >= p),
        0,
      )
    ][0];
  return Object.fromEntries(Object.entries(PERCENTILES).map(([name, p]) => [name, at(p)]));
}

/** Student's interval of the mean and order statistics around each percentile, if all weights are 1. */
function intervalsOf(pairs, confidence) {
  if (pairs.length < 2 || pairs.some(([, weight]) => weight !== 1)) return NO_INTERVALS;
  const level = Math.min(Math.max(confidence, 0.5), 0.999);
  const values = pairs.map(([value]) => value).sort((a, b) => a - b);
  const n = values.length;
  const mean = sum(values) / n;
  const deviation = Math.sqrt(sum(values.map((value) => (value - mean) ** 2)) / (n - 1));
  const half = (-tQuantile((1 - level) / 2, n - 1) * deviation) / Math.sqrt(n);
  const cis = Object.entries(PERCENTILES).map(([name, p]) => [name, orderInterval(values, p, (1 - level) / 2)]);
  return { mean_ci: { lower: mean - half, upper: mean + half }, percentile_cis: Object.fromEntries(cis) };
}

/**
 * The observations around the quantile `p`: the number of observations below it is binomial. Returns null if there are
 * too few of them.
 */
function orderInterval(sorted, p, tail) {
  const n = sorted.length;
  let [below, above, cumulated, logChoose] = [null, null, 0, 0];
  for (let k = 0; k < n && above === null; k++) {
    if (k > 0) logChoose += Math.log((n - k + 1) / k);
    cumulated += Math.exp(logChoose + k * Math.log(p) + (n - k) * Math.log1p(-p));
    if (cumulated <= tail) below = k;
    if (cumulated >= 1 - tail) above = k;
  }
  return below === null || above === null ? null : { lower: sorted[below], upper: sorted[above] };
}

/**
 * The rate of events over time, within a window or all time. The rate of an event is its weight over half the time
 * between its neighbours, which is the weight of that rate.
 *
 * @param {(readonly [time: number, weight: number])[]} events
 * @param {readonly [start: number, end: number]} [window]
 */
export function rateOverTime(events, window) {
  let within = events;
  if (window !== undefined) {
    const [start, end] = window;
    within = [[start, 0], ...events.filter(([time]) => time >= start)].filter(([time]) => time <= end);
    within.push([end, 0]);
  }
  const merged = mergeTimes(within);
  if (merged.length <= 1) return summary([]);
  const times = merged.map(([time]) => time);
  const middle = (at) => (times[at] + times[at + 1]) / 2;
  const last = times.length - 1;
  const rates = merged.map(([, weight], at) => {
    const duration =
      at === 0 ? middle(0) - times[0]
      : at === last ? Math.max(times[last] - middle(last - 1), EPSILON)
      : middle(at) - middle(at - 1);
    return [weight / duration, duration];
  });
  return summary(rates, { count: roundHalfEven(sum(merged.map(([, weight]) => weight))) });
}

/**
 * How many intervals overlap, or the sum of their weights, over time.
 *
 * @param {(readonly [start: number, end: number, weight: number])[]} intervals
 * @param {readonly [start: number, end: number]} [window]
 */
export function concurrencyOverTime(intervals, window) {
  const [start, end] = window ?? [-Infinity, Infinity];
  const kept = intervals.filter(([from, to]) => to >= start && from <= end);
  const changes = kept.flatMap(([from, to, weight]) => [
    [from, weight],
    [to, -weight],
  ]);
  let merged = mergeTimes(changes);
  if (window !== undefined && merged.length > 0) {
    const before = merged.filter(([time]) => time < start);
    merged = [[start, sum(before.map(([, change]) => change))], ...merged.slice(before.length)];
    merged = [...merged.filter(([time]) => time <= end), [end, 0]];
  }
  let level = 0;
  const levels = merged.map(([, change]) => Math.max((level += change), 0));
  if (levels.length <= 1) return summary(kept.length === 0 ? [] : [[levels[0], 1]]);
  const spans = merged.slice(1).map(([time], at) => [levels[at], Math.max(time - merged[at][0], 0)]);
  return summary(spans.some(([, length]) => length > 0) ? spans : [], { count: kept.length });
}

/** Sorts events and joins those within the threshold of the first of their group, whose time they take. */
function mergeTimes(events) {
  const sorted = [...events].sort(([a], [b]) => a - b);
  const merged = [];
  for (const [time, weight] of sorted) {
    const group = merged.at(-1);
    if (group !== undefined && time <= group[0] + THRESHOLD) group[1] += weight;
    else merged.push([time, weight]);
  }
  return merged;
}
