/** Continuous batching controlled by the script. */

import { batches } from "#host";
import { type Completion, completionFrom } from "./completion.js";
import { call, whole } from "./error.js";
import { Logits } from "./logits.js";
import { type Reading, readingFrom } from "./quantity.js";
import { type Request, requestToHost } from "./request.js";
import { consume, snapshot } from "./snapshot.js";
import type { Nanoseconds } from "./time.js";

/** Options of a continuous batch. */
export interface BatchOptions {
  /** The maximum number of sequences that run at a time. At least 1. */
  readonly maxSequences: number;
  /**
   * The maximum number of tokens of one sequence, prompt and output together. KV memory is reserved for this many. By
   * default the model's context length, which may take a lot of memory.
   */
  readonly maxTokens?: number;
  /** The maximum number of prompt rows in a step, at least 1 and 512 by default. */
  readonly prefillChunk?: number;
  /**
   * The maximum number of rows in a step, prompt and decode together, at least `maxSequences`. Decode rows are taken
   * first (vLLM's `max_num_batched_tokens`). No limit by default.
   */
  readonly maxRows?: number;
  /** Whether a request that needs more KV memory than is free now is refused. Otherwise its sequences wait. */
  readonly refusesWhenFull?: boolean;
  /** Whether prompts reuse keys and values that are already in the cache. */
  readonly prefixCache?: boolean;
}

/** A token that a step produced. */
export interface StepToken {
  /** The sequence's id that `submit` returned. */
  readonly sequence: number;
  /** The token. */
  readonly token: number;
  /** When the token was on the host. */
  readonly at: Nanoseconds;
}

/** The result of one or several steps. */
export interface Progress {
  /** The number of steps that were run. It is 0 if there was nothing to run. */
  readonly steps: number;
  /** The tokens that the steps produced. */
  readonly tokens: readonly StepToken[];
  /** The sequences that ended in these steps, or were cancelled since the previous ones. */
  readonly ended: readonly Completion[];
  /** The number of prompt tokens that were run. */
  readonly promptTokens: number;
  /** When the first step began. */
  readonly started: Nanoseconds;
  /** When the tokens of the last step were on the host. */
  readonly finished: Nanoseconds;
}

/** The number of sequences in a batch, and the use of its KV memory. */
export interface BatchStatus {
  /** The number of sequences that run. */
  readonly running: number;
  /** The number of sequences that wait for KV memory. */
  readonly waiting: number;
  /** The number of sequences that have not arrived yet. */
  readonly scheduled: number;
  /** Reserved KV memory, in bytes. */
  readonly kvBytes: number;
  /** Reserved KV memory, in positions. One position holds the keys and values of one token. */
  readonly kvCapacity: number;
  /** The number of positions that hold a token of a running sequence. */
  readonly kvUsed: number;
  /** The number of prompt tokens that were looked up in the prefix cache. */
  readonly prefixQueries: number;
  /** The number of prompt tokens that were found in the prefix cache. */
  readonly prefixHits: number;
}

/**
 * A continuous batch. Sequences join and leave at any step, and the tokens of one do not depend on the others. It can be
 * iterated over: each turn runs one step, until none is left to run.
 *
 * ```ts
 * using batch = model.openBatch({ maxSequences: 8 });
 * batch.submit(request);
 * for (const step of batch) console.log(step.tokens.length);
 * ```
 */
export class Batch implements Iterable<Progress>, Disposable {
  private readonly batch: batches.Batch;

  /** @internal */
  constructor(batch: batches.Batch) {
    this.batch = batch;
  }

  /**
   * Adds every prompt of the request as a sequence and returns the ids of the sequences.
   *
   * TTFT counts from `arrival`, by default from now. If it is in the future, the host admits the request at that time,
   * or as soon as the step that runs then has ended.
   */
  submit(request: Request, arrival?: Nanoseconds): number[] {
    return consume(requestToHost(request), (asked) => call(() => this.batch.submit(asked, arrival ?? null)));
  }

