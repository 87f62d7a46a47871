/** The files that AI Energy Score writes: the summary of GPU energy, and the row of the aggregate CSV. */

import { valueOf } from "./energies.js";

/** The phases of the summary. */
export const PHASES = ["preprocess", "prefill", "decode"];

/** The columns of the aggregate CSV (`results_aggregator.py`). */
export const COLUMNS = [
  ...["model_name", "model_class", "task", "reasoning_state", "total_prompts", "successful_prompts", "failed_prompts"],
  ...["total_duration_seconds", "avg_total_time", "avg_time_to_first_token", "total_tokens", "total_prompt_tokens"],
  ...["total_completion_tokens", "throughput_tokens_per_second", "gpu_energy_wh", "wh_per_1000_queries"],
  ...["co2_emissions_g", "tokens_per_joule", "avg_energy_per_prompt_wh", "timestamp", "error_message"],
];

/**
 * Returns `GPU_ENERGY_SUMMARY.json` for the energies of phases. The file has two decimals, as the benchmark's; what is not
 * measured is null, with the reason. With the format `ai_energy_benchmarks` all energy is filed under decode, and the
 * total is not rounded.
 */
export function gpuSummary(energies, format) {
  const isWhole = format === "ai_energy_benchmarks";
  const wh = Object.fromEntries(PHASES.map((phase) => [`${phase}_wh`, valueOf(energies[phase].gpu)]));
  const total = valueOf(energies.total.gpu);
  const missing = total === null ? { reason: energies.total.gpu.reason } : {};
  const rounded = Object.entries(wh).map(([name, value]) => [name, inTwoDecimals(value)]);
  return {
    units: "Wh",
    total: isWhole ? total : inTwoDecimals(total === null ? null : total + 1e-12),
    format,
    ...Object.fromEntries(rounded),
    ...missing,
  };
}

/** Returns a row of the aggregate CSV as texts. What is not measured is an empty cell. */
export function aggregateRow(summary, { gpuWh, co2, ...identity }) {
  const { successful_prompts: successful, failed_prompts: failed, total_prompts: all, total_tokens: tokens } = summary;
  const perPrompt = gpuWh === null || successful === 0 ? null : gpuWh / successful;
  const row = {
    ...identity,
    total_prompts: all,
    successful_prompts: successful,
    failed_prompts: failed,
    total_duration_seconds: fixed(summary.total_duration_seconds, 2),
    avg_total_time: fixed(summary.avg_latency_seconds, 4),
    avg_time_to_first_token: fixed(summary.avg_time_to_first_token, 4),
    total_tokens: tokens,
    total_prompt_tokens: summary.total_prompt_tokens,
    total_completion_tokens: summary.total_completion_tokens,
    throughput_tokens_per_second: fixed(summary.throughput_tokens_per_second, 2),
    gpu_energy_wh: fixed(gpuWh, 4),
    wh_per_1000_queries: fixed(perPrompt === null ? null : perPrompt * 1000, 4),
    co2_emissions_g: fixed(co2, 4),
    tokens_per_joule: fixed(gpuWh > 0 ? tokens / (gpuWh * 3600) : null, 4),
    avg_energy_per_prompt_wh: fixed(perPrompt, 4),
    error_message: failureOf(failed, all),
  };
  return COLUMNS.map((column) => String(row[column] ?? ""));
}

/** Returns rows of cells as CSV, with the columns' heads. Lines end as Python's csv module ends them. */
export function csvOf(rows) {
  const cell = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return [COLUMNS, ...rows].map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

function failureOf(failed, all) {
  if (failed === 0) return "";
  const percent = (100 * failed) / all;
  const warning = " - WARNING: High failure rate may skew normalized metrics (wh_per_1000_queries, etc.)";
  const text = `PARTIAL FAILURE: ${failed}/${all} prompts failed (${fixed(percent, 1)}%)`;
  return percent > 5 ? text + warning : text;
}

/**
 * Formats a number with so many decimals, or an absent one as an empty text. A number exactly halfway between two goes
 * to the even one, as in Python, where `toFixed` goes up.
 */
export function fixed(value, decimals) {
  if (value === null || value === undefined) return "";
  const exact = value.toFixed(100);
  const kept = exact.length - 100 + decimals;
  const isHalfway = /^50*$/.test(exact.slice(kept));
  return isHalfway && /[02468]$/.test(exact.slice(0, kept)) ? exact.slice(0, kept) : value.toFixed(decimals);
}

function inTwoDecimals(value) {
  return value === null ? null : Number(fixed(value, 2));
}
