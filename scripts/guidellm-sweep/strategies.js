/** guidellm's scheduling strategies: when each request is to start, and how many may run at a time. */

import { PythonRandom } from "./python_random.js";

/**
 * A strategy. `next` returns the targeted start of the next request, in seconds from the start, given the end of the
 * request that completed last (`undefined` before the first).
 *
 * @typedef {object} Strategy
 * @property {string} type guidellm's `type_`
 * @property {string} name guidellm's text for it: `constant@2.50`
 * @property {number | undefined} limit most requests that have been sent and not ended
 * @property {boolean} hasSchedule whether targets follow a schedule that completions do not change
 * @property {(completed: number | undefined) => number} next
 * @property {object} fields the strategy's fields in the report
 */

/** One request at a time. @returns {Strategy} */
export function synchronous() {
  const next = (completed) => completed ?? 0;
  return { type: "synchronous", name: "synchronous", limit: 1, hasSchedule: false, next, fields: {} };
}

/**
 * `streams` requests at a time. With a ramp the requests 1 to streams - 1 start at rampup * i / streams; the request
 * number `streams` starts at once, as in guidellm.
 *
 * @returns {Strategy}
 */
export function concurrent(streams, rampup = 0) {
  let index = 0;
  const next = (completed) => {
    index += 1;
    return rampup > 0 && index < streams ? rampup * (index / streams) : (completed ?? 0);
  };
  const fields = { streams, rampup_duration: rampup };
  return { type: "concurrent", name: `concurrent@${streams}`, limit: streams, hasSchedule: false, next, fields };
}

/** All requests at once, at most `limit` at a time. A ramp needs a limit. @returns {Strategy} */
export function throughput(limit, rampup = 0) {
  let index = 0;
  const next = () => {
    if (limit === undefined || rampup <= 0) return 0;
    index += 1;
    return index >= limit ? rampup : rampup * (index / limit);
  };
  const fields = { max_concurrency: limit ?? null, rampup_duration: rampup };
  return { type: "throughput", name: `throughput@${limit ?? "unlimited"}`, limit, hasSchedule: false, next, fields };
}

/**
 * Request i (from 1) at i / rate. During a ramp the rate rises linearly from 0: the first request starts at once, the
 * others at sqrt(2 i rampup / rate), until rate * rampup / 2 have been sent.
 *
 * @returns {Strategy}
 */
export function constant(rate, limit, rampup = 0) {
  let index = 0;
  const inRamp = (rate * rampup) / 2;
  const next = () => {
    index += 1;
    if (rampup <= 0) return index / rate;
    if (index === 1) return 0;
    return index <= inRamp ? Math.sqrt((2 * index * rampup) / rate) : rampup + (index - inRamp) / rate;
  };
  const fields = { rate, max_concurrency: limit ?? null, rampup_duration: rampup };
  return { type: "constant", name: `constant@${rate.toFixed(2)}`, limit, hasSchedule: true, next, fields };
}

/** Exponential gaps by Python's generator, so that guidellm's times come out for the same seed. @returns {Strategy} */
export function poisson(rate, limit, seed = 42) {
  const random = new PythonRandom(seed);
  let offset = 0;
  const next = () => (offset += random.expovariate(rate));
  const fields = { rate, max_concurrency: limit ?? null, random_seed: seed };
  return { type: "poisson", name: `poisson@${rate.toFixed(2)}`, limit, hasSchedule: true, next, fields };
}

/** numpy's `linspace(from, to, count)`. */
export function linspace(from, to, count) {
  if (count === 1) return [from];
  const step = (to - from) / (count - 1);
  return Array.from({ length: count }, (_, at) => (at === count - 1 ? to : at * step + from));
}

/**
 * The strategies of a profile, one after another. A sweep asks for the rates of its first two: the mean of
 * `requests_per_second.successful`.
 *
 * @param {object} profile parameters by their names
 * @returns {Generator<Strategy, void, number>} is given the rate of each strategy's benchmark
 */
export function* strategiesOf(profile) {
  const { kind, streams, rates, limit, rampup, seed, sweepSize, strategyType } = profile;
  if (kind === "synchronous") yield synchronous();
  else if (kind === "concurrent") for (const count of streams) yield concurrent(count, rampup);
  else if (kind === "throughput") yield throughput(limit, rampup);
  else if (kind === "constant" || kind === "async") for (const rate of rates) yield constant(rate, limit, rampup);
  else if (kind === "poisson") for (const rate of rates) yield poisson(rate, limit, seed);
  else if (kind === "sweep") {
    const slowest = yield synchronous();
    const fastest = yield throughput(limit, rampup);
    for (const rate of linspace(slowest, fastest, sweepSize - 1).slice(1)) {
      if (!(rate > 0)) return;
      yield strategyType === "poisson" ? poisson(rate, limit, seed) : constant(rate, limit);
    }
  }
}
