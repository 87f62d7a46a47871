/** Measured passes: the prompt's, and each decoded token's. */

import { type Generation, type Model, Phase, Random, Request } from "@llem/sdk";

/** The sizes of a profile. */
export interface Sizes {
  readonly batch: number;
  readonly prompt: number;
  readonly newTokens: number;
  readonly allLogits: boolean;
}

/** Latencies in s: one of the prompt's pass for each repetition, and one of each decode step for each repetition. */
export interface Latencies {
  readonly prefill: readonly number[];
  readonly steps: ReadonlyArray<readonly number[]>;
}

/** Runs both phases `warmUp` times without use, then `repetitions` times. */
export function measure(model: Model, sizes: Sizes, warmUp: number, repetitions: number): Latencies {
  const random = new Random("prompts");
  const { vocabSize } = model.info();
  const prompts = Array.from({ length: sizes.batch }, () => random.tokens(sizes.prompt, vocabSize));
  const forward = Request.fromPrompts(prompts, { label: "forward", maxNewTokens: 0, allPromptLogits: sizes.allLogits });
  const generate = Request.fromPrompts(prompts, { label: "generate", maxNewTokens: sizes.newTokens, ignoreEos: true });
  {
    using _ = Phase.begin("warmup");
    for (let run = 0; run < warmUp; run++) {
      model.generate(forward);
      if (sizes.newTokens > 1) model.generate(generate);
    }
  }
  using _ = Phase.begin("measure");
  const prefill: number[] = [];
  const steps: number[][] = [];
  for (let run = 0; run < repetitions; run++) {
    prefill.push(model.generate(forward).prefillTime / 1e9);
    if (sizes.newTokens > 1) steps.push(stepLatencies(model.generate(generate)));
  }
  return { prefill, steps };
}

/** Returns the time of each decode step, in s. A step is over when all sequences have their token. */
export function stepLatencies({ completions }: Generation): number[] {
  const count = completions[0]?.tokenTimes.length ?? 0;
  const endOf = (step: number) => Math.max(...completions.map((one) => one.tokenTimes[step] ?? 0));
  const ends = Array.from({ length: count }, (_, step) => endOf(step));
  return ends.slice(1).map((end, step) => (end - (ends[step] as number)) / 1e9);
}
