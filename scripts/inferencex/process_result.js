/** InferenceX's derived fields of a point (`utils/process_result.py`, single node), and the Pareto front of points. */

/** Fields that are throughputs of a GPU, with the fields of a device of any kind beside them. */
const PER_GPU = ["tput_per_gpu", "output_tput_per_gpu", "input_tput_per_gpu"];

/**
 * Returns the derived fields of a result of `benchmark_serving.py`.
 *
 * `numGpus` is the number of GPUs that the model is on. If it is 0, the fields of a GPU are null. `numDevices` counts
 * the devices of any kind; fields named `per_device` are llem's own.
 */
export function processResult(result, described, { numGpus, numDevices }) {
  const total = result.total_token_throughput;
  const output = result.output_throughput;
  const rates = [total, output, total - output];
  const over = (count) => rates.map((rate) => (count > 0 ? rate / count : null));
  const perGpu = over(numGpus).map((rate, index) => [PER_GPU[index], rate]);
  const perDevice = over(numDevices).map((rate, index) => [PER_GPU[index].replace("gpu", "device"), rate]);
  return {
    ...described,
    conc: result.max_concurrency,
    ...Object.fromEntries([...perGpu, ...perDevice]),
    ...secondsAndInteractivity(result),
  };
}

/**
 * Returns each field in ms in seconds, without `_ms` in its name, and of each statistic of TPOT its reciprocal
 * (`intvty`, in tokens per second and user).
 *
 * So `p99_intvty` is the reciprocal of the 99th percentile of TPOT, a low interactivity, and `std_intvty` the
 * reciprocal of a standard deviation, which is no spread of anything. Both are the tool's.
 */
function secondsAndInteractivity(result) {
  const fields = {};
  for (const [key, value] of Object.entries(result)) {
    if (!key.endsWith("ms")) continue;
    fields[key.replace("_ms", "")] = value === null ? null : value / 1000;
    // A TPOT of 0 stops the tool with an error. Here the field is null.
    if (key.includes("tpot")) fields[key.replace("_ms", "").replace("tpot", "intvty")] = value ? 1000 / value : null;
  }
  return fields;
}

/**
 * Returns whether each point is on the Pareto front: no other point has both values at least as high and one of them
 * higher. Points with a missing value are never on it.
 */
export function paretoFront(points) {
  const dominates = (one, other) => one.x >= other.x && one.y >= other.y && (one.x > other.x || one.y > other.y);
  const isKnown = ({ x, y }) => Number.isFinite(x) && Number.isFinite(y);
  return points.map((point) => isKnown(point) && !points.some((other) => isKnown(other) && dominates(other, point)));
}
