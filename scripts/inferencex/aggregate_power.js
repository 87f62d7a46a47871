/**
 * GPU energy of a point from samples of power, and whether it is valid (`utils/aggregate_power.py`).
 *
 *     monitor   *----*----*----*----*----*----*----*      samples of one GPU
 *     benchmark         |=================|               power at both ends is interpolated
 *
 * Times are in s, power in W, energy in J. Each GPU is integrated by itself by the trapezoidal rule.
 */

/** The name of the method in the tool's files. */
export const INTEGRATION_METHOD = "per_device_trapezoidal_with_linear_boundary_interpolation";

/** The longest time between two samples of a valid measurement, in s. */
const MAX_SAMPLE_GAP = 3.0;

/** The largest relative difference of the counter and the integral of all samples. */
const TOLERANCE = 0.05;

/** The version of the fields' meaning in the tool's files: energies are those of all GPUs of the deployment. */
export const POWER_METRIC_SCHEMA_VERSION = 2;

/** Integrates (time, power) pairs by the trapezoidal rule. */
export function trapezoid(samples) {
  let energy = 0;
  for (let index = 1; index < samples.length; index++) {
    const [[before, low], [after, high]] = [samples[index - 1], samples[index]];
    energy += ((after - before) * (low + high)) / 2;
  }
  return energy;
}

/** Interpolates the power at a time that the samples bracket. */
function powerAt(samples, time) {
  const right = samples.findIndex(([at]) => at >= time);
  if (Math.abs(samples[right][0] - time) <= 1e-9) return samples[right][1];
  const [[before, low], [after, high]] = [samples[right - 1], samples[right]];
  return low + ((time - before) / (after - before)) * (high - low);
}

/** Returns the samples between two times, with interpolated ones at both ends. */
function clip(samples, start, end) {
  const within = samples.filter(([at]) => start < at && at < end);
  return [[start, powerAt(samples, start)], ...within, [end, powerAt(samples, end)]];
}

/** Sorts samples by time and averages those of the same time. */
function merge(samples) {
  const byTime = new Map();
  for (const [at, power] of samples) byTime.set(at, [...(byTime.get(at) ?? []), power]);
  const average = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  return [...byTime].map(([at, values]) => [at, average(values)]).sort(([one], [other]) => one - other);
}

/**
 * Integrates the power of each GPU from `start` to `end`, and lists what makes the measurement invalid, in the tool's
 * words. `byGpu` maps the GPU's id to its (time, power) pairs. `expected` is the number of GPUs that the model is on.
 * Energies are null if a GPU's samples do not bracket the window.
 */
export function integratePower(byGpu, { start, end, expected }) {
  const reasons = new Set();
  if (expected <= 0) reasons.add("invalid_expected_gpu_count");
  const near = ([at]) => at >= start - MAX_SAMPLE_GAP && at <= end + MAX_SAMPLE_GAP;
  const gpus = Object.entries(byGpu).map(([id, samples]) => [id, merge(samples.filter(near))]);
  const observed = gpus.filter(([, samples]) => samples.length > 0);
  const result = {
    observed_gpu_ids: observed.map(([id]) => id),
    per_gpu_sample_counts: {},
    per_gpu_max_sample_gap_s: {},
    per_gpu_energy_j: {},
    device_issues: {},
    total_gpu_energy_j: null,
    avg_total_gpu_power_w: null,
    avg_power_w: null,
  };
  if (Object.keys(byGpu).length === 0) reasons.add("telemetry_file_missing");
  else if (observed.length === 0) reasons.add("no_usable_power_samples");
  else if (expected > 0 && observed.length !== expected) reasons.add("expected_gpu_count_mismatch");
  for (const [id, samples] of observed) {
    const issues = [];
    result.per_gpu_sample_counts[id] = samples.length;
    if (samples.length < 2) issues.push("insufficient_power_samples");
    else if (samples[0][0] > start || samples.at(-1)[0] < end) issues.push("benchmark_window_not_bracketed");
    else {
      const times = samples.map(([at]) => at);
      const relevant = times.slice(times.findLastIndex((at) => at <= start), times.findIndex((at) => at >= end) + 1);
      const gap = Math.max(0, ...relevant.slice(1).map((at, index) => at - relevant[index]));
      result.per_gpu_max_sample_gap_s[id] = gap;
      if (gap > MAX_SAMPLE_GAP) issues.push("sampling_gap_exceeded");
      result.per_gpu_energy_j[id] = trapezoid(clip(samples, start, end));
    }
    for (const issue of issues) reasons.add(issue);
    if (issues.length > 0) result.device_issues[id] = issues;
  }
  const energies = Object.values(result.per_gpu_energy_j);
  if (observed.length > 0 && energies.length === observed.length) {
    result.total_gpu_energy_j = energies.reduce((sum, energy) => sum + energy, 0);
    result.avg_total_gpu_power_w = result.total_gpu_energy_j / (end - start);
    result.avg_power_w = result.avg_total_gpu_power_w / observed.length;
  }
  return { ...result, reasons: [...reasons] };
}

/** Lists what makes the benchmark's result unusable for energies, in the tool's words. */
export function benchmarkReasons({ duration, completed, totalInput, totalOutput, start, end }) {
  const isMismatch = Math.abs(duration - (end - start)) > Math.max(0.5, (end - start) * 0.01);
  return [
    isMismatch && "benchmark_duration_mismatch",
    completed <= 0 && "invalid_successful_query_count",
    totalInput <= 0 && "invalid_input_token_count",
    totalOutput <= 0 && "invalid_output_token_count",
  ].filter(Boolean);
}

/**
 * Returns the energies per query and token. They divide by the counts of the benchmark, input and output each on their
 * own: the same joules are in all of them.
 */
export function joulesPer(energy, { completed, totalInput, totalOutput }) {
  return {
    joules_per_successful_query: energy / completed,
    joules_per_input_token: energy / totalInput,
    joules_per_output_token: energy / totalOutput,
    joules_per_total_token: energy / (totalInput + totalOutput),
  };
}

/**
 * Compares energy counters with the integral of all samples of the monitor, not only those of the benchmark. Returns
 * null if no counter was read. As in the tool the result does not decide whether the power is valid.
 */
export function crossCheckAccumulator(byGpu, counters) {
  const ids = Object.keys(counters).sort();
  if (ids.length === 0) return null;
  const integrated = ids.filter((id) => (byGpu[id] ?? []).length > 0);
  // Samples of one time are in the order of their power, as in the tool.
  const byTimeAndPower = ([at, power], [otherAt, otherPower]) => at - otherAt || power - otherPower;
  const streams = Object.fromEntries(integrated.map((id) => [id, [...byGpu[id]].sort(byTimeAndPower)]));
  const delta = ids.reduce((sum, id) => sum + counters[id], 0);
  const integral = integrated.reduce((sum, id) => sum + trapezoid(streams[id]), 0);
  const ends = integrated.flatMap((id) => [streams[id][0][0], streams[id].at(-1)[0]]);
  const negative = ids.filter((id) => counters[id] < 0);
  const error = delta > 0 ? Math.abs(delta - integral) / delta : null;
  return {
    available: true,
    accumulator_delta_j: delta,
    integrated_stream_j: integral,
    relative_error: error,
    within_tolerance: error !== null && negative.length === 0 && error <= TOLERANCE,
    tolerance: TOLERANCE,
    per_gpu_delta_j: counters,
    integrated_gpu_ids: integrated,
    unmatched_gpus: [],
    negative_delta_gpus: negative,
    stream_span_s: ends.length > 0 ? Math.max(...ends) - Math.min(...ends) : 0,
  };
}
