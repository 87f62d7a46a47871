/** What a point adds to the record: metrics with the labels of the point, and the tables of the sweep. */

import { Quantity, known, report } from "@llem/sdk";

import { cpuEnergies } from "./power_files.js";
import { paretoFront } from "./process_result.js";

const RATES = ["tput_per_gpu", "output_tput_per_gpu", "input_tput_per_gpu"];
const INTERACTIVITY = ["mean_intvty", "median_intvty", "p90_intvty", "p99_intvty"];
const LATENCIES = ["ttft", "tpot", "itl", "e2el"].flatMap((name) => [`mean_${name}`, `median_${name}`, `p99_${name}`]);

/** Reports the metrics of a point. What is null in the aggregate is not reported. */
export function addPointMetrics({ point, result, agg, power, measurement }) {
  const add = (name, quantity) => {
    const labels = Object.entries(point);
    const metric = quantity?.intoMetric(name);
    if (metric) report.addMetric(labels.reduce((labelled, [key, value]) => labelled.label(key, String(value)), metric));
  };
  const addField = (name, unit) => {
    if (agg[name] !== null && agg[name] !== undefined) add(name, Quantity.exact(agg[name], unit, "derived"));
  };
  for (const name of RATES) {
    addField(name, "{token}/s");
    addField(name.replace("gpu", "device"), "{token}/s");
  }
  for (const name of INTERACTIVITY) addField(name, "{token}/s");
  for (const name of LATENCIES) addField(name, "s");
  const { completed, total_input_tokens: input, total_output_tokens: output, duration } = result;
  if (power.gpu) {
    const gpus = power.validation.observed_gpu_count;
    add("total_gpu_energy_j", power.gpu);
    add("avg_total_gpu_power_w", power.gpu.per(duration, "W"));
    add("avg_power_w", power.gpu.per(duration * gpus, "W"));
    add("joules_per_successful_query", power.gpu.per(completed, "J/{request}"));
    add("joules_per_input_token", power.gpu.per(input, "J/{token}"));
    add("joules_per_output_token", power.gpu.per(output, "J/{token}"));
    add("joules_per_total_token", power.gpu.per(input + output, "J/{token}"));
    add("energy_accelerators", known(measurement.energyAccelerators));
  }
  for (const [name, reading] of Object.entries(cpuEnergies(measurement, result))) add(name, known(reading));
}

/**
 * Reports the table of all points and the Pareto front. Points are compared within a shape: the median interactivity
 * with the throughput per GPU or, without a GPU, per device.
 */
export function addTables(results) {
  const hasGpu = results.every(({ agg }) => agg.tput_per_gpu !== null);
  const tput = hasGpu ? "tput_per_gpu" : "tput_per_device";
  const shapeOf = ({ point: { isl, osl } }) => `${isl}_${osl}`;
  const front = new Set();
  for (const shape of new Set(results.map(shapeOf))) {
    const points = results.filter((one) => shapeOf(one) === shape);
    const isOn = paretoFront(points.map(({ agg }) => ({ x: agg.median_intvty, y: agg[tput] })));
    points.filter((_, index) => isOn[index]).forEach((one) => front.add(one));
  }
  const digits = (value, count) => (value === null || value === undefined ? "" : value.toFixed(count));
  const energy = hasGpu ? "joules_per_output_token" : "cpu_joules_per_output_token";
  const row = ({ point, result, agg, power, measurement }) => {
    const cpu = known(cpuEnergies(measurement, result).cpu_joules_per_output_token)?.value;
    return [
      String(point.isl),
      String(point.osl),
      String(point.conc),
      digits(agg[tput], 2),
      digits(agg[`output_${tput}`], 2),
      digits(agg.median_intvty, 2),
      digits(agg.median_ttft, 4),
      digits(agg.median_e2el, 4),
      digits(hasGpu ? agg.joules_per_output_token : cpu, 4),
      hasGpu ? (power.valid ? "1" : "0") : "",
    ];
  };
  const columns = ["isl", "osl", "conc", tput, `output_${tput}`, "median_intvty", "median_ttft", "median_e2el", energy];
  report.addTable({
    name: "inferencex",
    columns: [...columns, "power_valid", "pareto"],
    rows: results.map((one) => [...row(one), front.has(one) ? "*" : ""]),
  });
  const byInteractivity = [...front].sort((one, other) => other.agg.median_intvty - one.agg.median_intvty);
  for (const shape of new Set(byInteractivity.map(shapeOf))) {
    const points = byInteractivity.filter((one) => shapeOf(one) === shape);
    report.addSeries({
      name: `pareto_${shape}`,
      x: ["median_intvty", "{token}/s"],
      y: [tput, "{token}/s"],
      points: points.map(({ agg }) => [agg.median_intvty, agg[tput]]),
    });
  }
  const noCpu = results.map(({ measurement }) => measurement.energyCpu).find((reading) => known(reading) === undefined);
  if (!hasGpu) report.warn("the model is not on a GPU: fields per GPU and of GPU energy are null, with the reason");
  if (noCpu) report.warn(`no energy of the CPU: ${noCpu.reason}`);
}
