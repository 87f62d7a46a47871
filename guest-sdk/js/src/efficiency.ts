/**
 * The share of a device's peak rate that a trial reached.
 *
 * - MFU, model FLOP utilisation (Chowdhery et al., arXiv 2204.02311, appendix B): here for prefill or decode, from the
 *   operations that are needed.
 * - MBU, model bandwidth utilisation: bytes of weights and KV cache per time per output token, divided by the peak
 *   bandwidth (Databricks, "LLM Inference Performance Engineering: Best Practices", 2023).
 */

import { type Device, type Dtype, type Peaks, listDevices } from "./devices.js";
import type { Measurement } from "./measurement.js";
import type { ModelInfo } from "./model-info.js";
import { Quantity, type Reading, Unavailable } from "./quantity.js";
import { NS, type Nanoseconds } from "./time.js";
import type { Trial } from "./trial.js";

/** Returns the device that holds the model's first rank, or `undefined` if it is not a device of this machine. */
export function findModelDevice(model: ModelInfo): Device | undefined {
  return listDevices().find((device) => device.id === model.device);
}

/** Returns the peak rate of matrix products in a number format, in FLOP/s, or the reason why it is not known. */
export function peakRate(peaks: Peaks, dtype: Dtype): Reading {
  const peak = peaks.products.find((peak) => peak.dtype === dtype);
  return peak?.rate ?? new Unavailable(`${peaks.origin} has no peak in ${dtype}`);
}

/**
 * Returns the MFU of prefill: the share of the peak rate that steps with prompts only reached. `peak` is the rate of one
 * device in FLOP/s, and `ranks` devices took part. Returns `undefined` if there was no prefill.
 */
export function prefillMfu({ activity }: Measurement, peak: Quantity, ranks = 1): Quantity | undefined {
  return mfu(activity.flopsPrefill, activity.prefillTime, peak, ranks);
}

/**
 * Returns the MFU of decode: the share of the peak rate that steps without prompts reached. `peak` is the rate of one
 * device in FLOP/s, and `ranks` devices took part. Returns `undefined` if there was no decode.
 */
export function decodeMfu({ activity }: Measurement, peak: Quantity, ranks = 1): Quantity | undefined {
  return mfu(activity.flopsDecode, activity.decodeTime, peak, ranks);
}

/**
 * Returns the MFU of mixed steps of continuous batches, which run prompts and decode together. `peak` is the rate of one
 * device in FLOP/s, and `ranks` devices took part. Returns `undefined` if there were no such steps.
 */
export function mixedMfu({ activity }: Measurement, peak: Quantity, ranks = 1): Quantity | undefined {
  return mfu(activity.flopsMixed, activity.mixedTime, peak, ranks);
}

/**
 * Returns the MBU of decode of a trial that ran alone: the share of the peak bandwidth that decode reached. `bandwidth`
 * is the peak of one device in By/s.
 *
 * A step reads all weights except lookup tables, and the keys and values of all tokens before it. For layers with a
 * sliding window this overestimates the bytes of sequences that are longer than the window. Returns `undefined` if there
 * was no decode, and for a mixture of experts, because there the weights that a step reads depend on its tokens. Throws
 * if the trial ran in a continuous batch.
 */
export function decodeMbu(trial: Trial, model: ModelInfo, bandwidth: Quantity): Quantity | undefined {
  const { completions, decodeTime } = trial.generation();
  const steps = Math.max(0, ...completions.map((one) => one.tokens.length - 1));
  if (model.experts > 0 || steps === 0) return undefined;
  // Each decode step of a sequence reads the keys and values of all tokens before it.
  const cached = completions.reduce((sum, { promptTokens, tokens }) => {
    const steps = Math.max(tokens.length - 1, 0);
    return sum + steps * (promptTokens + (steps + 1) / 2);
  }, 0);
  const bytes = steps * model.decodeWeightBytes + cached * model.kvBytesPerToken;
  const rate = analytic(bytes, "By").per(decodeTime * NS, "By/s");
  const ranks = Math.max(model.ranks.length, 1);
  return rate?.over(bandwidth.times(analytic(ranks, "1"), "By/s"), "1");
}

function mfu(flops: number, time: Nanoseconds, peak: Quantity, ranks: number): Quantity | undefined {
  const rate = analytic(flops, "FLOP").per(time * NS, "FLOP/s");
  if (rate === undefined || !(rate.value > 0)) return undefined;
  return rate.over(peak.times(analytic(ranks, "1"), "FLOP/s"), "1");
}

function analytic(value: number, unit: string): Quantity {
  return Quantity.exact(value, unit, "analytic");
}
