/** Loaded models: generation, scores, continuous batches and adapters. */

import { models } from "#host";
import { type AdapterInfo, adapterInfoFrom } from "./adapter-info.js";
import { Batch, type BatchOptions, batchOptionsToHost } from "./batch.js";
import { type Generation, type ScoreRequest, type Scoring, generationFrom, scoringFrom } from "./completion.js";
import { LlemError, call, whole } from "./error.js";
import { type LoadOptions, type Parallelism, loadOptionsToHost } from "./load-options.js";
import { type ModelInfo, modelInfoFrom } from "./model-info.js";
import type { Random } from "./random.js";
import { type Message, type Prompt, type Request, requestToHost } from "./request.js";
import { consume } from "./snapshot.js";
import { NS, type Seconds } from "./time.js";
import { Tokenizer } from "./tokenizer.js";

const tokenIds = (tokens: readonly number[]) => tokens.map((token) => whole("a token id", token));

/**
 * A loaded model. Its memory is free once it has been disposed of, which `using` does at the end of a scope. An open
 * batch keeps the model loaded until the batch is disposed of too.
 */
export class Model implements Disposable {
  private readonly model: models.Model;

  private constructor(model: models.Model) {
    this.model = model;
  }

  /** Loads a model. Loading is a phase of its own and is never included in measured totals. */
  static load(options: LoadOptions = {}): Model {
    return new Model(consume(loadOptionsToHost(options), (given) => call(() => models.Model.load(given))));
  }

  /** Loads the model that the user granted on the command line (`--model SOURCE`), with the command line's options. */
  static loadGranted(): Model {
    return Model.load();
  }

  /**
   * Loads the model that the user granted under this name (`--model NAME=SOURCE`), or a synthetic one
   * (`synthetic:PRESET`).
   */
  static loadNamed(name: string): Model {
    return Model.load({ model: name });
  }

  /** Loads the model that the user granted on the command line, split over ranks in this way. */
  static loadSplit(parallelism: Parallelism): Model {
    return Model.load({ parallelism });
  }

  /** Returns the properties of the model. */
  info(): ModelInfo {
    return modelInfoFrom(this.model);
  }

  /** Returns the maximum length of prompt and output together, in tokens. */
  contextLength(): number {
    return this.model.contextLength();
  }

  /** Returns the model's tokenizer. Throws `unsupported` if the model's folder has none. */
  tokenizer(): Tokenizer {
    const tokenizer = this.model.tokenizer();
    if (tokenizer === null) throw new LlemError("unsupported", "the model has no tokenizer");
    return new Tokenizer(tokenizer);
  }

  /**
   * Returns the tokens that stand for text: those of the tokenizer, without special ones, that the model has. Of a model
   * without a tokenizer they are all tokens.
   */
  ordinaryTokens(): number[] {
    const { vocabSize, hasTokenizer } = this.info();
    if (!hasTokenizer) return Array.from({ length: vocabSize }, (_, token) => token);
    return consume(this.tokenizer(), (tokenizer) => {
      const special = new Set(tokenizer.specialTokens().map(({ id }) => id));
      const count = Math.min(vocabSize, tokenizer.vocabSize());
      return Array.from({ length: count }, (_, token) => token).filter((token) => !special.has(token));
    });
  }

  /** Draws a prompt of random ordinary tokens for each length. Each of them has the same probability. */
  randomPrompts(random: Random, lengths: Iterable<number>): Prompt[] {
    const tokens = this.ordinaryTokens();
    return Array.from(lengths, (length) => random.pick(length, tokens));
  }

  /** Encodes text as tokens, with the special tokens that the tokenizer adds. */
  tokenize(text: string): number[] {
    return consume(this.tokenizer(), (tokenizer) => tokenizer.encode(text, true));
  }

  /** Decodes tokens to text, without special tokens. */
  detokenize(tokens: readonly number[]): string {
    return consume(this.tokenizer(), (tokenizer) => tokenizer.decode(tokens, false));
  }

  /** Renders a conversation with the model's chat template, ready for the assistant's turn. */
  applyChatTemplate(messages: readonly Message[]): string {
    return consume(this.tokenizer(), (tokenizer) => tokenizer.applyChatTemplate({ messages }));
  }

  /** Generates tokens for a static batch. Prefill and decode are timed separately. */
  generate(request: Request): Generation {
    const generation = consume(requestToHost(request), (asked) => call(() => this.model.generate(asked)));
    return consume(generation, generationFrom);
  }

  /** Computes the log-likelihoods of given continuations. */
  score(requests: readonly ScoreRequest[]): Scoring {
    const asked = requests.map(({ context, continuation }) => ({
      context: tokenIds(context),
      continuation: tokenIds(continuation),
    }));
    return consume(call(() => this.model.score(asked)), scoringFrom);
  }

  /**
   * Computes the log-likelihoods of whole texts of any length, one score for each text. Every token is scored once,
   * after as many previous tokens as the context holds, and the first one after `prefix` (lm-evaluation-harness'
   * `loglikelihood_rolling`).
   */
  scoreRolling(texts: ReadonlyArray<readonly number[]>, prefix: number): Scoring {
    const asked = texts.map(tokenIds);
    return consume(call(() => this.model.scoreRolling(asked, whole("prefix", prefix))), scoringFrom);
  }

  /** Opens a continuous batch and reserves its KV memory. */
  openBatch(options: BatchOptions): Batch {
    return new Batch(consume(batchOptionsToHost(options), (given) => call(() => this.model.openBatch(given))));
  }

  /**
   * Attaches a LoRA adapter in PEFT's format, without merging it. The source is a name or source that was granted with
   * `--adapter`, or `synthetic:rank=8,targets=q_proj+v_proj,alpha=16,seed=0`, where only the rank is required.
   */
  attachAdapter(source: string): AdapterInfo {
    return consume(call(() => this.model.attachAdapter(source)), adapterInfoFrom);
  }

  /**
   * Merges an attached adapter into the weights, for all prompts, and returns how long it took, in seconds. Only one
   * adapter can be merged at a time. Throws while a batch is open and for quantised weights.
   */
  mergeAdapter(name: string): Seconds {
    return call(() => this.model.mergeAdapter(name)) * NS;
  }

  /** Restores the weights bit by bit and returns how long it took, in seconds. The adapter stays attached. */
  unmergeAdapter(name: string): Seconds {
    return call(() => this.model.unmergeAdapter(name)) * NS;
  }

  /** Detaches an adapter, whether it is merged or not. The base weights are restored. */
  detachAdapter(name: string): void {
    call(() => this.model.detachAdapter(name));
  }

  /** Sets the adapter for scores, and for requests that do not choose one. `null` means the base weights. */
  useAdapter(name: string | null): void {
    call(() => this.model.useAdapter(name));
  }

  /** Returns the attached adapters. */
  adapters(): AdapterInfo[] {
    return this.model.adapters().map((one) => consume(one, adapterInfoFrom));
  }

  /**
   * Returns the host's resource, for modules of the SDK.
   *
   * @internal
   */
  resource(): models.Model {
    return this.model;
  }

  /** Frees the model's memory. */
  [Symbol.dispose](): void {
    this.model[Symbol.dispose]();
  }
}
