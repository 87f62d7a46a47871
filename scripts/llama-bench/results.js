/** Results under llama-bench's field names: samples and their statistics, JSON, and the table in Markdown. */

import { mean, standardDeviation } from "@llem/sdk/statistics";

import { nameOf } from "./tests.js";

/** The fields of a result, in llama-bench's order. Those that llem has nothing for are null. */
const FIELDS = [
  ...["build_commit", "build_number", "cpu_info", "gpu_info", "backends", "model_filename", "model_type", "model_size"],
  ...["model_n_params", "n_batch", "n_ubatch", "n_threads", "cpu_mask", "cpu_strict", "poll", "type_k", "type_v"],
  ...["n_gpu_layers", "n_cpu_moe", "split_mode", "main_gpu", "no_kv_offload", "flash_attn", "devices", "tensor_split"],
  ...["tensor_buft_overrides", "load_mode", "lazy_mode", "embeddings", "no_op_offload", "no_host", "fit_target"],
  "fit_min_ctx",
  ...["n_prompt", "n_gen", "n_depth", "test_time"],
  ...["avg_ns", "stddev_ns", "avg_ts", "stddev_ts", "samples_ns", "samples_ts"],
];

/** Returns a result with all fields, in llama-bench's order. */
export function inOrder(result) {
  return Object.fromEntries(FIELDS.map((field) => [field, result[field] ?? null]));
}

/** Returns the fields of a test that its samples decide. `samples` are the times of the repetitions, in ns. */
export function resultOf(test, samples) {
  const tokens = test.prompt + test.generation;
  const rates = samples.map((time) => (1e9 * tokens) / time);
  return {
    n_prompt: test.prompt,
    n_gen: test.generation,
    n_depth: test.depth,
    // llama-bench computes both in whole nanoseconds.
    avg_ns: Math.floor(mean(samples)),
    stddev_ns: Math.floor(standardDeviation(samples) ?? 0),
    avg_ts: mean(rates),
    stddev_ts: standardDeviation(rates) ?? 0,
    samples_ns: samples,
    samples_ts: rates,
  };
}

/** The columns of the table: field, head, width, and whether cells are aligned to the left. */
const COLUMNS = [
  ["model_type", "model", 30, true],
  ["model_size", "size", 10, false],
  ["model_n_params", "params", 10, false],
  ["backends", "backend", 10, true],
  ["n_threads", "threads", 7, false],
  ["type_k", "type_k", 6, true],
  ["type_v", "type_v", 6, true],
  ["test", "test", 15, false],
  ["t/s", "t/s", 20, false],
];

/** Returns the heads and rows of the table, with llama-bench's words and numbers of digits. */
export function tableOf(results) {
  const rows = results.map((result) => {
    const { model_size: size, model_n_params: parameters, avg_ts, stddev_ts } = result;
    const gib = 1024 ** 3;
    const shown = {
      ...result,
      model_size: size < gib ? `${(size / 1024 ** 2).toFixed(2)} MiB` : `${(size / gib).toFixed(2)} GiB`,
      model_n_params: parameters < 1e9 ? `${(parameters / 1e6).toFixed(2)} M` : `${(parameters / 1e9).toFixed(2)} B`,
      test: nameOf({ prompt: result.n_prompt, generation: result.n_gen, depth: result.n_depth }),
      "t/s": `${avg_ts.toFixed(2)} ± ${stddev_ts.toFixed(2)}`,
    };
    return COLUMNS.map(([field]) => String(shown[field]));
  });
  return { heads: COLUMNS.map(([, head]) => head), rows };
}

/** Returns the table in Markdown, as llama-bench prints it. */
export function markdownOf({ heads, rows }) {
  const pad = (cell, at) => {
    const [, , width, isLeft] = COLUMNS[at];
    return isLeft ? cell.padEnd(width) : cell.padStart(width);
  };
  const rule = COLUMNS.map(([, , width, isLeft]) => "-".repeat(width - 1) + (isLeft ? "-" : ":"));
  const lines = [heads.map(pad), rule, ...rows.map((row) => row.map(pad))];
  return lines.map((cells) => `| ${cells.join(" | ")} |\n`).join("");
}
