/** Trials: measured requests, with their latencies, rates and energies. */

import type { trials } from "#host";
import { type Completion, type Generation, completionFrom, generationFrom } from "./completion.js";
import { LlemError } from "./error.js";
import { Quantity, type Reading, Unavailable } from "./quantity.js";
import { type Request, requestFromHost } from "./request.js";
import { consume } from "./snapshot.js";
import { NS, type Nanoseconds } from "./time.js";

/** The result of a request that ran alone, or the completions of one that ran in a continuous batch. */
type TrialOutcome = { readonly generation: Generation } | { readonly completions: readonly Completion[] };

/** One request that was run, and its result. */
export class Trial {
  /** The zero-based position among the requests of its phase. */
  readonly index: number;
  /** The request that was run. */
  readonly request: Request;
  private readonly outcome: TrialOutcome;

  private constructor(index: number, request: Request, outcome: TrialOutcome) {
    this.index = index;
    this.request = request;
    this.outcome = outcome;
  }

  /** Creates the trial of a request that ran alone. */
  static fromGeneration(index: number, request: Request, generation: Generation): Trial {
    return new Trial(index, request, { generation });
  }

  /** Creates the trial of a request that ran in a continuous batch. */
  static fromCompletions(index: number, request: Request, completions: readonly Completion[]): Trial {
    return new Trial(index, request, { completions });
  }

  /** Returns the completions of the prompts, in order. */
  completions(): readonly Completion[] {
    return "generation" in this.outcome ? this.outcome.generation.completions : this.outcome.completions;
  }

  /**
   * Returns the result of a request that ran alone. Throws if it ran in a continuous batch, where a request has no times
   * and energy of its own.
   */
  generation(): Generation {
    if (this.alone !== undefined) return this.alone;
    throw new LlemError("failed", this.notAlone());
  }

  /** Returns when the request began or, in a continuous batch, was submitted. */
  began(): Nanoseconds {
    if (this.alone !== undefined) return this.alone.measurement.started;
    const submitted = this.completions().map((one) => one.submitted);
    return submitted.length > 0 ? Math.min(...submitted) : 0;
  }

  /** Returns when the request ended. */
  ended(): Nanoseconds {
    if (this.alone !== undefined) return this.alone.measurement.started + this.alone.measurement.wallTime;
    const last = this.completions().flatMap((one) => one.tokenTimes.at(-1) ?? []);
    return last.length > 0 ? Math.max(...last) : this.began();
  }

  /** Returns how long the request took, including waiting, in seconds. */
  seconds(): number {
    return Math.max(this.ended() - this.began(), 0) * NS;
  }

  /** Returns the time to first token of each sequence, in seconds. */
  ttft(): number[] {
    return this.completions().flatMap((one) => one.ttft() ?? []);
  }

  /** Returns the inter-token latencies of all sequences, in seconds. */
  itl(): number[] {
    return this.completions().flatMap(({ tokenTimes }) =>
      tokenTimes.slice(1).map((time, index) => (time - (tokenTimes[index] as number)) * NS),
    );
  }

  /** Returns the number of generated tokens. */
  outputTokens(): number {
    return this.completions().reduce((sum, one) => sum + one.tokens.length, 0);
  }

  /** Returns the prefill rate in {token}/s, or `undefined` if no prefill was timed or if the trial was batched. */
  prefillRate(): Quantity | undefined {
    return this.alone && rate(this.alone.measurement.activity.promptTokens, this.alone.prefillTime);
  }

  /**
   * Returns the decode rate in {token}/s, without the first token of each sequence. Returns `undefined` if there was no
   * decode or if the request ran in a continuous batch.
   */
  decodeRate(): Quantity | undefined {
    return this.alone && rate(this.decodedTokens(), this.alone.decodeTime);
  }

  /** Returns the energy of prefill per prompt token, in J/{token}. */
  prefillJoulesPerToken(): Reading {
    if (this.alone === undefined) return new Unavailable(this.notAlone());
    const { energyPrefill, activity } = this.alone.measurement;
    return perToken(energyPrefill, activity.promptTokens, "no prompt was run");
  }

  /** Returns the energy of decode per token that decode generated, in J/{token}. */
  decodeJoulesPerToken(): Reading {
    if (this.alone === undefined) return new Unavailable(this.notAlone());
    return perToken(this.alone.measurement.energyDecode, this.decodedTokens(), "no token was decoded");
  }

  /** Returns the share of each sequence in the energy of its steps, in J. */
  joulesPerSequence(): Reading[] {
    return this.completions().map((one) => one.energy);
  }

  /** Returns the total energy per generated token, in J/{token}. */
  joulesPerOutputToken(): Reading {
    if (this.alone === undefined) return new Unavailable(this.notAlone());
    return perToken(this.alone.measurement.energyTotal, this.outputTokens(), "no token was generated");
  }

  /** The result of a request that ran alone. */
  private get alone(): Generation | undefined {
    return "generation" in this.outcome ? this.outcome.generation : undefined;
  }

  private notAlone(): string {
    return (
      `request '${this.request.label}' ran in a continuous batch, where no times and energy are its own: its ` +
      "completions and the session's measurement tell what there is"
    );
  }

  /** Returns the number of tokens that decode generated: all but the first of each sequence, which is prefill's. */
  private decodedTokens(): number {
    return this.completions().reduce((sum, one) => sum + Math.max(one.tokens.length - 1, 0), 0);
  }
}

/** @internal */
export function trialFrom(from: trials.Trial): Trial {
  const [index, request] = [from.index(), consume(from.request(), requestFromHost)];
  const generation = from.generation();
  if (generation !== null) return Trial.fromGeneration(index, request, consume(generation, generationFrom));
  const completions = from.completions().map((one) => consume(one, completionFrom));
  return Trial.fromCompletions(index, request, completions);
}

function perToken(energy: Reading, tokens: number, nothing: string): Reading {
  if (energy instanceof Unavailable) return energy;
  return energy.per(tokens, "J/{token}") ?? new Unavailable(nothing);
}

function rate(tokens: number, time: Nanoseconds): Quantity | undefined {
  const rate = Quantity.exact(tokens, "{token}", "counted").per(time * NS, "{token}/s");
  return rate !== undefined && rate.value > 0 ? rate : undefined;
}

/** Groups trials by the labels of their requests, in the order of first appearance. */
export function groupByLabel(trials: Iterable<Trial>): Map<string, Trial[]> {
  const groups = new Map<string, Trial[]>();
  for (const trial of trials) {
    const group = groups.get(trial.request.label);
    if (group === undefined) groups.set(trial.request.label, [trial]);
    else group.push(trial);
  }
  return groups;
}
