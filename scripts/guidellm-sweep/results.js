/** The record's metrics, and guidellm's tables on the console. */

import { Quantity, known, report } from "@llem/sdk";
import { standardError } from "@llem/sdk/statistics";

/** What is reported of the latencies: metric, unit, and the value of a request. */
const LATENCIES = [
  ["request_latency", "s", (one) => one.latency],
  ["time_to_first_token_ms", "ms", (one) => one.ttft],
  ["inter_token_latency_ms", "ms", undefined],
  ["time_per_output_token_ms", "ms", undefined],
];

const RATES = [
  ["requests_per_second", "{request}/s"],
  ["request_concurrency", "{request}"],
  ["prompt_tokens_per_second", "{token}/s"],
  ["output_tokens_per_second", "{token}/s"],
  ["tokens_per_second", "{token}/s"],
];

/** Adds the numbers that guidellm prints, with the labels `strategy` and `statistic`, and the energy of a token. */
export function addMetrics({ strategy, metrics, load, measurement }) {
  const add = (name, statistic, quantity) =>
    report.addMetric(quantity.intoMetric(name).label("strategy", strategy.name).label("statistic", statistic));
  const exact = (value, unit) => Quantity.exact(value, unit, "derived");
  for (const [name, unit, of] of LATENCIES) {
    const { mean, median, percentiles, count } = metrics[name].successful;
    if (count === 0) continue;
    // A mean over requests has the standard deviation of the mean. One over tokens has none: its weights are tokens.
    const values = of === undefined ? [] : load.requests.flatMap((one) => of(one) ?? []);
    add(name, "mean", new Quantity(mean, standardError(values) ?? 0, unit, "derived"));
    add(name, "median", exact(median, unit));
    add(name, "p95", exact(percentiles.p95, unit));
  }
  for (const [name, unit] of RATES) add(name, "mean", exact(metrics[name].successful.mean, unit));
  if (metrics.request_goodput !== null) {
    add("request_goodput", "mean", exact(metrics.request_goodput.successful.mean, "{request}/s"));
    add("slo_attainment", "share", exact(metrics.slo_attainment, "1"));
  }
  const energy = known(measurement.energyPerOutputToken);
  if (energy !== undefined) add("joules_per_output_token", "mean", energy);
}

/** Returns guidellm's tables, each as a table of the record and as text. */
export function tablesOf(benchmarks) {
  return [summaryTable(benchmarks), latencyTable(benchmarks), throughputTable(benchmarks)].map((table) => ({
    table: {
      name: table.name,
      columns: table.columns.map(([...heads]) => heads.filter(Boolean).join(" ")),
      rows: table.rows,
    },
    text: textOf(table),
  }));
}

function summaryTable(benchmarks) {
  const columns = [
    ...[
      ["Benchmark", "Strategy", ""],
      ["Timings", "Dur", "Sec"],
      ["Timings", "Warm", "Sec"],
      ["Timings", "Cool", "Sec"],
    ],
    ...["Comp", "Inc", "Err"].map((name) => ["Requests", name, "Tot"]),
    ...["Input Tokens", "Output Tokens"].flatMap((group) => ["Comp", "Inc", "Err"].map((name) => [group, name, "Tot"])),
  ];
  const rows = benchmarks.map(({ strategy, part, load, metrics }) => {
    const { measureStart, measureEnd } = part;
    const times = [measureEnd - measureStart, measureStart - load.start, load.stop - measureEnd];
    const { successful, incomplete, errored } = metrics.request_totals;
    const tokens = [metrics.prompt_token_count, metrics.output_token_count].flatMap((one) =>
      [one.successful, one.incomplete, one.errored].map((status) => status.total_sum),
    );
    return [strategy.name, ...times.map(digit), ...[successful, incomplete, errored].map(String), ...tokens.map(digit)];
  });
  return { name: "run_summary", title: "Run Summary Info", columns, rows };
}

