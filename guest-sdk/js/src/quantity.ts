/**
 * Quantities: numbers with an uncertainty, a unit and a source, and arithmetic on them.
 *
 * Uncertainties propagate to first order for independent inputs (JCGM 100:2008, GUM, 5.1.2). Quantities from a power
 * model are different: its error is the same in each of them, so their uncertainties are fully correlated and add up
 * linearly (GUM 5.2.2, note 1).
 */

import type { types } from "#host";
import { Metric } from "./metric.js";
import { mean, standardError } from "./statistics.js";

/**
 * The source of a number. Later versions of the contract may add sources, so any other string is possible too.
 *
 * - `clock`: a monotonic clock of the host.
 * - `counted`: an exact count of tokens, bytes or requests.
 * - `nvml-counter`: NVML's cumulative energy counter of a GPU.
 * - `nvml-power`: NVML's power field, integrated over time by the host.
 * - `rapl`: RAPL's cumulative energy counter of a CPU package or its DRAM.
 * - `sensor`: an instantaneous reading of a device.
 * - `analytic`: a computation from the model's shape, not an observation.
 * - `derived`: a computation from other quantities.
 * - `modelled`: a power model that the user declared, or a property that is known for a kind of device.
 * - `datasheet`: a vendor's datasheet.
 * - `simulated`: a simulation of the hardware, not a reading of a machine.
 * - `script`: a statement of a script.
 */
export type Source =
  | "clock"
  | "counted"
  | "nvml-counter"
  | "nvml-power"
  | "rapl"
  | "sensor"
  | "analytic"
  | "derived"
  | "modelled"
  | "datasheet"
  | "simulated"
  | "script"
  | (string & {});

/** The reason why a quantity is not available. */
export class Unavailable {
  /** One sentence for people. */
  readonly reason: string;

  /** Creates an unavailable quantity from its reason. */
  constructor(reason: string) {
    this.reason = reason;
  }
}

/** A quantity, or the reason why it is not available. Zero means a measured zero. */
export type Reading = Quantity | Unavailable;

/** Returns the quantity of a reading, or `undefined` if it is not available. */
export function known(reading: Reading): Quantity | undefined {
  return reading instanceof Quantity ? reading : undefined;
}

/**
 * A number with its standard uncertainty, unit and source.
 *
 * ```ts
 * // 50 J with an uncertainty of 1 J, over 20 tokens: 2.5 ± 0.05 J/{token}.
 * const energy = new Quantity(50, 1, "J", "nvml-counter");
 * const each = energy.per(20, "J/{token}");
 * ```
 */
export class Quantity {
  /** The value, in `unit`. */
  readonly value: number;
  /** The standard uncertainty (one standard deviation, GUM 4.2.3) in `unit`. It is 0 for an exact number. */
  readonly uncertainty: number;
  /** The unit, in UCUM's spelling if UCUM has it: `J`, `W`, `s`, `Cel`, `MHz`, `FLOP`, `{token}/s`. */
  readonly unit: string;
  /** The source of the value. */
  readonly source: Source;

  /** Creates a quantity with a standard uncertainty, whose sign is ignored. */
  constructor(value: number, uncertainty: number, unit: string, source: Source) {
    this.value = value;
    this.uncertainty = Math.abs(uncertainty);
    this.unit = unit;
    this.source = source;
  }

  /** Creates a quantity without uncertainty. */
  static exact(value: number, unit: string, source: Source): Quantity {
    return new Quantity(value, 0, unit, source);
  }

  /**
   * Computes the mean of repeated values, with the standard deviation of the mean as its uncertainty (GUM 4.2.3).
   * Returns `undefined` if there are no values. A single value has no known spread and gets an uncertainty of 0.
   */
  static mean(values: readonly number[], unit: string): Quantity | undefined {
    const average = mean(values);
    return average === undefined ? undefined : new Quantity(average, standardError(values) ?? 0, unit, "derived");
  }

