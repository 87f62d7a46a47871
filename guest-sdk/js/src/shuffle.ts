/** Draws with and without replacement, from uniform random numbers. */

import { LlemError } from "./error.js";
import type { UniformSource } from "./random.js";

/** Draws a whole number below `count`. The probabilities differ by less than `count` / 2^53. */
function below(count: number, uniform: UniformSource): number {
  return Math.floor(uniform.nextF64() * count);
}

/** Draws `count` items with replacement. */
export function pick<T>(count: number, items: readonly T[], uniform: UniformSource): T[] {
  if (count > 0 && items.length === 0) throw LlemError.invalidArgument("there are no items to pick from");
  return Array.from({ length: count }, () => items[below(items.length, uniform)] as T);
}

/** Draws `count` different whole numbers below `population`: the first places of a shuffle from the front. */
export function sample(count: number, population: number, uniform: UniformSource): number[] {
  if (count > population) {
    throw LlemError.invalidArgument(`${count} different numbers cannot be drawn from ${population}`);
  }
  // Only the places that differ from their index, so that a small sample of many takes little memory.
  const moved = new Map<number, number>();
  return Array.from({ length: count }, (_, index) => {
    const place = index + below(population - index, uniform);
    const drawn = moved.get(place) ?? place;
    moved.set(place, moved.get(index) ?? index);
    return drawn;
  });
}

/** Shuffles from the end (Durstenfeld, "Algorithm 235: Random permutation", CACM 7(7), 1964). */
export function shuffle(items: unknown[], uniform: UniformSource): void {
  for (let last = items.length - 1; last > 0; last--) {
    const place = below(last + 1, uniform);
    [items[last], items[place]] = [items[place], items[last]];
  }
}
