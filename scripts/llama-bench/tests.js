/** The tests that llama-bench makes of its options, in its order (`get_cmd_params_instances`). */

/**
 * Parses a list of whole numbers and ranges: `512`, `0,512`, `1-9+4` (1, 5, 9), `128-1024*2` (128, 256, 512, 1024).
 * Returns `undefined` if the text is anything else.
 */
export function parseRange(text) {
  const numbers = [];
  for (const part of text.split(",")) {
    const match = /^(\d+)(?:-(\d+)(?:([+*])(\d+))?)?$/.exec(part.trim());
    if (!match) return undefined;
    const [first, last, step] = [Number(match[1]), Number(match[2] ?? match[1]), Number(match[4] ?? 1)];
    const next = match[3] === "*" ? (number) => number * step : (number) => number + step;
    for (let number = first; number <= last; number = next(number)) {
      numbers.push(number);
      if (next(number) <= number) return undefined;
    }
  }
  return numbers;
}

/** Parses pairs of prompt and generated tokens: `512,128;1024,64`. Returns `undefined` if the text is anything else. */
export function parsePairs(text) {
  const pairs = text.split(";").filter((pair) => pair.trim() !== "");
  const numbers = pairs.map((pair) => pair.split(",").map((part) => (/^\s*\d+\s*$/.test(part) ? Number(part) : NaN)));
  return numbers.every((pair) => pair.length === 2 && pair.every(Number.isInteger)) ? numbers : undefined;
}

/** Returns the tests for lists of prompt lengths, generation lengths, pairs of both, and depths. 0 makes no test. */
export function testsOf({ prompts, generations, pairs, depths }) {
  return depths.flatMap((depth) =>
    [
      ...prompts.map((prompt) => [prompt, 0]),
      ...generations.map((generation) => [0, generation]),
      ...pairs,
    ]
      .filter(([prompt, generation]) => prompt + generation > 0)
      .map(([prompt, generation]) => ({ prompt, generation, depth })),
  );
}

/** Returns the name of a test in the table: `pp512`, `tg128 @ d512`, `pp512+tg128`. */
export function nameOf({ prompt, generation, depth }) {
  const name =
    generation === 0 ? `pp${prompt}`
    : prompt === 0 ? `tg${generation}`
    : `pp${prompt}+tg${generation}`;
  return depth > 0 ? `${name} @ d${depth}` : name;
}
