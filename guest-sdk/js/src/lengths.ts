/** Lengths of prompts and outputs, in tokens, drawn from distributions. */

import { exponential, normal } from "./arrivals/gaps.js";
import { LlemError } from "./error.js";
import type { UniformSource } from "./random.js";

/** The longest length, which a request can hold. */
const LONGEST = 2 ** 32 - 1;

/** The distributions. */
export type LengthShape = "fixed" | "uniform" | "normal" | "exponential" | "pareto" | "lognormal";

/**
 * A distribution of lengths, in tokens.
 *
 * A drawn number is limited to the bounds and then rounded. Numbers beyond a bound become the bound itself, so the mean of
 * the lengths differs from that of the distribution if the bounds cut much of it off. Bounds are 1 and 2^32 - 1 unless
 * {@link within} sets others.
 *
 * ```ts
 * const lengths = Lengths.normal(512, 128).within(16, 1024).draw(100, new Random("prompts"));
 * ```
 */
export class Lengths {
  /** The distribution. */
  readonly shape: LengthShape;
  /** The mean or, of a uniform distribution, the lower end. */
  readonly first: number;
  /** The standard deviation, the shape of a Pareto distribution, or the upper end of a uniform one. */
  readonly second: number;
  /** The smallest length. */
  readonly minimum: number;
  /** The largest length. */
  readonly maximum: number;

  private constructor(shape: LengthShape, first: number, second: number, minimum = 1, maximum = LONGEST) {
    this.shape = shape;
    this.first = first;
    this.second = second;
    this.minimum = minimum;
    this.maximum = maximum;
  }

  /** Makes all lengths equal. No random number is drawn. The length may be 0. */
  static fixed(length: number): Lengths {
    return new Lengths("fixed", length, 0, Math.min(length, 1));
  }

  /** Draws each length from `low` to `high`, both included, with the same probability. */
  static uniform(low: number, high: number): Lengths {
    return new Lengths("uniform", low, high, Math.min(low, 1));
  }

  /** Draws lengths from a normal distribution of this mean and standard deviation. */
  static normal(mean: number, deviation: number): Lengths {
    return new Lengths("normal", mean, deviation);
  }

  /** Draws lengths from an exponential distribution of this mean. */
  static exponential(mean: number): Lengths {
    return new Lengths("exponential", mean, 0);
  }

  /**
   * Draws lengths from a Pareto distribution of this mean and shape (exponent), which is above 1. The smallest number of
   * the distribution is `mean * (shape - 1) / shape`.
   */
  static pareto(mean: number, shape: number): Lengths {
    return new Lengths("pareto", mean, shape);
  }

  /** Draws lengths from a log-normal distribution of this mean and standard deviation (not of the logarithm). */
  static lognormal(mean: number, deviation: number): Lengths {
    return new Lengths("lognormal", mean, deviation);
  }

  /** Limits the lengths. */
  within(minimum: number, maximum: number): Lengths {
    return new Lengths(this.shape, this.first, this.second, minimum, maximum);
  }

  /**
   * Draws `count` lengths. `uniform` is a `Random`. Throws `invalid-argument` if the distribution does not exist, such as
   * one of a mean of zero.
   */
  draw(count: number, uniform: UniformSource): number[] {
    const problem = this.problem();
    if (problem !== undefined) {
      throw LlemError.invalidArgument(`the distribution of lengths '${this.shape}': ${problem}`);
    }
    return Array.from({ length: count }, () => {
      const number = Math.min(Math.max(this.number(uniform), this.minimum), this.maximum);
      return Math.floor(number + 0.5);
    });
  }

  /** Returns why the distribution does not exist, or `undefined` if it does. */
  private problem(): string | undefined {
    const { shape, first, second, minimum, maximum } = this;
    const isNumber = (number: number) => Number.isFinite(number) && number >= 0;
    return !isNumber(first) || !isNumber(second) ? `${first} and ${second} are not both numbers from 0`
      : shape !== "fixed" && shape !== "uniform" && first === 0 ? "its mean is 0"
      : shape === "pareto" && second <= 1 ? `its shape ${second} is not above 1`
      : shape === "uniform" && first > second ? `${first} is above ${second}`
      : !(0 <= minimum && minimum <= maximum && maximum <= LONGEST) ? `there is no length from ${minimum} to ${maximum}`
      : undefined;
  }

  private number(uniform: UniformSource): number {
    const { shape, first, second } = this;
    switch (shape) {
      case "fixed":
        return first;
      case "uniform":
        return first + Math.floor(uniform.nextF64() * (second - first + 1));
      case "normal":
        return first + second * normal(uniform);
      case "exponential":
        return first * exponential(uniform);
      case "pareto":
        return ((first * (second - 1)) / second) * Math.exp(exponential(uniform) / second);
      case "lognormal": {
        // The variance of the logarithm.
        const variance = Math.log1p((second / first) ** 2);
        return first * Math.exp(Math.sqrt(variance) * normal(uniform) - variance / 2);
      }
    }
  }
}
