/** Fails in the way that the parameter `way` names. */

import { About, LlemError, Random, experiment, parameter } from "@llem/sdk";

export const script = experiment({ about, run });

function about(): About {
  return new About("failing", "0.1.0", "Fails in a given way").text("way", "error", "how it fails");
}

interface Nested {
  readonly inner?: { readonly value: number };
}

const WAYS: Record<string, () => unknown> = {
  error: () => {
    throw new Error("it fails");
  },
  type: () => {
    const nested: Nested = {};
    return nested.inner!.value;
  },
  text: () => {
    throw "only a text";
  },
  cause: () => {
    throw new Error("outer", { cause: new RangeError("inner") });
  },
  own: () => {
    throw new LlemError("not-found", "there is no such thing");
  },
  host: () => parameter("undeclared", String),
  argument: () => new Random("tokens").tokens(-1, 10),
  promise: () => Promise.reject(new Error("nobody waits")),
  recursion: () => WAYS["recursion"]!(),
  memory: () => {
    const all: number[][] = [];
    for (;;) all.push(new Array<number>(1 << 20).fill(1.5));
  },
};

function run(): void {
  const way = WAYS[parameter("way", String)];
  const returned = way?.();
  if (returned instanceof Promise) return returned as unknown as void;
}
