/** The points of a sweep: input and output lengths, concurrencies, and the requests of a point. */

/** The lengths that InferenceX has short names for (`utils/matrix_logic/generate_sweep_configs.py`). */
const NAMED = { "1k1k": [1024, 1024], "8k1k": [8192, 1024] };

/**
 * Parses lengths such as `1k1k,128_32` into `{ isl, osl }`. Returns `undefined` if a part is neither a short name nor
 * two whole numbers above 0.
 */
export function parseSeqLens(text) {
  const shapes = text.split(",").map((part) => {
    const numbers = NAMED[part.trim()] ?? (/^\s*\d+_\d+\s*$/.test(part) ? part.split("_").map(Number) : []);
    return numbers.length === 2 && numbers.every((number) => number > 0) ? numbers : undefined;
  });
  if (shapes.includes(undefined)) return undefined;
  return shapes.map(([isl, osl]) => ({ isl, osl }));
}

/** Returns the name of a shape as InferenceX writes it: `1k1k`, or `128_32` if there is no short name. */
export function seqLenName({ isl, osl }) {
  const found = Object.entries(NAMED).find(([, [input, output]]) => input === isl && output === osl);
  return found?.[0] ?? `${isl}_${osl}`;
}

/** Returns the shortest and the longest length for a range ratio: [r · L, L], and not [L (1 − r), L (1 + r)]. */
export function rangeOf(length, ratio) {
  return [Math.trunc(length * ratio), length];
}

/** Draws `count` lengths, each whole number of the range with the same probability, both ends included. */
export function drawLengths(random, length, ratio, count) {
  const [lower, upper] = rangeOf(length, ratio);
  return random.manyF64(count).map((share) => lower + Math.floor(share * (upper - lower + 1)));
}

/**
 * Draws the requests of a point: lengths of the prompt and of the output, and the tokens of the prompt. As in
 * `sample_random_requests`, prompt `i` counts up from a random token plus `i`, modulo the vocabulary.
 */
export function drawRequests(random, { isl, osl }, ratio, count, vocabulary) {
  const inputs = drawLengths(random, isl, ratio, count);
  const outputs = drawLengths(random, osl, ratio, count);
  const offsets = random.tokens(count, vocabulary);
  return inputs.map((length, index) => ({
    tokens: Array.from({ length }, (_, position) => (offsets[index] + index + position) % vocabulary),
    outputLen: outputs[index],
  }));
}
