/** Warms up until the times to first token of the last runs agree. */

import { About, done, parameter, runFirst, warmup } from "@llem/sdk";
import { coefficientOfVariation } from "@llem/sdk/statistics";

/** Runs the workload's first request until the coefficient of variation of the last times to first token is low. */
class SteadyTtft {
  static about() {
    return new About("first-warmup", "0.1.0", "Warms up until times to first token agree")
      .integer("window", 3, "how many of the last runs must agree")
      .number("spread", 0.05, "their highest coefficient of variation")
      .integer("max-runs", 20, "runs after which the warm-up ends anyway");
  }

  next(history) {
    const [window, maxRuns] = [parameter("window", Number), parameter("max-runs", Number)];
    const [runs, highest] = [history.length, parameter("spread", Number)];
    if (runs >= window) {
      const ttft = history.slice(runs - window).flatMap((trial) => trial.ttft());
      const spread = coefficientOfVariation(ttft);
      if (spread !== undefined && spread <= highest) return done(`steady after ${runs} runs`);
    }
    return runs >= maxRuns ? done(`not steady after ${runs} runs`) : runFirst(1);
  }
}

export const warmupPolicy = warmup(SteadyTtft);
