/** The power of a point: what the host sampled, in the tool's form, and what the tool derives from it. */

import { Quantity, Unavailable, known } from "@llem/sdk";

import {
  INTEGRATION_METHOD,
  POWER_METRIC_SCHEMA_VERSION,
  benchmarkReasons,
  crossCheckAccumulator,
  integratePower,
  joulesPer,
} from "./aggregate_power.js";

/** The fields of a valid measurement, in the tool's order. */
const FIELDS = [
  ...["avg_power_w", "avg_total_gpu_power_w", "total_gpu_energy_j", "joules_per_successful_query"],
  ...["joules_per_input_token", "joules_per_output_token", "joules_per_total_token"],
];

const NO_GPU = "the model is not on a GPU: see the fields of the CPU";

/** Returns the indices of the GPUs that hold the model: `cuda:0` is 0. */
export function gpusOf({ ranks }) {
  const indices = ranks.flatMap(({ device }) => /(?:^|\/)cuda:(\d+)$/.exec(device)?.[1] ?? []);
  return [...new Set(indices)];
}

/**
 * Returns the samples of each GPU that holds the model as (time, power) pairs, in seconds since 1970 and W, and the
 * uncertainty of each power as (time, uncertainty) pairs. `epoch` is the time at which the run began.
 */
export function samplesByGpu(timeline, gpus, epoch) {
  const samples = { power: {}, uncertainty: {} };
  for (const { at, device, domain, power } of timeline) {
    const index = /^cuda:(\d+)$/.exec(device)?.[1];
    if (domain !== "gpu" || !gpus.includes(index)) continue;
    const time = epoch + at / 1e9;
    (samples.power[index] ??= []).push([time, power.value]);
    (samples.uncertainty[index] ??= []).push([time, power.uncertainty]);
  }
  return samples;
}

/** Returns the samples as the tool's monitor writes them (`nvidia-smi --query-gpu=timestamp,index,power.draw`). */
export function telemetryCsv({ power }) {
  const rows = Object.entries(power).flatMap(([index, samples]) => samples.map(([at, watts]) => [at, index, watts]));
  const lines = rows.sort(([one], [other]) => one - other).map(([at, index, watts]) => `${at}, ${index}, ${watts} W\n`);
  return `timestamp, index, power.draw [W]\n${lines.join("")}`;
}

/**
 * Returns the power of a point: the fields of the aggregate (`fields`), the file beside it (`validation`), whether it
 * is valid, the reasons of fields that are null, and the energy of the GPUs (`gpu`, undefined unless valid).
 */
export function aggregatePower({ name, result, samples, monitored, gpus }) {
  const benchmark = {
    start: result.benchmark_start_time_unix,
    end: result.benchmark_end_time_unix,
    duration: result.duration,
    completed: result.completed,
    totalInput: result.total_input_tokens,
    totalOutput: result.total_output_tokens,
  };
  const window = { start: benchmark.start, end: benchmark.end, expected: gpus.length };
  const { reasons: powerReasons, ...integration } = integratePower(samples.power, window);
  const reasons = [...benchmarkReasons(benchmark), ...powerReasons];
  const valid = reasons.length === 0;
  const { avg_power_w, avg_total_gpu_power_w, total_gpu_energy_j: energy } = integration;
  const metrics = valid
    ? { avg_power_w, avg_total_gpu_power_w, total_gpu_energy_j: energy, ...joulesPer(energy, benchmark) }
    : {};
  const counters = countersOf(monitored, gpus);
  const validation = {
    schema_version: 1,
    power_valid: valid,
    reasons,
    telemetry_source: gpus.length > 0 ? `gpu_metrics_${name}.csv` : null,
    benchmark_result: `${name}.json`,
    benchmark_window: {
      start_time_unix: benchmark.start,
      end_time_unix: benchmark.end,
      reported_duration_s: benchmark.duration,
      integration_duration_s: benchmark.end - benchmark.start,
      completed: benchmark.completed,
      total_input_tokens: benchmark.totalInput,
      total_output_tokens: benchmark.totalOutput,
    },
    integration_method: INTEGRATION_METHOD,
    expected_gpu_count: gpus.length,
    observed_gpu_count: integration.observed_gpu_ids.length,
    observed_gpu_ids: integration.observed_gpu_ids,
    per_gpu_sample_counts: integration.per_gpu_sample_counts,
    per_gpu_max_sample_gap_s: integration.per_gpu_max_sample_gap_s,
    per_gpu_energy_j: integration.per_gpu_energy_j,
    device_issues: integration.device_issues,
    accumulator_check: crossCheckAccumulator(samples.power, counters),
    metrics: mapValues(metrics, (value) => rounded(value, 6)),
  };
  const why = gpus.length === 0 ? NO_GPU : `power_valid is 0: ${reasons.join(", ")}`;
  return {
    valid,
    validation,
    fields: {
      power_metric_schema_version: POWER_METRIC_SCHEMA_VERSION,
      power_valid: Number(valid),
      // The tool leaves out what is not valid. A reader of numbers skips null in the same way.
      ...Object.fromEntries(FIELDS.map((key) => [key, valid ? rounded(metrics[key], digitsOf(key)) : null])),
    },
    reasons: Object.fromEntries(FIELDS.map((key) => [key, why])),
    gpu: valid ? energyOfGpus(energy, samples, window) : undefined,
  };
}

/**
 * Returns the energy as a quantity. Its uncertainty is the integral of the samples' uncertainties, because the error of
 * a sensor is the same in all of them. The tool has none.
 */
function energyOfGpus(energy, { uncertainty }, window) {
  return new Quantity(energy, integratePower(uncertainty, window).total_gpu_energy_j, "J", "nvml-power");
}

/** Returns what the energy counter of each GPU counted while the monitor was on, in J. */
function countersOf({ energy }, gpus) {
  const found = energy.flatMap(({ device, domain, energy: reading }) => {
    const index = /^cuda:(\d+)$/.exec(device)?.[1];
    const counted = known(reading);
    const isCounter = domain === "gpu" && gpus.includes(index) && counted?.source === "nvml-counter";
    return isCounter ? [[index, counted.value]] : [];
  });
  return Object.fromEntries(found);
}

/** Returns energies of the CPU under names of their own, as quantities or reasons. */
export function cpuEnergies({ energyCpu, wallTime }, result) {
  const { completed, total_input_tokens: input, total_output_tokens: output } = result;
  const per = (count, unit) =>
    energyCpu instanceof Unavailable ? energyCpu : energyCpu.per(count, unit) ?? new Unavailable("nothing was counted");
  return {
    total_cpu_energy_j: energyCpu,
    avg_cpu_power_w: per(wallTime / 1e9, "W"),
    cpu_joules_per_successful_query: per(completed, "J/{request}"),
    cpu_joules_per_input_token: per(input, "J/{token}"),
    cpu_joules_per_output_token: per(output, "J/{token}"),
    cpu_joules_per_total_token: per(input + output, "J/{token}"),
  };
}

/** Returns the digits after the point that the tool writes. */
function digitsOf(key) {
  return /_[wj]$/.test(key) ? 3 : 6;
}

function mapValues(object, change) {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));
}

function rounded(value, digits) {
  return Number(value.toFixed(digits));
}
