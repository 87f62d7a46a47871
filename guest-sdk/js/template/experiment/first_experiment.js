/** Measures prompts of random lengths: time to first token, speed and energy. */

import {
  About,
  Experiment,
  FixedCount,
  Model,
  Quantity,
  Random,
  Request,
  RequestList,
  experiment,
  known,
  parameter,
} from "@llem/sdk";
import { percentile } from "@llem/sdk/statistics";

export const script = experiment({ about, run });

const SENTENCE = "The quick brown fox jumps over the lazy dog. ";

function about() {
  return new About("first-experiment", "0.1.0", "Time to first token, speed and energy for prompts of random lengths")
    .integer("prompts", 8, "how many prompts are measured")
    .integer("new-tokens", 16, "tokens generated for each prompt");
}

function run() {
  const model = Model.loadGranted();
  const list = requests(parameter("prompts", Number), parameter("new-tokens", Number));
  new Experiment(model)
    .warmup(new FixedCount())
    .workload(new RequestList(list))
    .metrics(derive)
    .run();
}

/** Returns prompts of one to four sentences, whose lengths are drawn from the run's seed. */
function requests(count, maxNewTokens) {
  const random = new Random("lengths");
  return Array.from({ length: count }, () => {
    const sentences = 1 + Math.floor(4 * random.nextF64());
    const label = `${sentences} sentences`;
    return Request.fromText(SENTENCE.repeat(sentences), { label, maxNewTokens, ignoreEos: true });
  });
}

function derive(_, trials) {
  const ttft = trials.flatMap((trial) => trial.ttft());
  const rate = Quantity.meanOf(trials.flatMap((trial) => trial.decodeRate() ?? []));
  const energy = Quantity.meanOf(trials.flatMap((trial) => known(trial.joulesPerOutputToken()) ?? []));
  const p90 = percentile(ttft, 90);
  return [
    Quantity.mean(ttft, "s")?.intoMetric("ttft_mean") ?? [],
    p90 === undefined ? [] : Quantity.exact(p90, "s", "derived").intoMetric("ttft_p90"),
    rate?.intoMetric("decode_rate") ?? [],
    energy?.intoMetric("joules_per_output_token") ?? [],
  ].flat();
}