function latencyTable(benchmarks) {
  const groups = [
    ["Request Latency", "Sec", "request_latency"],
    ["TTFT", "ms", "time_to_first_token_ms"],
    ["TTFOT", "ms", "time_to_first_output_token_ms"],
    ["ITL", "ms", "inter_token_latency_ms"],
    ["TPOT", "ms", "time_per_output_token_ms"],
  ];
  const statistics = ["Mean", "Mdn", "p95"];
  const columns = [["Benchmark", "Strategy", ""]];
  for (const [group, unit] of groups) columns.push(...statistics.map((name) => [group, unit, name]));
  const rows = benchmarks.map(({ strategy, metrics }) => [
    strategy.name,
    ...groups.flatMap(([, , name]) => {
      const one = metrics[name].successful;
      // guidellm marks a percentile that has no confidence interval because there are too few requests.
      const isUnbounded = one.percentile_cis !== null && one.percentile_cis.p95 === null;
      return [withMargin(one), digit(one.median), `${digit(one.percentiles.p95)}${isUnbounded ? "*" : ""}`];
    }),
  ]);
  return { name: "request_latency", title: "Request Latency Statistics (Completed Requests)", columns, rows };
}

function throughputTable(benchmarks) {
  const groups = [
    ["Requests", "Per Sec", "requests_per_second"],
    ["Input Tokens", "Per Sec", "prompt_tokens_per_second"],
    ["Output Tokens", "Per Sec", "output_tokens_per_second"],
    ["Total Tokens", "Per Sec", "tokens_per_second"],
  ];
  const columns = [
    ...[
      ["Benchmark", "Strategy", ""],
      ["Requests", "Concurrency", "Mdn"],
      ["Requests", "Concurrency", "Mean"],
    ],
    ...groups.map(([group, name]) => [group, name, "Mean"]),
    ["Energy", "J/Output Tok", "Mean"],
  ];
  const rows = benchmarks.map(({ strategy, metrics, measurement }) => {
    const { median, mean } = metrics.request_concurrency.total;
    const energy = known(measurement.energyPerOutputToken);
    const rates = groups.map(([, , name]) => digit(metrics[name].total.mean));
    return [strategy.name, digit(median), digit(mean), ...rates, energyCell(energy)];
  });
  return { name: "server_throughput", title: "Server Throughput Statistics (All Requests)", columns, rows };
}

const digit = (value) => value.toFixed(1);

function energyCell(energy) {
  if (energy === undefined) return "--";
  return energy.uncertainty > 0 ? energy.inTwoDigits() : energy.value.toPrecision(3);
}

/** The mean with half of its confidence interval, with digits until it is not zero. */
function withMargin({ mean, mean_ci: interval }) {
  if (interval === null) return digit(mean);
  const margin = (interval.upper - interval.lower) / 2;
  let digits = 1;
  while (margin > 0 && digits < 4 && Number(margin.toFixed(digits)) === 0) digits += 1;
  return `${digit(mean)} ± ${margin.toFixed(digits)}`;
}

/** Writes a table with three rows of heads. A head that the next column repeats is written once. */
function textOf({ title, columns, rows }) {
  const heads = [0, 1, 2].map((line) =>
    columns.map((column, at) => {
      const before = columns[at - 1];
      return before !== undefined && line < 2 && before.slice(0, line + 1).join() === column.slice(0, line + 1).join() ?
          ""
        : column[line];
    }),
  );
  const widths = columns.map((_, at) => Math.max(...[...heads, ...rows].map((row) => row[at].length)));
  const line = (cells) => `| ${cells.map((cell, at) => cell.padEnd(widths[at])).join(" | ")} |`;
  const rule = (mark) => `|${widths.map((width) => mark.repeat(width + 2)).join("|")}|`;
  const lines = [rule("="), ...heads.map(line), rule("-"), ...rows.map(line), rule("=")];
  return `${title}\n${lines.join("\n")}\n`;
}
