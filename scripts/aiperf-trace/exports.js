/** AIPerf's files: `profile_export_aiperf.json` (schema 1.4) and `profile_export_aiperf.csv`. */

import { facts } from "@llem/sdk";

/** The statistics of a row, in AIPerf's order. */
const COLUMNS = ["avg", "min", "max", "sum", "p1", "p5", "p10", "p25", "p50", "p75", "p90", "p95", "p99", "std"];

/** A table of metrics with percentiles, and one of single values. Rows are sorted by tag, numbers have two digits. */
export function csvOf(metrics) {
  const sorted = [...metrics].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
  const distributions = sorted
    .filter((one) => one.p50 !== undefined)
    .map((one) => [nameOf(one), ...COLUMNS.map((column) => one[column].toFixed(2))]);
  const values = sorted.filter((one) => one.p50 === undefined).map((one) => [nameOf(one), numberOf(one)]);
  const lines = [["Metric", ...COLUMNS], ...distributions, [], ["Metric", "Value"], ...values];
  return lines.map((cells) => `${cells.map(quoted).join(",")}\r\n`).join("");
}

const quoted = (cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
const nameOf = ({ head, unit }) => (unit === "requests" || unit === "count" ? head : `${head} (${unit})`);
const numberOf = ({ avg }) => avg.toFixed(2);

/** Metrics by their tags, after what the run was. Times are Unix time in ISO's format, without a zone, in UTC. */
export function jsonOf(metrics, { requests, began, prefixQueries, prefixHits }) {
  const starts = requests.map(({ start }) => start);
  const ends = requests.map(({ start, tokens }) => tokens.at(-1) ?? start);
  const time = (ns) => new Date((began + ns) / 1e6).toISOString().slice(0, -1);
  const { "llem-version": version } = Object.fromEntries(facts.listFacts());
  const results = [...metrics].map(([tag, { head, energy, unit, ...statistics }]) => [tag, { unit, ...statistics }]);
  return {
    schema_version: "1.4",
    aiperf_version: `llem ${version}, as aiperf 0.13.0`,
    ...Object.fromEntries(results),
    ...{ was_cancelled: false, is_complete: true, error_summary: [] },
    ...{ start_time: time(Math.min(...starts)), end_time: time(Math.max(...ends)) },
    ...(prefixQueries > 0 && { prefix_cache: { queries: prefixQueries, hits: prefixHits } }),
  };
}
