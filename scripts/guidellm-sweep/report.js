/** guidellm's report `benchmarks.json`, version 2 of its schema. Instants in it are Unix time, as guidellm's are. */

import { facts } from "@llem/sdk";

import { summary } from "./distributions.js";

/** guidellm's number for an average that there is none of. */
const NONE = -1;

const mean = (values) => (values.length > 0 ? values.reduce((sum, one) => sum + one, 0) / values.length : NONE);
const transient = ({ percent = null, value = null, mode }) => ({ percent, value, mode });

/** Returns the parts of a benchmark that `reportOf` writes, with times in seconds since the run began. */
export function benchmarkOf({ strategy, load, part, metrics, options }) {
  const by = (status) => load.requests.filter((one) => one.status === status);
  const [successful, incomplete] = [by("successful"), by("incomplete")];
  const made = {
    successful: successful.length,
    incomplete: incomplete.length,
    errored: 0,
    total: load.requests.length,
  };
  const lastEnd = load.requests.reduce((last, one) => Math.max(last, one.requestEnd), load.start);
  return { strategy, load, part, metrics, made, lastEnd, options };
}

export function reportOf(benchmarks, options, model) {
  const known = Object.fromEntries(facts.listFacts());
  const began = facts.runBegan().getTime() / 1000;
  return {
    metadata: {
      version: 2,
      guidellm_version: `llem ${known["llem-version"]}, as guidellm 0.8.1`,
      python_version: "none",
      platform: known["os"] ?? known["cpu"] ?? "unknown",
    },
    config: configOf(options, model),
    benchmarks: benchmarks.map((one, index) => benchmarkEntry(one, index, began, model)),
    conclusions: [],
  };
}

function configOf({ profile, constraints, seed, warmup, cooldown, promptLengths, outputLengths, ...options }, model) {
  const kinds = {
    sweep: {
      sweep_size: profile.sweepSize,
      strategy_type: profile.strategyType,
      max_concurrency: profile.limit ?? null,
    },
    concurrent: { streams: profile.streams },
    throughput: { max_concurrency: profile.limit ?? null },
    synchronous: {},
  };
  const rates = { rate: profile.rates, max_concurrency: profile.limit ?? null };
  const lengths = (name, { average, stdev, min, max }) => ({
    [`${name}_tokens`]: average,
    [`${name}_tokens_stdev`]: stdev > 0 ? stdev : null,
    [`${name}_tokens_min`]: min ?? null,
    [`${name}_tokens_max`]: max ?? null,
  });
  return {
    metadata: { labels: {} },
    spec: {
      // guidellm reads reports of its own backends only.
      backend: { kind: "openai_http", target: "llem", model: model.source },
      profile: {
        ...{ kind: profile.kind, rampup_duration: profile.rampup },
        ...{ warmup: transient(warmup), cooldown: transient(cooldown), ...(kinds[profile.kind] ?? rates) },
      },
      constraints: constraintsOf(constraints).map(([, one]) => one),
      data: [{ kind: "synthetic_text", ...lengths("prompt", promptLengths), ...lengths("output", outputLengths) }],
      seed: { kind: "static", value: seed },
      metrics: { kind: "generative", confidence: options.confidence ?? null, slo: sloOf(options.objectives) },
    },
    benchmarks: [null],
  };
}

function constraintsOf({ maxRequests, maxSeconds }) {
  const all = [];
  const scope = { stopping_scope: "current" };
  if (maxRequests !== undefined) all.push(["max_requests", { kind: "max_requests", ...scope, count: maxRequests }]);
  if (maxSeconds !== undefined) all.push(["max_duration", { kind: "max_duration", ...scope, seconds: maxSeconds }]);
  return all;
}

function sloOf(objectives) {
  if (objectives === undefined) return null;
  return { ttft_ms: objectives.ttft ?? null, tpot_ms: objectives.tpot ?? null, e2el_ms: objectives.e2el ?? null };
}

