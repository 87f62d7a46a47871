/** The logits by which a script chooses a token. */

import type { batches } from "#host";
import { call, whole } from "./error.js";

/** A token with its logit and log-probability. */
export interface TokenLogit {
  /** The token. */
  readonly token: number;
  /** The logit that the model computed. */
  readonly logit: number;
  /** The natural logarithm of the token's probability. */
  readonly logProbability: number;
}

/** The logits of a sequence's next token. They do not change when the sequence goes on. */
export class Logits implements Disposable {
  private readonly logits: batches.Logits;

  /** @internal */
  constructor(logits: batches.Logits) {
    this.logits = logits;
  }

  /**
   * Returns the `count` most likely tokens, the most likely first. Tokens with equal logits are in the order of their
   * ids.
   */
  top(count: number): TokenLogit[] {
    return this.logits.top(whole("count", count));
  }

  /** Returns the logits of these tokens. Throws `invalid-argument` if an id is outside the vocabulary. */
  ofTokens(tokens: readonly number[]): TokenLogit[] {
    return call(() => this.logits.ofTokens(tokens.map((token) => whole("a token id", token))));
  }

  /** Returns all logits, in the order of the vocabulary. */
  all(): number[] {
    return this.logits.all();
  }

  /** Returns the entropy of the distribution, in nats. */
  entropy(): number {
    return this.logits.entropy();
  }

  /** Frees the logits. */
  [Symbol.dispose](): void {
    this.logits[Symbol.dispose]();
  }
}
