/** Results of requests: completions, generations and scores. */

import type { generations } from "#host";
import { type Measurement, measurementFrom } from "./measurement.js";
import { type Reading, Unavailable, readingFrom } from "./quantity.js";
import { consume, snapshot } from "./snapshot.js";
import { NS, type Nanoseconds } from "./time.js";

/**
 * The reason why a sequence ended. Later versions of the contract may add reasons, so any other string is possible too.
 *
 * - `eos`: an end-of-sequence token was generated. It is the last token of the sequence.
 * - `length`: the maximum number of tokens was generated, or the given tokens ended.
 * - `stop`: a stop text appeared, or a stop token was generated, which is then the last token of the sequence.
 * - `context`: the model's context was full.
 * - `interrupted`: the run was interrupted.
 * - `cancelled`: the script cancelled the sequence.
 */
export type FinishReason = "eos" | "length" | "stop" | "context" | "interrupted" | "cancelled" | (string & {});

/** The log-probability of a token. */
export interface TokenLogProbability {
  /** The token. */
  readonly token: number;
  /** The natural logarithm of the token's probability, from the model's own logits. */
  readonly logProbability: number;
}

/** The log-probabilities of a generated token and of the most likely tokens in its place. */
export interface TokenLogProbabilities {
  /** The token that was chosen. */
  readonly chosen: TokenLogProbability;
  /** The most likely tokens, the most likely first. */
  readonly top: readonly TokenLogProbability[];
}

/** The fields of a {@link Completion}. */
export interface CompletionFields {
  /** The sequence's id that `Batch.submit` returned. In a static batch, the index of the prompt. */
  readonly sequence: number;
  /** The number of prompt tokens that were run. Tokens taken from a cache are not included. */
  readonly promptTokens: number;
  /** The number of tokens before the prompt tokens whose keys and values were already in a cache. */
  readonly cachedTokens: number;
  /** The generated tokens. */
  readonly tokens: readonly number[];
  /** The text of the generated tokens. `undefined` if the model has no tokenizer. */
  readonly text: string | undefined;
  /** The reason why the sequence ended. */
  readonly finish: FinishReason;
  /** When the sequence was submitted, or its scheduled arrival. TTFT counts from here. */
  readonly submitted: Nanoseconds;
  /** When the batch admitted the sequence. `undefined` if it ended before that, and in static batches. */
  readonly admitted: Nanoseconds | undefined;
  /** Whether a step was running at the scheduled arrival, so that the sequence had to wait for it. */
  readonly dueInStep: boolean;
  /** When the first pass over tokens of this sequence began. `undefined` if there was no pass. */
  readonly started: Nanoseconds | undefined;
  /** When each generated token was on the host. It has the length of `tokens`. */
  readonly tokenTimes: readonly Nanoseconds[];
  /** The log-probabilities of each generated token. Empty if the request did not ask for them. */
  readonly logProbabilities: readonly TokenLogProbabilities[];
  /** The adapter that the sequence ran with. `undefined` means the base weights. */
  readonly adapter: string | undefined;
  /**
   * The sequence's share of the energy of its steps, in J. In a continuous batch it is not known yet when a sequence
   * ends. There `Batch.sequenceEnergy` returns it.
   */
  readonly energy: Reading;
}

export interface Completion extends CompletionFields {}

/** The result of one prompt: its tokens, their times, and the energy that they took. */
export class Completion {
  /** Creates a completion from its fields. */
  constructor(fields: CompletionFields) {
    Object.assign(this, fields);
  }

  /**
   * Creates the completion of a sequence that was submitted at this time and had its tokens at these times. All other
   * fields are zero or empty unless they are given. It is meant for tests of policies and metrics, which have no host.
   */
  static fromTokenTimes(
    submitted: Nanoseconds,
    tokenTimes: readonly Nanoseconds[],
    fields: Partial<CompletionFields> = {},
  ): Completion {
    return new Completion({
      sequence: 0,
      promptTokens: 0,
      cachedTokens: 0,
      tokens: tokenTimes.map(() => 0),
      text: undefined,
      finish: "length",
      submitted,
      admitted: undefined,
      dueInStep: false,
      started: undefined,
      tokenTimes,
      logProbabilities: [],
      adapter: undefined,
      energy: new Unavailable("no energy was measured"),
      ...fields,
    });
  }

