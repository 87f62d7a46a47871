/** The workload that runs a list of requests. */

import type { Model } from "./model.js";
import type { WorkloadPolicy } from "./policy.js";
import { warn } from "./report.js";
import type { Prompt, Request } from "./request.js";

/**
 * A workload that runs a list of requests in order, once or several times.
 *
 * ```ts
 * const requests = ["short", "long"].map((label) => Request.fromText("hello", { label }));
 * const workload = new RequestList(requests, { rounds: 2 }); // short, long, short, long
 * ```
 */
export class RequestList implements WorkloadPolicy {
  private readonly requests: readonly Request[];
  private readonly rounds: number;
  /** The number of requests that were returned. */
  private returned = 0;

  /**
   * Creates a workload. `rounds` says how often the whole list is run, once by default. Repetitions of a request are
   * thus spread over the run, so that drift affects all requests alike.
   */
  constructor(requests: Iterable<Request>, { rounds = 1 }: { readonly rounds?: number } = {}) {
    this.requests = [...requests];
    this.rounds = rounds;
  }

  /**
   * Returns a workload without the requests that do not fit the model's context, and adds a warning to the record if
   * there are any.
   */
  fitting(model: Model): RequestList {
    const [context, all] = [model.contextLength(), this.requests.length];
    const fitting = this.requests.filter((request) => {
      const longest = request.prompts.reduce((most, prompt) => Math.max(most, tokenCount(model, prompt)), 0);
      return longest + request.maxNewTokens <= context;
    });
    if (fitting.length < all) {
      const leftOut = all - fitting.length;
      warn(`${leftOut} of ${all} requests are left out: they do not fit the model's context of ${context} tokens`);
    }
    return new RequestList(fitting, { rounds: this.rounds });
  }

  next(): Request | undefined {
    if (this.returned === this.total()) return undefined;
    const next = this.requests[this.returned % this.requests.length];
    this.returned += 1;
    return next;
  }

  total(): number {
    return this.requests.length * this.rounds;
  }
}

function tokenCount(model: Model, prompt: Prompt): number {
  if (typeof prompt === "string") return model.tokenize(prompt).length;
  if (!("messages" in prompt)) return prompt.length;
  using tokenizer = model.tokenizer();
  return tokenizer.encode(tokenizer.applyChatTemplate(prompt), true).length;
}