function benchmarkEntry({ strategy, load, part, metrics, made, lastEnd, options, measurement }, index, began, model) {
  const unix = (seconds) => began + seconds;
  const [start, stop] = [unix(load.start), unix(load.stop)];
  const { measureStart, measureEnd } = part;
  const requests = (status) => load.requests.filter((one) => one.status === status);
  return {
    type_: "generative_benchmark",
    config: {
      ...{ id_: `${index}`, run_id: facts.runBegan().toISOString(), run_index: index },
      strategy: { type_: strategy.type, worker_count: 1, max_concurrency: strategy.limit ?? null, ...strategy.fields },
      constraints: Object.fromEntries(constraintsOf(options.constraints)),
      ...{ sample_size: null, warmup: transient(options.warmup), cooldown: transient(options.cooldown) },
      ...{ prefer_response_metrics: true, slo: sloOf(options.objectives), confidence: options.confidence ?? null },
      ...{ profile: { kind: options.profile.kind }, requests: {}, backend: { model: model.source }, environment: {} },
    },
    scheduler_state: {
      ...{ node_id: 0, num_processes: 1, start_time: start, end_time: stop, start_requests_time: start },
      ...{ end_requests_time: unix(lastEnd), created_requests: load.created, queued_requests: 0, pending_requests: 0 },
      ...{ processing_requests: 0, processed_requests: made.total, successful_requests: made.successful },
      ...{ errored_requests: 0, cancelled_requests: made.incomplete },
    },
    scheduler_metrics: {
      ...{ start_time: start, request_start_time: start, measure_start_time: unix(measureStart) },
      ...{ measure_end_time: unix(measureEnd), request_end_time: stop, end_time: stop, requests_made: made },
      generation_delay: summary([]),
      ...{ queued_time_avg: NONE, resolve_start_delay_avg: NONE, resolve_targeted_start_delay_avg: NONE },
      request_start_delay_avg: NONE,
      request_targeted_start_delay_avg: mean(load.requests.map((one) => one.dispatchDelay)),
      request_time_avg: mean(requests("successful").map((one) => one.latency)),
      ...{ resolve_end_delay_avg: NONE, resolve_time_avg: NONE, finalized_delay_avg: NONE, processed_delay_avg: NONE },
      ...{ dataset_incomplete: false, strategy_type: strategy.type },
    },
    metrics,
    requests: {
      successful: requests("successful").map((one) => requestEntry(one, began)),
      incomplete: requests("incomplete").map((one) => requestEntry(one, began)),
      ...{ errored: [], total: null },
    },
    warnings: [],
    ...{ start_time: unix(measureStart), end_time: unix(measureEnd), duration: measureEnd - measureStart },
    ...{ warmup_duration: measureStart - load.start, cooldown_duration: load.stop - measureEnd },
    energy: energyOf(measurement),
  };
}

/** Not guidellm's: the energy of the whole benchmark, warm-up and cool-down included. */
function energyOf({ energyTotal, energyPerOutputToken, energyCpu, energyAccelerators }) {
  return {
    total: energyTotal,
    cpu: energyCpu,
    accelerators: energyAccelerators,
    per_output_token: energyPerOutputToken,
  };
}

function requestEntry(one, began) {
  const unix = (seconds) => (seconds === undefined ? null : began + seconds);
  const tokens = (count) => ({ text_tokens: count ?? null });
  return {
    ...{ type_: "generative_request_stats", request_id: String(one.index), response_id: null, request_args: null },
    ...{ output: null, reasoning_output: null, tool_calls: null },
    info: {
      request_id: String(one.index),
      status: one.status === "successful" ? "completed" : "cancelled",
      timings: {
        ...{ targeted_start: unix(one.targeted), resolve_start: unix(one.start), request_start: unix(one.start) },
        ...{ first_request_iteration: unix(one.first), first_token_iteration: unix(one.first) },
        ...{ first_output_token_iteration: unix(one.first), last_token_iteration: unix(one.last) },
        ...{ last_request_iteration: unix(one.last), request_iterations: one.iterations },
        ...{ token_iterations: one.iterations, request_end: unix(one.end), resolve_end: unix(one.resolveEnd) },
      },
    },
    input_metrics: tokens(one.promptTokens),
    output_metrics: tokens(one.status === "successful" ? one.outputTokens : undefined),
    ...{ request_start_time: unix(one.start), request_end_time: unix(one.requestEnd) },
    ...{ request_latency: one.latency ?? null, request_dispatch_delay: one.dispatchDelay },
    ...{ request_scheduled_latency: one.scheduledLatency ?? null, turn_predecessor_delay: 0 },
    turn_scheduling_delay: one.dispatchDelay,
    ...{ prompt_tokens: one.promptTokens, output_tokens: one.outputTokens ?? null, total_tokens: one.totalTokens },
    ...{ time_to_first_token_ms: one.ttft ?? null, time_to_first_output_token_ms: one.ttft ?? null },
    ...{ time_per_output_token_ms: one.tpot ?? null, inter_token_latency_ms: one.itl ?? null },
    ...{ tokens_per_second: one.tokensPerSecond ?? null, output_tokens_per_second: one.outputTokensPerSecond ?? null },
    iter_tokens_per_iteration: one.laterTokensPerIteration ?? null,
    output_tokens_per_iteration: one.tokensPerIteration ?? null,
  };
}
