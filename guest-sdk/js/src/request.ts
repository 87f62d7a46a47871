/** Requests: prompts, and how their tokens are chosen. */

import { requests } from "#host";
import type { Value } from "./about.js";
import { whole } from "./error.js";
import type { Random } from "./random.js";
import { type Sampling, readSampling, writeSampling } from "./sampling.js";
import { NS, type Seconds, nanoseconds } from "./time.js";

/** One turn of a conversation. */
export interface Message {
  /** The role: `system`, `user` or `assistant`. */
  readonly role: string;
  /** The text of the turn. */
  readonly content: string;
}

/** A conversation, which the model's chat template renders. */
export interface Chat {
  /** The turns of the conversation. */
  readonly messages: readonly Message[];
  /** Further variables of the chat template: `{ enable_thinking: false }`. */
  readonly arguments?: Readonly<Record<string, Value>>;
}

/**
 * The prompt of a sequence: text, which is encoded with the special tokens that the tokenizer adds, token ids, which are
 * used without change (at least one), or a conversation.
 */
export type Prompt = string | readonly number[] | Chat;

/** The adapter of a prompt: the name of an attached one, or `null` for the base weights. */
export type AdapterChoice = string | null;

/** Options of a request. All have defaults. */
export interface RequestOptions {
  /** The name of the request in the record, by which results are grouped. `request` by default. */
  readonly label?: string;
  /** The maximum number of tokens to generate for a sequence, 32 by default. With 0 nothing is sampled. */
  readonly maxNewTokens?: number;
  /** The minimum number of tokens to generate for a sequence. Tokens that would end it earlier are not chosen. */
  readonly minNewTokens?: number;
  /** Whether sequences continue after end-of-sequence tokens, so that every output has `maxNewTokens` tokens. */
  readonly ignoreEos?: boolean;
  /** Texts that end a sequence when its output contains one of them. */
  readonly stopTexts?: readonly string[];
  /** Tokens that end a sequence, in addition to the model's own. They count even if `ignoreEos` is set. */
  readonly stopTokens?: readonly number[];
  /** How tokens are chosen. Greedy by default. */
  readonly sampling?: Sampling;
  /**
   * The number of most likely tokens, at most 20, whose log-probabilities are returned for each position besides the
   * chosen token's. 0 returns only the chosen token's. By default there are none.
   */
  readonly logProbabilities?: number;
  /** Whether the LM head is computed for all positions of a prompt. Only allowed if `maxNewTokens` is 0. */
  readonly allPromptLogits?: boolean;
  /** Tokens that decode uses instead of choosing them, one list for each prompt. */
  readonly givenTokens?: ReadonlyArray<readonly number[]>;
  /** Whether the script chooses each token (`Batch.choose`). In continuous batches only. */
  readonly scriptChooses?: boolean;
  /**
   * The adapter that all prompts run with, or a list with a choice for each prompt. By default they run with the model's
   * adapter (`Model.useAdapter`).
   */
  readonly adapters?: AdapterChoice | readonly AdapterChoice[];
  /** Whether the cache of a sequence is kept when it ends, for `Batch.submitAfter`. In continuous batches only. */
  readonly holdsCache?: boolean;
  /**
   * When the runner sends the request, in seconds from the beginning of the measurement. By default as soon as the
   * schedule allows it.
   */
  readonly arrival?: Seconds;
}

/**
 * Prompts that are run together, and how their tokens are chosen.
 *
 * ```ts
 * Request.fromText("Why is the sky blue?", { label: "short", maxNewTokens: 64, sampling: { temperature: 0.7 } });
 * ```
 */
export class Request {
  /** The prompts. Each becomes one sequence. At least one. */
  readonly prompts: readonly Prompt[];
  /** The options, without those that have their defaults. */
  readonly options: RequestOptions;

  private constructor(prompts: readonly Prompt[], options: RequestOptions) {
    this.prompts = prompts;
    this.options = options;
  }

  /** Creates a request with one prompt of text. */
  static fromText(text: string, options: RequestOptions = {}): Request {
    return new Request([text], options);
  }

  /** Creates a request with one prompt of token ids. */
  static fromTokens(tokens: Iterable<number>, options: RequestOptions = {}): Request {
    return new Request([[...tokens]], options);
  }

  /** Creates a request with one conversation. */
  static fromChat(messages: Iterable<Message>, options: RequestOptions = {}): Request {
    return new Request([{ messages: [...messages] }], options);
  }

  /** Creates a request with several prompts: a static batch, or several sequences of a continuous batch. */
  static fromPrompts(prompts: Iterable<Prompt>, options: RequestOptions = {}): Request {
    return new Request([...prompts], options);
  }

  /** The name of the request in the record. Results are grouped by it. */
  get label(): string {
    return this.options.label ?? "request";
  }

  /** The maximum number of tokens to generate for a sequence. */
  get maxNewTokens(): number {
    return this.options.maxNewTokens ?? 32;
  }

