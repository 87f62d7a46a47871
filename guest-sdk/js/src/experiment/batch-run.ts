/**
 * Runs a workload in one continuous batch.
 *
 * ```text
 *            ahead of time               at its arrival
 * workload ──── next ────► submit ──────────► host: admit, step, step, ... ended ──► trial ──► next, observe
 *                │◄── scheduled: at most 64 ──►│◄────────── pending ──────────►│
 * ```
 *
 * The host admits requests at their arrivals by itself. The code here does not delay them, provided that requests are
 * submitted early enough.
 */

import type { Batch } from "../batch.js";
import type { Completion } from "../completion.js";
import { LlemError } from "../error.js";
import type { Measurement } from "../measurement.js";
import { now } from "../meter.js";
import type { MetricsPolicy, WorkloadPolicy } from "../policy.js";
import { showProgress } from "../report.js";
import type { Request } from "../request.js";
import type { Schedule } from "../schedule.js";
import { type Nanoseconds, type Seconds, nanoseconds } from "../time.js";
import { Trial } from "../trial.js";
import { Window } from "../window.js";

/**
 * The maximum number of sequences that are submitted before their arrival. More would cost the host little, but a
 * workload that adapts to ended trials would react later.
 */
const MAX_SCHEDULED = 64;

/**
 * The time from the first submission to the moment that arrivals count from. Without it the first requests would be due
 * while later ones are still being tokenized.
 */
const LEAD: Seconds = 0.05;

/** A submitted request with at least one sequence that has not ended. */
interface PendingRequest {
  readonly request: Request;
  readonly sequences: readonly number[];
  readonly completions: Map<number, Completion>;
}

/** The state of a run in a continuous batch. */
class BatchRun {
  /** The number of submitted requests. */
  submitted = 0;
  /** The submitted requests that have not ended, by their index. */
  readonly pending = new Map<number, PendingRequest>();
  /** Ended trials that the workload has not received yet. */
  readonly ended: Trial[] = [];
  /** The index of the request that each running sequence belongs to. */
  private readonly requestsOfSequences = new Map<number, number>();
  /** Whether the workload may return another request. */
  private hasMore = true;

  constructor(
    private readonly batch: Batch,
    private readonly schedule: Schedule,
    /** The moment that arrivals count from. */
    private readonly began: Nanoseconds,
  ) {}

  /** Returns true if another request can be submitted now. */
  hasCapacity(): boolean {
    const { length, concurrency = Infinity } = this.schedule;
    this.hasMore &&= length === undefined || now() < this.began + nanoseconds(length);
    return this.hasMore && this.pending.size < concurrency && this.batch.scheduled() < MAX_SCHEDULED;
  }

  /**
   * Submits the workload's next request. If there is none, or if it arrives after the schedule's length, no more are
   * requested.
   */
  submit(request: Request | undefined): void {
    const arrival = request?.options.arrival;
    if (request === undefined || (arrival ?? -Infinity) >= (this.schedule.length ?? Infinity)) {
      this.hasMore = false;
      return;
    }
    const at = arrival === undefined ? undefined : this.began + nanoseconds(arrival);
    const sequences = this.batch.submit(request, at);
    const index = this.submitted;
    this.submitted += 1;
    for (const sequence of sequences) this.requestsOfSequences.set(sequence, index);
    this.pending.set(index, { request, sequences, completions: new Map() });
  }

  /** Records an ended sequence. If all sequences of its request have ended, their trial has too. */
  complete(completion: Completion): void {
    const index = this.requestsOfSequences.get(completion.sequence);
    const pending = index === undefined ? undefined : this.pending.get(index);
    if (index === undefined || pending === undefined) return;
    this.requestsOfSequences.delete(completion.sequence);
    pending.completions.set(completion.sequence, completion);
    if (pending.completions.size < pending.sequences.length) return;
    this.pending.delete(index);
    const completions = pending.sequences.flatMap((sequence) => pending.completions.get(sequence) ?? []);
    this.ended.push(Trial.fromCompletions(index, pending.request, completions));
  }
}

/**
 * Measures a workload in a batch, in one window.
 *
 * @internal
 */
export function measureBatched(
  batch: Batch,
  schedule: Schedule,
  first: Request,
  workload: WorkloadPolicy,
  metrics: MetricsPolicy | undefined,
): Measurement {
  if (schedule.concurrency === 0) {
    throw LlemError.invalidArgument("the workload's schedule has a concurrency of 0: it is at least 1");
  }
  /** Asks the workload for its next request. If a trial has ended, the workload and then the metrics receive it. */
  const nextRequest = (ended: Trial | undefined): Request | undefined => {
    const next = workload.next(ended);
    if (ended !== undefined) metrics?.observe(ended);
    return next;
  };
  using window = Window.open("session");
  const lead = first.options.arrival === undefined ? 0 : nanoseconds(LEAD);
  const run = new BatchRun(batch, schedule, now() + lead);
  let next: Request | undefined = first;
  for (;;) {
    while (run.hasCapacity()) {
      run.submit(next ?? nextRequest(run.ended.shift()));
      next = undefined;
    }
    if (run.pending.size === 0) break;
    const progress = batch.runUntilEnd();
    if (progress.ended.length === 0 && progress.steps === 0) {
      throw new Error("requests of the workload wait for a script that chooses their tokens, which no workload can");
    }
    for (const completion of progress.ended) run.complete(completion);
    showProgress(run.submitted - run.pending.size, workload.total?.() ?? 0, "requests");
  }
  for (let ended = run.ended.shift(); ended !== undefined; ended = run.ended.shift()) nextRequest(ended);
  return window.close();
}
