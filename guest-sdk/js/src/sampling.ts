/** Sampling options. */

import type { requests } from "#host";
import { whole } from "./error.js";

/** Options that decide how tokens are chosen. Values out of range are refused when the request is submitted. */
export interface Sampling {
  /** The divisor of logits. 0, the default, means greedy: the most likely token is chosen without a random draw. */
  readonly temperature?: number;
  /** The number of most likely tokens that are kept, at least 1. All by default. */
  readonly topK?: number;
  /** The probability that the smallest set of kept tokens reaches, in (0, 1] (nucleus sampling). */
  readonly topP?: number;
  /** The minimum probability of kept tokens, as a share of the most likely token's, in [0, 1] (arXiv 2407.01082). */
  readonly minP?: number;
  /**
   * The number above 0 by which the logits of tokens in prompt and output are divided (if positive) or multiplied (if
   * negative) (CTRL, arXiv 1909.05858). 1, the default, changes nothing.
   */
  readonly repetitionPenalty?: number;
  /** The number that is subtracted from a token's logit for each time that the token was generated. 0 by default. */
  readonly frequencyPenalty?: number;
  /** The number that is subtracted from the logit of each token that was generated. 0 by default. */
  readonly presencePenalty?: number;
  /** Tokens and the numbers that are added to their logits. */
  readonly logitBias?: ReadonlyArray<readonly [token: number, bias: number]>;
  /** The seed of the request's random numbers: sequence i draws from stream i of this seed. By default the run's. */
  readonly seed?: number;
}

/** @internal */
export function writeSampling(sampling: Sampling, request: requests.Request): void {
  const { temperature, topK, topP, minP, logitBias, seed } = sampling;
  if (temperature !== undefined) request.setTemperature(temperature);
  if (topK !== undefined) request.setTopK(whole("topK", topK));
  if (topP !== undefined) request.setTopP(topP);
  if (minP !== undefined) request.setMinP(minP);
  if (sampling.repetitionPenalty !== undefined) request.setRepetitionPenalty(sampling.repetitionPenalty);
  if (sampling.frequencyPenalty !== undefined) request.setFrequencyPenalty(sampling.frequencyPenalty);
  if (sampling.presencePenalty !== undefined) request.setPresencePenalty(sampling.presencePenalty);
  if (logitBias !== undefined) request.setLogitBias(logitBias.map(([token, bias]) => [whole("token", token), bias]));
  if (seed !== undefined) request.setSeed(whole("seed", seed, Number.MAX_SAFE_INTEGER));
}

/**
 * Reads the options that are not at their defaults. Returns `undefined` if all are.
 *
 * @internal
 */
export function readSampling(request: requests.Request): Sampling | undefined {
  const [temperature, topK, topP, minP] = [request.temperature(), request.topK(), request.topP(), request.minP()];
  const [bias, seed] = [request.logitBias(), request.seed()];
  const [repetition, frequency, presence] = [
    request.repetitionPenalty(),
    request.frequencyPenalty(),
    request.presencePenalty(),
  ];
  const sampling: Sampling = {
    ...(temperature !== 0 && { temperature }),
    ...(topK !== null && { topK }),
    ...(topP !== null && { topP }),
    ...(minP !== null && { minP }),
    ...(repetition !== 1 && { repetitionPenalty: repetition }),
    ...(frequency !== 0 && { frequencyPenalty: frequency }),
    ...(presence !== 0 && { presencePenalty: presence }),
    ...(bias.length > 0 && { logitBias: bias }),
    ...(seed !== null && { seed }),
  };
  return Object.keys(sampling).length > 0 ? sampling : undefined;
}
