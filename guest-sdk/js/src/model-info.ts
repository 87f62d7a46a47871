/** Properties of a loaded model. */

import type { models } from "#host";
import type { Dtype } from "./devices.js";
import type { Parallelism, Rank } from "./load-options.js";
import { snapshot } from "./snapshot.js";
import type { Nanoseconds } from "./time.js";

/** The properties of a loaded model: its architecture, sizes, number formats and parallelism. */
export interface ModelInfo {
  /** The source after it was resolved. */
  readonly source: string;
  /** The architecture's name in config.json. */
  readonly architecture: string;
  /** A digest of the config and the weights. Tokenizer and chat template are not included. */
  readonly digest: string;
  /** The number of parameters. A tied LM head counts once. */
  readonly parameters: number;
  /** The number of parameters without the token embedding and learned positions. */
  readonly parametersWithoutEmbeddings: number;
  /** The memory of the weights on all ranks, in bytes. */
  readonly weightBytes: number;
  /** The weights that a decode step reads, if it reads every expert, in bytes. Lookup tables are not included. */
  readonly decodeWeightBytes: number;
  /** The number format of weights. In a quantised model, the format of the weights that are not quantised. */
  readonly dtype: Dtype;
  /** The number format of cached keys and values. */
  readonly kvDtype: Dtype;
  /** The formats of quantised weights, in ggml's names, the one with the most bytes first. */
  readonly quantization: string | undefined;
  /** The id of the device. For a split model, the device of the first rank. */
  readonly device: string;
  /** The number of CPU threads that the model's ranks on this machine share. */
  readonly threads: number;
  /** How the model is split over ranks. */
  readonly parallelism: Parallelism;
  /** The model's ranks. There is one unless the model is split. */
  readonly ranks: readonly Rank[];
  /** The maximum length of prompt and output together, in tokens. */
  readonly contextLength: number;
  /** The number of logits of a position. */
  readonly vocabSize: number;
  /** The number of decoder layers. */
  readonly layers: number;
  /** The width of the residual stream. */
  readonly hiddenSize: number;
  /** The inner width of a dense MLP. `undefined` if the model has only experts. */
  readonly intermediateSize: number | undefined;
  /** The number of query heads. */
  readonly heads: number;
  /** The number of key and value heads. */
  readonly kvHeads: number;
  /** The width of a head. */
  readonly headSize: number;
  /** The number of experts in a layer. It is 0 in a dense model. */
  readonly experts: number;
  /** The number of experts that run for a token. It is 0 in a dense model. */
  readonly expertsPerToken: number;
  /** The inner width of an expert. `undefined` in a dense model. */
  readonly expertSize: number | undefined;
  /** Whether the LM head and the token embedding are one tensor. */
  readonly hasTiedEmbeddings: boolean;
  /** The attention window of each layer, in tokens. `null` means that the layer attends to all tokens. */
  readonly attentionWindows: ReadonlyArray<number | null>;
  /** The cached keys and values of a token, in bytes, over all layers and all ranks of the replica that runs it. */
  readonly kvBytesPerToken: number;
  /** The tokens that end a sequence. */
  readonly eosTokens: readonly number[];
  /** Whether the model has a tokenizer. */
  readonly hasTokenizer: boolean;
  /** The time from the call until the model was ready, without the time of computing its digest. */
  readonly loadTime: Nanoseconds;
}

/** @internal */
export function modelInfoFrom(model: models.Model): ModelInfo {
  const tokenizer = model.tokenizer();
  tokenizer?.[Symbol.dispose]();
  return {
    ...snapshot(model, [
      "source",
      "architecture",
      "digest",
      "parameters",
      "parametersWithoutEmbeddings",
      "weightBytes",
      "decodeWeightBytes",
      "dtype",
      "kvDtype",
      "quantization",
      "device",
      "threads",
      "parallelism",
      "ranks",
      "contextLength",
      "vocabSize",
      "layers",
      "hiddenSize",
      "intermediateSize",
      "heads",
      "kvHeads",
      "headSize",
      "experts",
      "expertsPerToken",
      "expertSize",
      "hasTiedEmbeddings",
      "attentionWindows",
      "kvBytesPerToken",
      "eosTokens",
      "loadTime",
    ]),
    hasTokenizer: tokenizer !== null,
  };
}
