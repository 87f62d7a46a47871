/** Tokenizers: text to tokens and back. */

import type { models } from "#host";
import { call, whole } from "./error.js";
import { type Chat, chatToHost } from "./request.js";

/** A token of a tokenizer that does not stand for text, such as the token that ends a text. */
export interface SpecialToken {
  /** The id of the token. */
  readonly id: number;
  /** The text of the token. */
  readonly text: string;
  /** Whether the tokenizer's files name the token, as in transformers' `all_special_ids`. */
  readonly isNamed: boolean;
}

/** A model's tokenizer. */
export class Tokenizer implements Disposable {
  private readonly tokenizer: models.Tokenizer;

  /** @internal */
  constructor(tokenizer: models.Tokenizer) {
    this.tokenizer = tokenizer;
  }

  /** Encodes text as tokens, with or without the special tokens that the tokenizer adds. */
  encode(text: string, withSpecialTokens = true): number[] {
    return call(() => this.tokenizer.encode(text, withSpecialTokens));
  }

  /**
   * Decodes tokens to text, with or without the special tokens among them. Throws `invalid-argument` if the tokenizer
   * does not have an id.
   */
  decode(tokens: readonly number[], withSpecialTokens = false): string {
    return call(() => this.tokenizer.decode(tokens.map((token) => whole("a token id", token)), withSpecialTokens));
  }

  /**
   * Renders a conversation with the model's chat template, ready for the assistant's turn. Throws `unsupported` if the
   * model has no template.
   */
  applyChatTemplate(chat: Chat): string {
    return call(() => this.tokenizer.applyChatTemplate(chatToHost(chat)));
  }

  /** Returns the number of tokens, including added ones. The model may have more logits than this. */
  vocabSize(): number {
    return this.tokenizer.vocabSize();
  }

  /** Returns the number of special tokens that encoding adds to a text. */
  addedTokens(): number {
    return this.tokenizer.addedTokens();
  }

  /** Returns whether encoding puts the token that begins a text before it. */
  addsBos(): boolean {
    const bos = this.bos();
    return bos !== undefined && this.encode("")[0] === bos;
  }

  /** Returns all special tokens. */
  specialTokens(): SpecialToken[] {
    return this.tokenizer.specialTokens();
  }

  /** Returns the token that begins a text, if the tokenizer's files name one. */
  bos(): number | undefined {
    return this.tokenizer.bos() ?? undefined;
  }

  /** Returns the token that ends a text, if the tokenizer's files name one. */
  eos(): number | undefined {
    return this.tokenizer.eos() ?? undefined;
  }

  /** Returns the padding token, if the tokenizer's files name one. */
  pad(): number | undefined {
    return this.tokenizer.pad() ?? undefined;
  }

  /** Returns the token for text that no other token covers, if the tokenizer's files name one. */
  unknown(): number | undefined {
    return this.tokenizer.unknown() ?? undefined;
  }

  /** Returns the text of a token in the tokenizer's own spelling. */
  tokenText(id: number): string | undefined {
    return this.tokenizer.tokenText(whole("a token id", id)) ?? undefined;
  }

  /** Returns the token with this text, in the tokenizer's own spelling. */
  tokenOf(text: string): number | undefined {
    return this.tokenizer.tokenOf(text) ?? undefined;
  }

  /** Frees the handle of the tokenizer. */
  [Symbol.dispose](): void {
    this.tokenizer[Symbol.dispose]();
  }
}
