/** Information about an attached LoRA adapter. */

import type { models } from "#host";
import { snapshot } from "./snapshot.js";
import type { Nanoseconds } from "./time.js";

/** A snapshot of an attached LoRA adapter. It does not change when the adapter is merged or detached later. */
export interface AdapterInfo {
  /** The name by which requests choose the adapter. */
  readonly name: string;
  /** The source after it was resolved. */
  readonly source: string;
  /** A digest of the adapter's config and tensors, with the same prefixes as a model's digest. */
  readonly digest: string;
  /** The model that the adapter's config says it was trained on. */
  readonly baseModel: string | undefined;
  /** The highest rank of the adapter's factors. It is 0 if the adapter only replaces whole weights. */
  readonly rank: number;
  /** Whether the adapter splits weights into magnitude and direction (DoRA). */
  readonly isDora: boolean;
  /** The number of modules that the adapter changes. */
  readonly modules: number;
  /** The number of parameters in the adapter. */
  readonly parameters: number;
  /** The memory that the parameters take, in bytes. */
  readonly weightBytes: number;
  /** Operations that the unmerged adapter adds for each token that is run, in FLOP. */
  readonly flopsPerToken: number;
  /** Operations that the unmerged adapter adds for each position whose logits are computed, in FLOP. */
  readonly flopsPerLogits: number;
  /** Whether the adapter is merged into the weights. */
  readonly isMerged: boolean;
  /** The time that attaching took. */
  readonly attachTime: Nanoseconds;
}

/** @internal */
export function adapterInfoFrom(adapter: models.Adapter): AdapterInfo {
  return snapshot(adapter, [
    "name",
    "source",
    "digest",
    "baseModel",
    "rank",
    "isDora",
    "modules",
    "parameters",
    "weightBytes",
    "flopsPerToken",
    "flopsPerLogits",
    "isMerged",
    "attachTime",
  ]);
}
