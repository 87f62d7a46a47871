/** Traces of requests in Mooncake's format: rows with `timestamp` (ms), `input_length`, `output_length`, `hash_ids`. */

import { LlemError } from "@llem/sdk";

/**
 * One request of a trace.
 *
 * @typedef {object} Entry
 * @property {number} timestamp when it was sent, in ms
 * @property {number} [inputLength] tokens of the prompt, which is made up
 * @property {string} [text] the prompt itself
 * @property {number} [outputLength] tokens to generate
 * @property {number[]} hashIds blocks of tokens that the prompt begins with; equal ids are equal tokens
 */

/**
 * The trace that is used if none is granted: three conversations whose turns share their beginnings, in blocks of 16
 * tokens. It takes two seconds.
 *
 * @type {object[]}
 */
export const SAMPLE = [
  { timestamp: 0, input_length: 40, output_length: 12, hash_ids: [0, 1, 2] },
  { timestamp: 120, input_length: 32, output_length: 8, hash_ids: [0, 3] },
  { timestamp: 130, input_length: 70, output_length: 6, hash_ids: [0, 1, 4, 5, 6] },
  { timestamp: 480, input_length: 56, output_length: 16, hash_ids: [0, 1, 7, 8] },
  { timestamp: 500, input_length: 30, output_length: 1, hash_ids: [9] },
  { timestamp: 510, input_length: 30, output_length: 10, hash_ids: [9] },
  { timestamp: 900, input_length: 48, output_length: 20, hash_ids: [0, 3, 10] },
  { timestamp: 1250, input_length: 20, output_length: 9 },
  { timestamp: 1260, input_length: 33, output_length: 11, hash_ids: [0, 1, 11] },
  { timestamp: 1900, input_length: 90, output_length: 14, hash_ids: [0, 1, 7, 12, 13] },
];

/**
 * Reads a row of a dataset or of the sample.
 *
 * @param {(name: string) => unknown} field returns a field's value, or undefined
 * @param {number} index of the row, for messages
 * @returns {Entry}
 */
export function entryOf(field, index) {
  const wrong = (message) => LlemError.invalidArgument(`trace, row ${index}: ${message}`);
  // What a row of JSON lacks may be null (text in a dataset), what a row of CSV lacks is an empty cell.
  const given = (name) => ([null, "null", ""].includes(field(name)) ? undefined : field(name));
  const number = (name, least) => {
    const value = given(name);
    if (value === undefined || (Number.isFinite(Number(value)) && Number(value) >= least)) {
      return value === undefined ? undefined : Number(value);
    }
    throw wrong(`${name} is ${value}: set it to a number of at least ${least}`);
  };
  for (const unsupported of ["messages", "payload", "session_id", "delay"]) {
    if (given(unsupported) !== undefined) {
      throw wrong(`it has '${unsupported}', which is not supported: give input_length or text_input, and timestamp`);
    }
  }
  const timestamp = number("timestamp", 0);
  if (timestamp === undefined) throw wrong("it has no timestamp: a fixed schedule needs one in each row");
  const [inputLength, text] = [number("input_length", 1), given("text_input")];
  if ((inputLength === undefined) === (text === undefined)) throw wrong("give either input_length or text_input");
  return { timestamp, inputLength, text, outputLength: number("output_length", 1), hashIds: listOf(given("hash_ids")) };

  /** A list is its JSON text in a dataset. */
  function listOf(value = []) {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    if (/^\[[\d\s,]*\]$/.test(text)) return JSON.parse(text);
    throw wrong(`hash_ids is ${text}: write whole numbers as [1, 2]`);
  }
}

/**
 * Keeps the entries of a window, both ends included, drops those with a longer input than `maxIsl`, and caps outputs at
 * `maxOsl`. A speed-up divides all times, to whole milliseconds, as AIPerf does; 1 leaves them as they are.
 *
 * @param {Entry[]} entries
 * @param {{ start?: number, end?: number, maxIsl?: number, maxOsl?: number, speedup: number }} options times in ms
 */
export function select(entries, { start = -Infinity, end = Infinity, maxIsl = Infinity, maxOsl, speedup }) {
  return entries
    .filter(({ timestamp }) => timestamp >= start && timestamp <= end)
    .filter(({ inputLength = 0 }) => inputLength <= maxIsl)
    .map((entry) => ({
      ...entry,
      timestamp: speedup === 1 ? entry.timestamp : Math.trunc(entry.timestamp / speedup),
      outputLength: maxOsl !== undefined && entry.outputLength > maxOsl ? maxOsl : entry.outputLength,
    }))
    .sort((a, b) => a.timestamp - b.timestamp);
}

/**
 * The sizes of the blocks and of the rest of a prompt, in tokens: whole blocks, of which the last may be cut; or whole
 * blocks and a rest that no block has.
 */
export function blockSizes({ inputLength, hashIds }, blockSize) {
  const whole = hashIds.length * blockSize;
  if (whole <= inputLength) return { sizes: hashIds.map(() => blockSize), rest: inputLength - whole };
  const last = inputLength - (hashIds.length - 1) * blockSize;
  if (last > 0) return { sizes: hashIds.map((_, at) => (at === hashIds.length - 1 ? last : blockSize)), rest: 0 };
  const message = `input_length is ${inputLength}, too short for ${hashIds.length} blocks of ${blockSize} tokens`;
  throw LlemError.invalidArgument(`trace: ${message}: set isl-block-size to the trace's own`);
}

/** Makes prompts whose blocks of equal ids have equal tokens. */
export class PromptMaker {
  /**
   * @param {number} blockSize tokens of a block
   * @param {(name: string, count: number) => number[]} draw draws tokens from the stream of this name
   */
  constructor(blockSize, draw) {
    Object.assign(this, { blockSize, draw, blocks: new Map() });
  }

  /** @param {Entry} entry with an input length */
  tokens(entry) {
    const { sizes, rest } = blockSizes(entry, this.blockSize);
    const tokens = sizes.flatMap((size, at) => this.block(entry.hashIds[at], size));
    return rest > 0 ? [...tokens, ...this.draw("prompts", rest)] : tokens;
  }

  block(id, size) {
    if (!this.blocks.has(id)) this.blocks.set(id, this.draw(`hash ${id}`, size));
    const block = this.blocks.get(id);
    if (block.length === size) return block;
    const message = `hash id ${id} stands for ${block.length} tokens and for ${size}`;
    throw LlemError.invalidArgument(`trace: ${message}: set isl-block-size to the trace's own`);
  }
}
