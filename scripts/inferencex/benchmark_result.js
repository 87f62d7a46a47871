/**
 * The result of `benchmark_serving.py`: the statistics of one point under its names.
 *
 *     sent          first token             last token         n tokens
 *     |--- TTFT ----|-- ITL --|-- ITL --|...|
 *     |--------------- E2EL ----------------|    TPOT = (E2EL - TTFT) / (n - 1)
 *
 * The standard deviation is the population's (numpy's `std`), and percentiles are interpolated (numpy's `percentile`).
 */

import { mean, median, percentile, populationStandardDeviation } from "@llem/sdk/statistics";

/** The percentiles that the tool writes by default. */
const PERCENTILES = [90, 99, 99.9];

/** Returns the latencies of completions, in s. `tpot` leaves out sequences of one token, as the tool does. */
export function latenciesOf(completions) {
  const of = (read) => completions.flatMap((one) => read(one) ?? []);
  return {
    ttft: of((one) => one.ttft()),
    tpot: of((one) => one.tpot()),
    itl: of(({ tokenTimes: times }) => times.slice(1).map((time, index) => (time - times[index]) / 1e9)),
    e2el: of((one) => one.e2el()),
  };
}

/**
 * Returns the statistics of latencies in the tool's order and units: `mean_ttft_ms`, `median_ttft_ms`, `std_ttft_ms`,
 * `p90_ttft_ms` and so on. Without values the tool writes 0, and this writes null.
 */
export function statisticsOf(latencies) {
  return Object.fromEntries(
    Object.entries(latencies).flatMap(([name, values]) => {
      const statistics = [
        [`mean_${name}_ms`, mean(values)],
        [`median_${name}_ms`, median(values)],
        [`std_${name}_ms`, populationStandardDeviation(values)],
        ...PERCENTILES.map((p) => [`p${p}_${name}_ms`, percentile(values, p)]),
      ];
      return statistics.map(([key, value]) => [key, value === undefined ? null : value * 1000]);
    }),
  );
}

/**
 * Returns the result of a point.
 *
 * `served` has the completions in the order of their requests, and the beginning and end of the benchmark in seconds
 * since 1970 and its duration in s.
 */
export function benchmarkResult({ completions, startUnix, endUnix, duration }, setup) {
  const inputs = completions.map((one) => one.promptTokens);
  const outputs = completions.map((one) => one.tokens.length);
  const [totalInput, totalOutput] = [inputs, outputs].map((lens) => lens.reduce((sum, length) => sum + length, 0));
  return {
    ...setup,
    duration,
    benchmark_start_time_unix: startUnix,
    benchmark_end_time_unix: endUnix,
    completed: completions.length,
    total_input_tokens: totalInput,
    total_output_tokens: totalOutput,
    request_throughput: completions.length / duration,
    // The tool's own spelling has the colon.
    "request_goodput:": null,
    output_throughput: totalOutput / duration,
    total_token_throughput: (totalInput + totalOutput) / duration,
    input_lens: inputs,
    output_lens: outputs,
    ...statisticsOf(latenciesOf(completions)),
  };
}