  /**
   * Continues an ended sequence with the one prompt of the request, and returns the id of the new sequence. The request
   * of the ended sequence must have kept its cache (`holdsCache`).
   *
   * With `fork` the cache is copied, and the ended sequence keeps it too. Otherwise it moves to the new sequence. Throws
   * `not-found` if no ended sequence of that id holds a cache.
   */
  submitAfter(sequence: number, fork: boolean, request: Request, arrival?: Nanoseconds): number {
    return consume(requestToHost(request), (asked) =>
      call(() => this.batch.submitAfter(sequence, fork, asked, arrival ?? null)),
    );
  }

  /** Frees the cache of an ended sequence. Throws `not-found` if no ended sequence of that id holds a cache. */
  release(sequence: number): void {
    call(() => this.batch.release(sequence));
  }

  /** Runs one step of all sequences. */
  step(): Progress {
    return consume(call(() => this.batch.step()), progressFrom);
  }

  /**
   * Runs steps until this time, and waits for arrivals while nothing runs. Returns earlier if no sequence is left to run
   * or to arrive, or if all that are left wait for the script to choose a token.
   */
  runUntil(time: Nanoseconds): Progress {
    return consume(call(() => this.batch.runUntil(time)), progressFrom);
  }

  /** Runs steps until one or more sequences end. Otherwise like {@link runUntil}. */
  runUntilEnd(): Progress {
    return consume(call(() => this.batch.runUntilEnd()), progressFrom);
  }

  /** Runs steps until one or more tokens are produced. Otherwise like {@link runUntil}. */
  runUntilToken(): Progress {
    return consume(call(() => this.batch.runUntilToken()), progressFrom);
  }

  /** Runs steps until every sequence has ended, including those that have not arrived yet. */
  drain(): Completion[] {
    return call(() => this.batch.drain()).map((one) => consume(one, completionFrom));
  }

  /** Ends a sequence now. The next step returns its completion. Throws `not-found` if it neither runs nor waits. */
  cancel(sequence: number): void {
    call(() => this.batch.cancel(sequence));
  }

  /**
   * Returns the logits of the sequence's next token, for requests whose tokens the script chooses. Throws `not-found` if
   * the sequence does not wait for a choice.
   */
  logits(sequence: number): Logits {
    return new Logits(call(() => this.batch.logits(sequence)));
  }

  /** Chooses the sequence's next token. The sequence takes part in no step until then. */
  choose(sequence: number, token: number): void {
    call(() => this.batch.choose(sequence, whole("a token id", token)));
  }

  /** Returns the number of sequences in the batch and the use of its KV memory. */
  status(): BatchStatus {
    return snapshot(this.batch, [
      "running",
      "waiting",
      "scheduled",
      "kvBytes",
      "kvCapacity",
      "kvUsed",
      "prefixQueries",
      "prefixHits",
    ]);
  }

  /** Returns the number of sequences that have not arrived yet. */
  scheduled(): number {
    return this.batch.scheduled();
  }

  /**
   * Returns an ended sequence's share of the energy of its steps, in J. Waits, for at most half a second, until every
   * energy counter has ticked since the sequence ended. Throws `not-found` if no sequence of that id has ended.
   */
  sequenceEnergy(sequence: number): Reading {
    return readingFrom(call(() => this.batch.sequenceEnergy(sequence)));
  }

  /** Runs one step after another, until there is nothing to run. */
  *[Symbol.iterator](): Generator<Progress> {
    for (let step = this.step(); step.steps > 0; step = this.step()) yield step;
  }

  /** Closes the batch and frees its KV memory. */
  [Symbol.dispose](): void {
    this.batch[Symbol.dispose]();
  }
}

function progressFrom(from: batches.Progress): Progress {
  return {
    ...snapshot(from, ["steps", "tokens", "promptTokens", "started", "finished"]),
    ended: from.ended().map((one) => consume(one, completionFrom)),
  };
}

/** @internal */
export function batchOptionsToHost(from: BatchOptions): batches.BatchOptions {
  const options = new batches.BatchOptions(whole("maxSequences", from.maxSequences));
  if (from.maxTokens !== undefined) options.setMaxTokens(whole("maxTokens", from.maxTokens));
  if (from.prefillChunk !== undefined) options.setPrefillChunk(whole("prefillChunk", from.prefillChunk));
  if (from.maxRows !== undefined) options.setMaxRows(whole("maxRows", from.maxRows));
  options.setRefusesWhenFull(from.refusesWhenFull ?? false);
  options.setPrefixCache(from.prefixCache ?? false);
  return options;
}
