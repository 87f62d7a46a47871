/** All metrics of a benchmark under guidellm's names (`GenerativeMetrics.compile`). */

import { concurrencyOverTime, rateOverTime, summary } from "./distributions.js";
import { isConforming } from "./request_stats.js";

const STATUSES = ["successful", "incomplete", "errored"];

/**
 * @param {import("./request_stats.js").RequestStats[]} requests
 * @param {object} options
 * @param {readonly [start: number, end: number]} options.window the measured part, in seconds
 * @param {boolean} options.hasSchedule whether requests had targets that do not depend on completions
 * @param {number} [options.confidence] of intervals
 * @param {object} [options.objectives] of goodput, in ms
 */
export function metricsOf(requests, { window, hasSchedule, confidence, objectives }) {
  /** Requests that overlap the measured part, whole. */
  const overlapping = (startOf, endOf) =>
    Object.fromEntries(
      STATUSES.map((status) => {
        const kept = requests.filter((one) => {
          const end = endOf(one);
          return one.status === status && end !== undefined && end >= window[0] && (startOf(one) ?? end) <= window[1];
        });
        return [status, kept];
      }),
    );
  const within = overlapping(
    (one) => one.start,
    (one) => one.requestEnd,
  );
  const byFirstToken = overlapping(
    (one) => one.start,
    (one) => one.first,
  );
  const afterFirstToken = overlapping(
    (one) => one.first,
    (one) => one.requestEnd,
  );
  const values = (of, from = within) =>
    ofStatuses(
      from,
      (one) => [[of(one) ?? 0, 1]],
      (all) => summary(all, { confidence }),
    );
  const scheduled = (of) => {
    const known = (one) => (of(one) === undefined ? [] : [[of(one), 1]]);
    return hasSchedule ? ofStatuses(within, known, (all) => summary(all, { confidence })) : null;
  };
  const weighted = (of, from = within) => ofStatuses(from, of, (all) => summary(all));
  const rates = (of, from = within) => ofStatuses(from, of, (all) => rateOverTime(all, window));
  const counts = STATUSES.map((status) => [status, within[status].length]);
  const everyone = STATUSES.flatMap((status) => within[status]);
  return {
    request_totals: { ...Object.fromEntries(counts), total: everyone.length },
    requests_per_second: rates((one) => [[one.requestEnd, 1]]),
    request_concurrency: ofStatuses(
      within,
      (one) => [[one.start, one.requestEnd, 1]],
      (all) => concurrencyOverTime(all, window),
    ),
    request_latency: values((one) => one.latency),
    request_dispatch_delay: scheduled((one) => one.dispatchDelay),
    request_scheduled_latency: scheduled((one) => one.scheduledLatency),
    // No request waits for another turn of a conversation here: all delay is the scheduler's.
    turn_predecessor_delay: hasSchedule ? weighted(() => [[0, 1]]) : null,
    turn_scheduling_delay: hasSchedule ? weighted((one) => [[one.dispatchDelay, 1]]) : null,
    root_dispatch_delay: everyone.length > 0 ? summary(everyone.map((one) => [one.dispatchDelay, 1])) : null,
    request_streaming_iterations_count: values((one) => one.iterations),
    prompt_token_count: values((one) => one.promptTokens),
    output_token_count: values((one) => one.outputTokens),
    total_token_count: values((one) => one.totalTokens),
    time_to_first_token_ms: values((one) => one.ttft, byFirstToken),
    time_to_first_output_token_ms: values((one) => one.ttft, byFirstToken),
    time_per_output_token_ms: weighted((one) => [[one.tpot ?? 0, one.outputTokens ?? 0]]),
    inter_token_latency_ms: weighted((one) => [[one.itl ?? 0, (one.outputTokens || 1) - 1]], afterFirstToken),
    // These two are of websockets. guidellm fills them with zeros where there is none.
    time_to_last_round_trip_ms: values(() => 0),
    avg_round_trip_time_ms: values(() => 0),
    prompt_tokens_per_second: rates((one) => [one.promptTiming]),
    output_tokens_per_second: rates((one) => one.outputTimings),
    tokens_per_second: rates((one) => [one.promptTiming, ...one.outputTimings]),
    output_tokens_per_iteration: weighted((one) => one.outputTimings.map(([, tokens]) => [tokens, 1])),
    iter_tokens_per_iteration: weighted((one) => one.laterTimings.map(([, tokens]) => [tokens, 1])),
    text: { tokens: tokensOf(within), ...nothing("words", "characters") },
    image: nothing("tokens", "images", "pixels", "bytes"),
    video: nothing("tokens", "frames", "seconds", "bytes"),
    audio: nothing("tokens", "samples", "seconds", "bytes"),
    tool_call: nothing("tokens", "mixed_tokens", "count"),
    turns: null,
    ...goodputOf(within, objectives, window),
  };
}

