/** Sends prompts of one length at random times. */

import { About, Arrivals, Request, RequestList, parameter, workload } from "@llem/sdk";

/** Requests that arrive as a Poisson process, in a continuous batch. */
class PoissonPrompts {
  timed;

  static about() {
    return new About("first-workload", "0.1.0", "Sends prompts of one length at random times")
      .integer("requests", 20, "how many prompts are sent")
      .number("rate", 10, "requests a second, on average")
      .integer("new-tokens", 16, "tokens generated for each prompt")
      .integer("max-sequences", 8, "sequences that run at the same time");
  }

  constructor() {
    const request = Request.fromText("The quick brown fox jumps over the lazy dog. ", {
      label: "fox",
      maxNewTokens: parameter("new-tokens", Number),
      ignoreEos: true,
    });
    const requests = new RequestList([request], { rounds: parameter("requests", Number) });
    const options = { maxSequences: parameter("max-sequences", Number) };
    this.timed = Arrivals.poisson(parameter("rate", Number)).applyTo(requests, options);
  }

  begin(model) {
    return this.timed.begin?.(model) ?? {};
  }

  next(last) {
    return this.timed.next(last);
  }
}

export const workloadPolicy = workload(PoissonPrompts);
