/** Options for loading a model. */

import { models } from "#host";
import type { Dtype } from "./devices.js";
import { whole } from "./error.js";

/** The numbers of ranks that a model is split over. */
export interface Parallelism {
  /** The number of ranks that share every matrix product. */
  readonly tensor: number;
  /** The number of stages that share the layers. */
  readonly pipeline: number;
  /** The number of replicas that share the requests. */
  readonly data: number;
}

/** One rank of a loaded model. */
export interface Rank {
  /** The id of the rank's device. For a rank on another machine, the machine's address comes first. */
  readonly device: string;
  /** The index of the rank's first layer. */
  readonly firstLayer: number;
  /** The number of layers of the rank. */
  readonly layers: number;
  /** The weights of the rank, in bytes. */
  readonly weightBytes: number;
}

/** Options for loading a model. For an option that is not given the command line decides. */
export interface LoadOptions {
  /** The name or source of a granted model, or a synthetic one (`synthetic:PRESET`), which needs no grant. */
  readonly model?: string;
  /** The number format of weights and activations. */
  readonly dtype?: Dtype;
  /** The number format of cached keys and values. By default the format of activations. */
  readonly kvDtype?: Dtype;
  /** The id of a device that was granted with `--device`. */
  readonly device?: string;
  /** The number of CPU threads that the model's ranks on this machine share. */
  readonly threads?: number;
  /** The number of ranks that the model is split over. A script may use as many ranks as were granted. */
  readonly parallelism?: Parallelism;
  /** Whether each expert is placed whole on one tensor rank. Otherwise every expert is split over all of them. */
  readonly wholeExperts?: boolean;
  /** Whether both factors of an adapter are split over the tensor ranks. Otherwise only one factor is. */
  readonly shardedAdapters?: boolean;
  /** The number of microbatches that a pass is split into, so that pipeline stages work at the same time. */
  readonly microbatches?: number;
  /** The seed of synthetic weights. By default the run's seed. */
  readonly seed?: number;
}

/** @internal */
export function loadOptionsToHost(from: LoadOptions): models.LoadOptions {
  const options = new models.LoadOptions();
  if (from.model !== undefined) options.setModel(from.model);
  if (from.dtype !== undefined) options.setDtype(from.dtype);
  if (from.kvDtype !== undefined) options.setKvDtype(from.kvDtype);
  if (from.device !== undefined) options.setDevice(from.device);
  if (from.threads !== undefined) options.setThreads(whole("threads", from.threads));
  if (from.parallelism !== undefined) {
    const { tensor, pipeline, data } = from.parallelism;
    options.setRanks(whole("tensor", tensor), whole("pipeline", pipeline), whole("data", data));
  }
  if (from.wholeExperts) options.setWholeExperts(true);
  if (from.shardedAdapters) options.setShardedAdapters(true);
  if (from.microbatches !== undefined) options.setMicrobatches(whole("microbatches", from.microbatches));
  if (from.seed !== undefined) options.setSeed(whole("seed", from.seed, Number.MAX_SAFE_INTEGER));
  return options;
}