/** Makes a summary for each status and for all of them together. */
function ofStatuses(requests, valuesOf, summarise) {
  const values = STATUSES.map((status) => requests[status].flatMap(valuesOf));
  const summaries = STATUSES.map((status, at) => [status, summarise(values[at])]);
  return { ...Object.fromEntries(summaries), total: summarise(values.flat()) };
}

const PARTS = ["input", "output", "total"].flatMap((name) => [name, `${name}_per_second`, `${name}_concurrency`]);

/** What nothing is known of. */
function nothing(...names) {
  return Object.fromEntries(names.map((name) => [name, Object.fromEntries(PARTS.map((part) => [part, null]))]));
}

/** The tokens of texts: counts, rates by the ends of requests, and sums over the requests that run. */
function tokensOf(requests) {
  const known = (tokens) => (tokens === undefined ? [] : [[tokens, 1]]);
  // guidellm does not report the output of a request that was cancelled.
  const output = (one) => (one.status === "successful" ? one.outputTokens : undefined);
  const summaries = (name, each) => {
    const values = ofStatuses(
      requests,
      (one) => each(one).flatMap(known),
      (all) => summary(all),
    );
    if (values.total.count === 0) return { [name]: null, [`${name}_per_second`]: null, [`${name}_concurrency`]: null };
    const rate = (one) => each(one).map((tokens) => [one.requestEnd, tokens ?? 0]);
    const overlap = (one) => each(one).map((tokens) => [one.start, one.requestEnd, tokens ?? 0]);
    return {
      [name]: values,
      [`${name}_per_second`]: ofStatuses(requests, rate, (all) => rateOverTime(all)),
      [`${name}_concurrency`]: ofStatuses(requests, overlap, (all) => concurrencyOverTime(all)),
    };
  };
  const parts = { input: (one) => [one.promptTokens], output: (one) => [output(one)] };
  const input = summaries("input", parts.input);
  const generated = summaries("output", parts.output);
  const isComplete = input.input !== null && generated.output !== null;
  const both = isComplete ? (one) => [one.promptTokens, output(one)] : () => [];
  return { ...input, ...generated, ...summaries("total", both) };
}

/** The share and the rate of requests that meet all objectives. */
function goodputOf({ successful }, objectives, window) {
  const nothing = { slo_attainment: null, slo_determined_requests: 0, request_goodput: null };
  if (objectives === undefined) return nothing;
  const determined = successful.filter((one) => isConforming(objectives, one) !== undefined);
  if (determined.length === 0) return nothing;
  const met = determined.filter((one) => isConforming(objectives, one));
  const rate = ofStatuses(
    { successful: met, incomplete: [], errored: [] },
    (one) => [[one.requestEnd, 1]],
    (all) => rateOverTime(all, window),
  );
  return {
    slo_attainment: met.length / determined.length,
    slo_determined_requests: determined.length,
    request_goodput: rate,
  };
}