  /**
   * Computes the mean of repeated quantities. The uncertainty is the standard deviation of the mean, or the mean's
   * uncertainty propagated from the quantities if that is larger. Returns `undefined` if there are no quantities or if
   * their units differ.
   */
  static meanOf(quantities: Iterable<Quantity>): Quantity | undefined {
    const all = [...quantities];
    const unit = all[0]?.unit;
    if (unit === undefined || all.some((one) => one.unit !== unit)) return undefined;
    const average = Quantity.mean(all.map((one) => one.value), unit) as Quantity;
    const isModelled = all.some((one) => one.source === "modelled");
    const own = all.reduce((sum, { uncertainty }) => (isModelled ? sum + uncertainty : hypot(sum, uncertainty)), 0);
    const source = all.reduce((source, one) => derived(source, one.source), average.source);
    return new Quantity(average.value, Math.max(average.uncertainty, own / all.length), unit, source);
  }

  /** Formats the value and its uncertainty with two digits of the uncertainty: `12.34 ± 0.56`. */
  inTwoDigits(): string {
    const digits = this.uncertainty > 0 ? 1 - Math.floor(Math.log10(this.uncertainty)) : 1;
    const decimals = Math.min(Math.max(digits, 0), 9);
    return `${this.value.toFixed(decimals)} ± ${this.uncertainty.toFixed(decimals)}`;
  }

  /** Adds two quantities. Returns `undefined` if their units differ. */
  plus(other: Quantity): Quantity | undefined {
    if (this.unit !== other.unit) return undefined;
    const isModelled = this.source === "modelled" && other.source === "modelled";
    const uncertainty = isModelled
      ? this.uncertainty + other.uncertainty
      : hypot(this.uncertainty, other.uncertainty);
    const source = this.source === other.source ? this.source : derived(this.source, other.source);
    return new Quantity(this.value + other.value, uncertainty, this.unit, source);
  }

  /** Subtracts a quantity. Returns `undefined` if the units differ. */
  minus(other: Quantity): Quantity | undefined {
    return this.plus(new Quantity(-other.value, other.uncertainty, other.unit, other.source));
  }

  /** Multiplies two quantities. `unit` is the unit of the product. */
  times(other: Quantity, unit: string): Quantity {
    const uncertainty = hypot(this.uncertainty * other.value, other.uncertainty * this.value);
    return new Quantity(this.value * other.value, uncertainty, unit, derived(this.source, other.source));
  }

  /** Divides by a quantity. `unit` is the unit of the ratio. Returns `undefined` if the divisor is zero. */
  over(divisor: Quantity, unit: string): Quantity | undefined {
    if (divisor.value === 0) return undefined;
    const value = this.value / divisor.value;
    // u(a/b) = sqrt(u(a)^2 + (a/b)^2 u(b)^2) / |b|, which also holds at a = 0.
    const uncertainty = hypot(this.uncertainty, value * divisor.uncertainty) / divisor.value;
    return new Quantity(value, uncertainty, unit, derived(this.source, divisor.source));
  }

  /** Divides by an exact number. `unit` is the unit of the ratio. Returns `undefined` if the divisor is zero. */
  per(divisor: number, unit: string): Quantity | undefined {
    return this.over(Quantity.exact(divisor, unit, "counted"), unit);
  }

  /** Turns the quantity into a metric of this name. */
  intoMetric(name: string): Metric {
    return new Metric(name, this);
  }
}

/** `Math.hypot` differs between engines in the last digit, which would make results depend on the engine. */
function hypot(one: number, other: number): number {
  const [low, high] = [Math.abs(one), Math.abs(other)].sort((a, b) => a - b) as [number, number];
  return high === 0 ? 0 : high * Math.sqrt(1 + (low / high) ** 2);
}

/**
 * Returns the source of a result of two quantities. A result of an input that was not measured does not count as
 * measured either: it has that input's source.
 */
function derived(one: Source, other: Source): Source {
  const notMeasured = ["script", "simulated", "modelled"];
  return notMeasured.find((source) => source === one || source === other) ?? "derived";
}

/** @internal */
export function quantityFrom(given: types.Quantity): Quantity {
  return new Quantity(given.value, given.uncertainty, given.unit, given.source);
}

/** @internal */
export function readingFrom(reading: types.Reading): Reading {
  return reading.tag === "known" ? quantityFrom(reading.val) : new Unavailable(reading.val);
}