  /** Returns a copy in which these options are changed. */
  with(options: RequestOptions): Request {
    return new Request(this.prompts, { ...this.options, ...options });
  }
}

/** Draws a prompt of `length` random tokens below `vocabulary`, each with the same probability. */
export function randomPrompt(random: Random, vocabulary: number, length: number): Prompt {
  return random.tokens(length, vocabulary);
}

/** @internal */
export function chatToHost(chat: Chat): requests.Chat {
  const messages = chat.messages.map(({ role, content }) => ({ role, content }));
  const value = (value: Value) =>
    typeof value === "string" ? { tag: "text" as const, val: value }
    : typeof value === "boolean" ? { tag: "boolean" as const, val: value }
    : Number.isInteger(value) ? { tag: "integer" as const, val: value }
    : { tag: "number" as const, val: value };
  const given = Object.entries(chat.arguments ?? {});
  return { messages, arguments: given.map(([name, one]): requests.ChatArgument => [name, value(one)]) };
}

function chatFromHost(chat: requests.Chat): Chat {
  const given = Object.fromEntries(chat.arguments.map(([name, value]) => [name, value.val]));
  return { messages: chat.messages, ...(chat.arguments.length > 0 && { arguments: given }) };
}

const tokenIds = (tokens: readonly number[]) => tokens.map((token) => whole("a token id", token));

const choice = (name: AdapterChoice): requests.AdapterChoice =>
  name === null ? { tag: "base-weights" } : { tag: "named", val: name };

/** @internal */
export function requestToHost(from: Request): requests.Request {
  const request = new requests.Request(from.label);
  for (const prompt of from.prompts) {
    if (typeof prompt === "string") request.addText(prompt);
    else if ("messages" in prompt) request.addChat(chatToHost(prompt));
    else request.addTokens(tokenIds(prompt));
  }
  const { options } = from;
  request.setMaxNewTokens(whole("maxNewTokens", from.maxNewTokens));
  // Options that have their default value are not set, which saves calls of the host.
  if (options.sampling) writeSampling(options.sampling, request);
  if (options.minNewTokens) request.setMinNewTokens(whole("minNewTokens", options.minNewTokens));
  if (options.ignoreEos) request.setIgnoresEos(true);
  if (options.stopTexts?.length) request.setStopTexts([...options.stopTexts]);
  if (options.stopTokens?.length) request.setStopTokens(tokenIds(options.stopTokens));
  if (options.logProbabilities !== undefined) {
    request.setLogProbabilities(whole("logProbabilities", options.logProbabilities));
  }
  if (options.allPromptLogits) request.setAllPromptLogits(true);
  if (options.givenTokens?.length) request.setGivenTokens(options.givenTokens.map(tokenIds));
  if (options.scriptChooses) request.setScriptChooses(true);
  if (options.adapters !== undefined) {
    const { adapters } = options;
    const isEach = typeof adapters === "object" && adapters !== null;
    request.setAdapters(isEach ? { tag: "each", val: adapters.map(choice) } : { tag: "same", val: choice(adapters) });
  }
  if (options.holdsCache) request.setHoldsCache(true);
  if (options.arrival !== undefined) request.setArrival(nanoseconds(options.arrival));
  return request;
}

function adaptersFrom(selection: requests.AdapterSelection): RequestOptions {
  const name = (one: requests.AdapterChoice): AdapterChoice => (one.tag === "named" ? one.val : null);
  switch (selection.tag) {
    case "of-model":
      return {};
    case "same":
      return { adapters: name(selection.val) };
    case "each":
      return { adapters: selection.val.map(name) };
  }
}

/** @internal */
export function requestFromHost(from: requests.Request): Request {
  const prompt = (_: unknown, index: number): Prompt => {
    const chat = from.promptChat(index);
    return from.promptText(index) ?? from.promptTokens(index) ?? (chat ? chatFromHost(chat) : []);
  };
  const [minNewTokens, stopTexts, stopTokens] = [from.minNewTokens(), from.stopTexts(), from.stopTokens()];
  const [sampling, logProbabilities, givenTokens] = [readSampling(from), from.logProbabilities(), from.givenTokens()];
  const arrival = from.arrival();
  return Request.fromPrompts(Array.from({ length: from.prompts() }, prompt), {
    label: from.label(),
    maxNewTokens: from.maxNewTokens(),
    ...(minNewTokens > 0 && { minNewTokens }),
    ...(from.ignoresEos() && { ignoreEos: true }),
    ...(stopTexts.length > 0 && { stopTexts }),
    ...(stopTokens.length > 0 && { stopTokens }),
    ...(sampling && { sampling }),
    ...(logProbabilities !== null && { logProbabilities }),
    ...(from.allPromptLogits() && { allPromptLogits: true }),
    ...(givenTokens.length > 0 && { givenTokens }),
    ...(from.scriptChooses() && { scriptChooses: true }),
    ...adaptersFrom(from.adapters()),
    ...(from.holdsCache() && { holdsCache: true }),
    ...(arrival !== null && { arrival: arrival * NS }),
  });
}