  /** Returns the time to first token, in seconds, or `undefined` if there is no token. */
  ttft(): number | undefined {
    const first = this.tokenTimes[0];
    return first === undefined ? undefined : Math.max(first - this.submitted, 0) * NS;
  }

  /** Returns the mean time per output token after the first, in seconds, or `undefined` if there are fewer than two. */
  tpot(): number | undefined {
    const [first, last] = [this.tokenTimes[0], this.tokenTimes.at(-1)];
    const gaps = this.tokenTimes.length - 1;
    if (first === undefined || last === undefined || gaps === 0) return undefined;
    return (Math.max(last - first, 0) * NS) / gaps;
  }

  /** Returns the end-to-end latency, up to the last token, in seconds, or `undefined` if there is no token. */
  e2el(): number | undefined {
    const last = this.tokenTimes.at(-1);
    return last === undefined ? undefined : Math.max(last - this.submitted, 0) * NS;
  }
}

/** The result of a static batch. The host measures it from just before the work to just after it. */
export interface Generation {
  /** One completion for each prompt, in order. */
  readonly completions: readonly Completion[];
  /** The time of prompt processing of the whole batch, up to the first sampled tokens. */
  readonly prefillTime: Nanoseconds;
  /** The time from the first sampled tokens to the last token. */
  readonly decodeTime: Nanoseconds;
  /** The time and energy of exactly this request. */
  readonly measurement: Measurement;
}

/**
 * Returns when the batch was submitted and when each step had all its tokens, in ns since the run began.
 *
 * A step gives one token to each sequence that has not ended. It is over when the last of them has its token. So the second
 * time ends prefill, and differences of later ones are the times of decode steps.
 */
export function stepTimes(generation: Generation): Nanoseconds[] {
  const { completions, measurement } = generation;
  if (completions.length === 0) return [measurement.started];
  const times = [completions.reduce((first, { submitted }) => Math.min(first, submitted), Infinity)];
  for (const { tokenTimes } of completions) {
    tokenTimes.forEach((time, step) => (times[step + 1] = Math.max(times[step + 1] ?? 0, time)));
  }
  return times;
}

/** A continuation whose likelihood is computed. */
export interface ScoreRequest {
  /** The tokens before the continuation. At least one. */
  readonly context: readonly number[];
  /** The tokens that are scored. At least one. */
  readonly continuation: readonly number[];
}

/** The likelihood of a continuation. */
export interface Score {
  /** The natural logarithm of the probability of each continuation token, given all tokens before it. */
  readonly logLikelihoods: readonly number[];
  /** Whether greedy decoding would produce exactly this continuation. */
  readonly isGreedy: boolean;
}

/** The scores of continuations that were scored together. */
export interface Scoring {
  /** One score for each continuation, in order. */
  readonly scores: readonly Score[];
  /** The time and energy of exactly this scoring. */
  readonly measurement: Measurement;
}

/** @internal */
export function completionFrom(from: generations.Completion): Completion {
  return new Completion({
    ...snapshot(from, [
      "sequence",
      "promptTokens",
      "cachedTokens",
      "tokens",
      "text",
      "finish",
      "submitted",
      "admitted",
      "dueInStep",
      "started",
      "tokenTimes",
      "logProbabilities",
      "adapter",
    ]),
    energy: readingFrom(from.energy()),
  });
}

/** @internal */
export function generationFrom(from: generations.Generation): Generation {
  return {
    completions: from.completions().map((one) => consume(one, completionFrom)),
    prefillTime: from.prefillTime(),
    decodeTime: from.decodeTime(),
    measurement: consume(from.measurement(), measurementFrom),
  };
}

/** @internal */
export function scoringFrom(from: generations.Scoring): Scoring {
  return { scores: from.scores(), measurement: consume(from.measurement(), measurementFrom) };
}
