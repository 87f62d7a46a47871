// Runs every case of guest-sdk/numbers.json, which all SDKs share. Its results come from numpy, scipy, mpmath and
// uncertainties.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Arrivals, Lengths, LlemError, Quantity, Unavailable, reading, statistics } from "@llem/sdk";

import { pick, sample, shuffle } from "../node_modules/@llem/sdk/dist/shuffle.js";

/** How far a number may be from the expected one, relative to it. */
const TOLERANCE = 1e-12;

const { cases } = JSON.parse(readFileSync(new URL("../numbers.json", import.meta.url), "utf8"));

/** Reads numbers, which are texts if JSON has no spelling for them. */
const number = (value) => (typeof value === "string" ? Number(value) : value);
const quantity = ({ value, uncertainty, unit, source }) => new Quantity(value, uncertainty, unit, source);
const camel = (name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());

const readingOf = (given) => ("unavailable" in given ? new Unavailable(given.unavailable) : quantity(given));
const spelled = (result) => (result instanceof Unavailable ? { unavailable: result.reason } : result);
const onReadings = (name) => (given) =>
  spelled(reading[name](readingOf(given.first), readingOf(given.second), given.unit));

/** Calls `draw` with a source of the uniform numbers, which are all taken. Returns `undefined` if it throws. */
function drawn(uniforms, draw) {
  const left = [...uniforms];
  const given = {
    nextF64: () => {
      assert.ok(left.length > 0, "a case has as many uniform numbers as are taken");
      return left.shift();
    },
  };
  let result;
  try {
    result = draw(given);
  } catch (error) {
    assert.ok(error instanceof LlemError, error);
  }
  assert.equal(left.length, 0, "all uniform numbers are taken");
  return result;
}

const lengths = (name) => ({ uniforms, minimum, maximum, ...parameters }) => {
  const whole = Lengths[name](...Object.values(parameters));
  return drawn(uniforms, (given) => (minimum === undefined ? whole : whole.within(minimum, maximum)).draw(6, given));
};

/** Draws the offsets of a case until its uniform numbers are used up. Processes that take none are drawn six times. */
function offsets(arrivals, uniforms) {
  const left = [...uniforms];
  const given = {
    nextF64: () => {
      assert.ok(left.length > 0, "a case has as many uniform numbers as are taken");
      return left.shift();
    },
  };
  const times = arrivals.times();
  const drawn = Array.from({ length: 6 }, () => times.draw(given));
  assert.equal(left.length, 0, "all uniform numbers are taken");
  return drawn;
}

const FUNCTIONS = {
  weighted_mean: ({ values, weights }) => statistics.weightedMean(values, weights),
  weighted_percentile: ({ values, weights, p }) => statistics.weightedPercentile(values, weights, p),
  percentile: ({ values, p }) => statistics.percentile(values, p),
  t_quantile: ({ probability, freedom }) => statistics.tQuantile(probability, freedom),
  interval: ({ values, confidence }) => statistics.interval(values, confidence),
  "arrivals.poisson": ({ rate, uniforms }) => offsets(Arrivals.poisson(rate), uniforms),
  "arrivals.constant": ({ rate, uniforms }) => offsets(Arrivals.constant(rate), uniforms),
  "arrivals.gamma": ({ rate, burstiness, uniforms }) => offsets(Arrivals.gamma(rate, burstiness), uniforms),
  "arrivals.linear_ramp": ({ from, to, requests, uniforms }) => offsets(Arrivals.linearRamp(from, to, requests), uniforms),
  "arrivals.exponential_ramp": ({ from, to, requests, uniforms }) =>
    offsets(Arrivals.exponentialRamp(from, to, requests), uniforms),
  "arrivals.nanoseconds": async ({ seconds }) => {
    const { nanoseconds } = await import("../node_modules/@llem/sdk/dist/time.js");
    return nanoseconds(seconds);
  },
  "quantity.mean": ({ values, unit }) => Quantity.mean(values, unit),
  "quantity.mean_of": ({ quantities }) => Quantity.meanOf(quantities.map(quantity)),
  "quantity.plus": ({ first, second }) => quantity(first).plus(quantity(second)),
  "quantity.minus": ({ first, second }) => quantity(first).minus(quantity(second)),
  "quantity.times": ({ first, second, unit }) => quantity(first).times(quantity(second), unit),
  "quantity.over": ({ first, second, unit }) => quantity(first).over(quantity(second), unit),
  "quantity.per": ({ first, divisor, unit }) => quantity(first).per(divisor, unit),
  ...Object.fromEntries(["plus", "minus", "times", "over"].map((name) => [`reading.${name}`, onReadings(name)])),
  "reading.per": ({ first, divisor, unit }) => spelled(reading.per(readingOf(first), divisor, unit)),
  "reading.scaled": ({ first, factor, unit }) => spelled(reading.scaled(readingOf(first), factor, unit)),
  "reading.total": ({ readings, otherwise }) => spelled(reading.total(readings.map(readingOf), otherwise)),
  "reading.mean": ({ readings, otherwise }) => spelled(reading.mean(readings.map(readingOf), otherwise)),
  ...Object.fromEntries(
    ["fixed", "uniform", "normal", "exponential", "pareto", "lognormal"].map((name) => [`lengths.${name}`, lengths(name)]),
  ),
  "random.shuffle": ({ items, uniforms }) => {
    const shuffled = [...items];
    drawn(uniforms, (given) => shuffle(shuffled, given));
    return shuffled;
  },
  "random.sample": ({ count, population, uniforms }) => drawn(uniforms, (given) => sample(count, population, given)),
  "random.pick": ({ count, items, uniforms }) => drawn(uniforms, (given) => pick(count, items, given)),
};

/** Functions of the values alone have one form. */
const call = (name, given) => (FUNCTIONS[name] ?? (({ values }) => statistics[camel(name)](values)))(given);

function isEqual(result, expected) {
  if (expected === null) return result === undefined;
  if (Array.isArray(expected)) {
    return result?.length === expected.length && expected.every((one, index) => isEqual(result[index], one));
  }
  if (typeof expected === "object") return Object.keys(expected).every((key) => isEqual(result?.[key], expected[key]));
  if (typeof expected === "string" && Number.isNaN(Number(expected)) && expected !== "NaN") return result === expected;
  const wanted = number(expected);
  if (Number.isNaN(wanted)) return Number.isNaN(result);
  return Object.is(result, wanted) || result === wanted || Math.abs(result - wanted) <= TOLERANCE * Math.abs(wanted);
}

test("every case of the shared table agrees", async () => {
  const wrong = [];
  for (const { function: name, arguments: given, result: expected } of cases) {
    const read = { ...given, ...(given.values && { values: given.values.map(number) }), ...(given.weights && { weights: given.weights.map(number) }) };
    for (const key of ["p", "probability", "freedom", "confidence", "burstiness", "rate"]) {
      if (key in read) read[key] = number(read[key]);
    }
    const result = await call(name, read);
    if (!isEqual(result, expected)) wrong.push(`${name} ${JSON.stringify(given)}: ${JSON.stringify(result)}, not ${JSON.stringify(expected)}`);
  }
  assert.equal(wrong.length, 0, wrong.join("\n"));
  assert.ok(cases.length > 200);
});
