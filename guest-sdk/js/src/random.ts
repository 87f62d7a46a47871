/** Seeded random numbers that are the same on every machine. */

import { inputs } from "#host";
import { call, whole } from "./error.js";
import { pick, sample, shuffle } from "./shuffle.js";

/** A source of uniform random numbers: the host's {@link Random}, or another one in tests without a host. */
export interface UniformSource {
  /** Returns the next number, uniform in [0, 1). */
  nextF64(): number;
}

/**
 * A named stream of random numbers (ChaCha8) from the run's seed. The same name and seed give the same numbers on every
 * machine and in every language.
 *
 * The contract also has uniform numbers of 64 bits. They are not here, because the QuickJS back end passes them as
 * JavaScript numbers, which have 53 bits.
 */
export class Random implements UniformSource, Disposable {
  private readonly stream: inputs.Random;

  /** Opens the stream of this name at its beginning. */
  constructor(name: string) {
    this.stream = new inputs.Random(name);
  }

  /** Returns the next number, uniform in [0, 1), with 53 random bits. */
  nextF64(): number {
    return this.stream.nextF64();
  }

  /** Returns the results of `count` calls of {@link nextF64}, in one call of the host. */
  manyF64(count: number): number[] {
    return call(() => this.stream.manyF64(whole("count", count)));
  }

  /** Returns `count` token ids below `vocabulary`, each with the same probability. */
  tokens(count: number, vocabulary: number): number[] {
    return call(() => this.stream.tokens(whole("count", count), whole("vocabulary", vocabulary)));
  }

  /**
   * Returns `count` of the items, each drawn from all of them with the same probability. Throws `invalid-argument` if
   * there are no items.
   */
  pick<T>(count: number, items: readonly T[]): T[] {
    return pick(count, items, given(this.manyF64(count)));
  }

  /**
   * Returns `count` different whole numbers below `population`, in random order: drawn without replacement. Throws
   * `invalid-argument` if `population` is smaller than `count`.
   */
  sample(count: number, population: number): number[] {
    return sample(count, population, given(this.manyF64(count)));
  }

  /** Puts the items into random order. Each order has the same probability. */
  shuffle(items: unknown[]): void {
    shuffle(items, this);
  }

  /** Closes the stream. */
  [Symbol.dispose](): void {
    this.stream[Symbol.dispose]();
  }
}

/** Returns a source of numbers that were drawn in one call of the host. */
function given(numbers: readonly number[]): UniformSource {
  const left = numbers.values();
  return { nextF64: () => left.next().value as number };
}
