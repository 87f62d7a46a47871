/** Facts about the machine, the build and the run. */

import { facts } from "#host";

/** Returns all facts that are known, by name. */
export function listFacts(): ReadonlyMap<string, string> {
  return new Map(facts.listFacts());
}

/** Returns the fact of this name, such as `llem-version`, `cpu` or `cuda-0-power-limit`, or `undefined`. */
export function fact(name: string): string | undefined {
  return listFacts().get(name);
}

/** Returns the time when the run began. */
export function runBegan(): Date {
  return new Date(facts.runBegan() * 1000);
}
