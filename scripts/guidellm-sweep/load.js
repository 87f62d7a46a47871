/** Runs the requests of one strategy in a continuous batch, as guidellm's scheduler sends them to a server. */

import { Request, meter } from "@llem/sdk";

import { RequestStats } from "./request_stats.js";

const NS = 1e-9;

/**
 * The load of one benchmark. A request takes one of the strategy's places, waits for its targeted start, and is sent.
 * Its latencies count from there. Without a free place it is late, and the delay is `request_dispatch_delay`.
 */
export class Load {
  /**
   * @param {import("@llem/sdk").Batch} batch the server
   * @param {import("./strategies.js").Strategy} strategy
   * @param {() => { tokens: number[], output: number }} nextPrompt
   * @param {{ maxRequests?: number, maxSeconds?: number }} constraints at least one of them, or a limit of the strategy
   */
  constructor(batch, strategy, nextPrompt, constraints) {
    Object.assign(this, { batch, strategy, nextPrompt, constraints });
    this.created = 0;
    /** Requests that have been sent and not ended, by their sequence. */
    this.running = new Map();
    /** @type {RequestStats[]} */
    this.ended = [];
  }

  /** Runs until a constraint stops it. Returns the requests, and when the load began and stopped, in seconds. */
  run() {
    this.start = meter.now();
    const { maxSeconds } = this.constraints;
    const deadline = maxSeconds === undefined ? Infinity : this.start + maxSeconds / NS;
    this.send(deadline);
    while (this.running.size > 0 && meter.now() < deadline) {
      // Only a step that makes a token is certain to return before long, and the time limit has to be looked at.
      const progress = deadline === Infinity ? this.batch.runUntilEnd() : this.batch.runUntilToken();
      for (const completion of progress.ended) this.end(completion, "successful");
      this.send(deadline);
    }
    const isOver = meter.now() >= deadline;
    if (isOver) this.cancel();
    const lastEnd = this.ended.reduce((last, one) => Math.max(last, one.requestEnd), this.start * NS);
    return {
      requests: this.ended,
      created: this.created,
      start: this.start * NS,
      stop: isOver ? deadline * NS : lastEnd,
      constraint: isOver ? "max_duration" : "max_requests",
    };
  }

  /** Sends requests while there are places for them. */
  send(deadline) {
    const { maxRequests = Infinity } = this.constraints;
    const places = this.strategy.limit ?? Infinity;
    while (!this.isExhausted && this.created < maxRequests && this.running.size < places) {
      const last = this.lastEnd === undefined ? undefined : (this.lastEnd - this.start) * NS;
      const targeted = this.start + Math.round(this.strategy.next(last) / NS);
      // guidellm drops requests that still wait for their start when the time is over.
      this.isExhausted = targeted >= deadline || meter.now() >= deadline;
      if (this.isExhausted) return;
      const { tokens, output } = this.nextPrompt();
      const options = { label: this.strategy.name, maxNewTokens: output, ignoreEos: true };
      const request = Request.fromTokens(tokens, options);
      const [sequence] = this.batch.submit(request, targeted > meter.now() ? targeted : undefined);
      this.running.set(sequence, { index: this.created, targeted, promptTokens: tokens.length });
      this.created += 1;
    }
  }

  end(completion, status) {
    const { index, targeted, promptTokens } = this.running.get(completion.sequence);
    this.running.delete(completion.sequence);
    const tokens = completion.tokenTimes.map((time) => time * NS);
    const isComplete = status === "successful";
    const resolveEnd = isComplete ? tokens.at(-1) : meter.now() * NS;
    if (isComplete) this.lastEnd = Math.max(this.lastEnd ?? 0, completion.tokenTimes.at(-1));
    this.ended.push(
      new RequestStats({
        ...{ index, status, targeted: targeted * NS, start: completion.submitted * NS, tokens },
        ...{ end: isComplete ? resolveEnd : undefined, resolveEnd, promptTokens },
      }),
    );
  }

  /** Ends what still runs. A step returns the completions of sequences that were cancelled. */
  cancel() {
    for (const sequence of this.running.keys()) this.batch.cancel(sequence);
    for (const completion of this.batch.step().ended) {
      this.end(completion, completion.finish === "cancelled" ? "incomplete" : "successful");
    }
  }
}
