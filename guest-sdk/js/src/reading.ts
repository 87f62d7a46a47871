/**
 * Arithmetic on readings: on numbers any of which may be unavailable.
 *
 * A result is unavailable if an input is, with the reason of the first such input. Otherwise the uncertainty is propagated
 * as in the methods of `Quantity` with the same names.
 */

import { Quantity, type Reading, Unavailable } from "./quantity.js";

const ZERO = "the divisor is zero";

/** Returns the value of a reading, or `undefined` if it is unavailable. */
export function value(reading: Reading): number | undefined {
  return reading instanceof Quantity ? reading.value : undefined;
}

/** Calls a function of two quantities. `otherwise` is the reason if it has no result. */
function both(
  one: Reading,
  other: Reading,
  make: (one: Quantity, other: Quantity) => Quantity | undefined,
  otherwise: (one: Quantity, other: Quantity) => string,
): Reading {
  if (one instanceof Unavailable) return one;
  if (other instanceof Unavailable) return other;
  return make(one, other) ?? new Unavailable(otherwise(one, other));
}

/** Adds two readings. The sum is unavailable if their units differ. */
export function plus(one: Reading, other: Reading): Reading {
  return both(one, other, (a, b) => a.plus(b), (a, b) => `${a.unit} and ${b.unit} cannot be added`);
}

/** Subtracts a reading. The difference is unavailable if the units differ. */
export function minus(one: Reading, other: Reading): Reading {
  return both(one, other, (a, b) => a.minus(b), (a, b) => `${b.unit} cannot be subtracted from ${a.unit}`);
}

/** Multiplies two readings. `unit` is the unit of the product. */
export function times(one: Reading, other: Reading, unit: string): Reading {
  return both(one, other, (a, b) => a.times(b, unit), () => "");
}

/** Multiplies by an exact number. `unit` is the unit of the product. */
export function scaled(one: Reading, factor: number, unit: string): Reading {
  return times(one, Quantity.exact(factor, unit, "counted"), unit);
}

/** Divides by a reading. `unit` is the unit of the ratio. The ratio is unavailable if the divisor is zero. */
export function over(one: Reading, divisor: Reading, unit: string): Reading {
  return both(one, divisor, (a, b) => a.over(b, unit), () => ZERO);
}

/** Divides by an exact number. `unit` is the unit of the ratio. The ratio is unavailable if the divisor is zero. */
export function per(one: Reading, divisor: number, unit: string): Reading {
  return over(one, Quantity.exact(divisor, unit, "counted"), unit);
}

/** Adds all readings. `otherwise` is the reason if there are none. */
export function total(readings: Iterable<Reading>, otherwise: string): Reading {
  let found: Reading | undefined;
  for (const reading of readings) found = found === undefined ? reading : plus(found, reading);
  return found ?? new Unavailable(otherwise);
}

/** Computes the mean of repeated readings (`Quantity.meanOf`). `otherwise` is the reason if there are none. */
export function mean(readings: Iterable<Reading>, otherwise: string): Reading {
  const quantities: Quantity[] = [];
  for (const reading of readings) {
    if (reading instanceof Unavailable) return reading;
    quantities.push(reading);
  }
  const [first] = quantities;
  if (first === undefined) return new Unavailable(otherwise);
  const different = quantities.find(({ unit }) => unit !== first.unit);
  return Quantity.meanOf(quantities) ?? new Unavailable(`${first.unit} and ${different?.unit} cannot be averaged`);
}
