/** AIPerf's metrics: of each request, of all requests, and what it derives from both. Times are in ns. */

const NS_PER_S = 1e9;
const NS_PER_MS = 1e6;

/** A latency is in ms where it is shown. */
const TIME = { unit: "ms", scale: 1 / NS_PER_MS };
const TOKENS = { unit: "tokens", scale: 1 };
const PER_USER = { unit: "tokens/sec/user", scale: 1 };

/** Metrics of a request: AIPerf's tag, its head, unit, whether more is better, and the value, or undefined. */
export const RECORD_METRICS = [
  ["time_to_first_token", "Time to First Token", TIME, false, (one) => one.tokens[0] - one.start],
  ["time_to_second_token", "Time to Second Token", TIME, false, (one) => one.tokens[1] - one.tokens[0]],
  ["request_latency", "Request Latency", TIME, false, latency],
  ["decode_duration", "Decode Duration", TIME, false, (one) => one.tokens.at(-1) - one.tokens[0]],
  ["inter_token_latency", "Inter Token Latency", TIME, false, interTokenLatency],
  [
    "output_token_throughput_per_user",
    "Output Token Throughput Per User",
    PER_USER,
    true,
    perSecond(interTokenLatency),
  ],
  [
    "e2e_output_token_throughput",
    "E2E Output Token Throughput",
    PER_USER,
    true,
    perSecond((one) => latency(one) / one.tokens.length),
  ],
  [
    "prefill_throughput_per_user",
    "Prefill Throughput Per User",
    PER_USER,
    true,
    perSecond((one) => (one.tokens[0] - one.start) / one.isl),
  ],
  ["output_sequence_length", "Output Sequence Length", TOKENS, true, (one) => one.tokens.length],
  ["input_sequence_length", "Input Sequence Length", TOKENS, true, (one) => one.isl],
];

function latency(one) {
  return one.tokens.at(-1) - one.start;
}

/** One value a request, vLLM's TPOT. A request of one token has none. */
function interTokenLatency(one) {
  if (one.tokens.length < 2) return undefined;
  return (latency(one) - (one.tokens[0] - one.start)) / (one.tokens.length - 1);
}

/** What a user sees in a second, from a time of one token, in ns. There is none if the time is zero. */
function perSecond(time) {
  return (one) => {
    const ns = time(one);
    return ns > 0 ? 1 / (ns / NS_PER_S) : undefined;
  };
}

const isKnown = (value) => value !== undefined && !Number.isNaN(value);
const sum = (values) => values.reduce((total, value) => total + value, 0);

const QUANTILES = [1, 5, 10, 25, 50, 75, 90, 95, 99];

/**
 * AIPerf's statistics of a list: percentiles with linear interpolation, and the population standard deviation. In units
 * of the values times `scale`.
 */
export function statisticsOf(values, scale = 1) {
  const sorted = [...values].sort((a, b) => a - b);
  const n = sorted.length;
  const total = sum(values);
  const percentile = (p) => {
    const position = (p / 100) * (n - 1);
    const low = Math.trunc(position);
    return sorted[low] + (position - low) * (sorted[Math.min(low + 1, n - 1)] - sorted[low]);
  };
  const mean = total / n;
  const std = Math.sqrt(sum(sorted.map((value) => (value - mean) ** 2)) / n);
  const all = { avg: mean, ...Object.fromEntries(QUANTILES.map((p) => [`p${p}`, percentile(p)])) };
  Object.assign(all, { min: sorted[0], max: sorted.at(-1), std });
  const scaled = Object.fromEntries(Object.entries(all).map(([name, value]) => [name, value * scale]));
  return { ...scaled, count: n, sum: total * scale };
}

/**
 * Computes all metrics of served requests.
 *
 * @param {{ start: number, tokens: number[], isl: number }[]} requests with at least one token each
 * @param {Record<string, number>} slos of goodput: limits by the tags of request metrics, in shown units
 * @returns {Map<string, { head: string, unit: string } & Record<string, number>>} by AIPerf's tags
 */
export function metricsOf(requests, slos = {}) {
  const all = new Map();
  for (const [tag, head, { unit, scale }, , valueOf] of RECORD_METRICS) {
    const values = requests.map(valueOf).filter(isKnown);
    if (values.length > 0) all.set(tag, { head, unit, ...statisticsOf(values, scale) });
  }
  const gaps = requests.flatMap(({ tokens }) => tokens.slice(1).map((time, at) => time - tokens[at]));
  if (gaps.length > 0) {
    all.set("inter_chunk_latency", { head: "Inter Chunk Latency", unit: TIME.unit, ...statisticsOf(gaps, TIME.scale) });
  }
  const add = (tag, head, unit, value) => isKnown(value) && all.set(tag, { head, unit, avg: value });
  const [isl, osl] = [sum(requests.map((one) => one.isl)), sum(requests.map((one) => one.tokens.length))];
  const ends = requests.map((one) => one.start + latency(one));
  const duration = (Math.max(...ends) - Math.min(...requests.map((one) => one.start))) / NS_PER_S;
  add("request_count", "Request Count", "requests", requests.length);
  add("total_isl", "Total Input Sequence Length", "tokens", isl);
  add("total_osl", "Total Output Sequence Length", "tokens", osl);
  add("benchmark_duration", "Benchmark Duration", "sec", duration);
  add("request_throughput", "Request Throughput", "requests/sec", requests.length / duration);
  add("output_token_throughput", "Output Token Throughput", "tokens/sec", osl / duration);
  add("input_token_throughput", "Input Token Throughput", "tokens/sec", isl / duration);
  add("total_token_throughput", "Total Token Throughput", "tokens/sec", (isl + osl) / duration);
  if (Object.keys(slos).length > 0) {
    const good = requests.filter((one) => isGood(one, slos)).length;
    add("good_request_count", "Good Request Count", "requests", good);
    add("good_request_fraction", "GoodRequestFraction", "ratio", good / requests.length);
    add("goodput", "Goodput", "requests/sec", good / duration);
  }
  // Later than AIPerf 0.13.0: the inverse of the 90th percentile of the time of an output token, the first one's in it.
  const { p90 } = statisticsOf(requests.map((one) => latency(one) / one.tokens.length / NS_PER_S));
  const name = "E2E Normalized Interactivity p90";
  if (p90 > 0) add("e2e_normalized_interactivity_p90", name, "tokens/sec/user", 1 / p90);
  return all;
}

/** Whether a request meets all limits. One that has no value for a limit does not. */
export function isGood(request, slos) {
  return Object.entries(slos).every(([tag, limit]) => {
    const [, , { scale }, isMoreBetter, valueOf] = RECORD_METRICS.find(([name]) => name === tag);
    const value = valueOf(request);
    if (!isKnown(value)) return false;
    // AIPerf compares in ns, so the limit is converted, not the value.
    return isMoreBetter ? value >= limit / scale : value <= limit / scale;
  });
}

/** Reads `--goodput`: `request_latency:250 inter_token_latency:10`. Returns undefined if it cannot be read. */
export function slosOf(text) {
  const pairs = text
    .split(/\s+/)
    .filter(Boolean)
    .map((part) => part.split(":"));
  const isRight = ([tag, limit, ...rest]) =>
    rest.length === 0 && Number(limit) > 0 && RECORD_METRICS.some(([name]) => name === tag);
  return pairs.every(isRight) ? Object.fromEntries(pairs.map(([tag, limit]) => [tag, Number(limit)])) : undefined;
}

/**
 * AIPerf's energy metrics, without the prefix of a vendor: the energy of the accelerators over the benchmark, divided.
 *
 * @param {number} joules
 * @param {ReturnType<typeof metricsOf>} metrics
 */
export function energyMetricsOf(joules, metrics) {
  const of = (tag) => metrics.get(tag)?.avg;
  const [osl, isl, requests] = [of("total_osl"), of("total_isl"), of("request_count")];
  const watts = joules / of("benchmark_duration");
  const all = [
    ["average_gpu_power", "Average GPU Power", "W", watts],
    ["total_gpu_energy", "Total GPU Energy", "J", joules],
    ["output_tokens_per_joule", "Output Tokens per Joule", "tokens/J", osl / joules],
    ["energy_per_output_token", "Energy per Output Token", "mJ/token", (joules * 1000) / osl],
    ["energy_per_total_token", "Energy per Total Token", "mJ/token", (joules * 1000) / (isl + osl)],
    ["energy_per_request", "Energy per Request", "joules/request", joules / requests],
    ["energy_delay_product", "Energy Delay Product", "J*s", (joules / requests) * (of("request_latency") / 1000)],
    ["performance_per_watt", "Performance per Watt", "requests/sec/W", of("request_throughput") / watts],
    ["output_tps_per_watt", "Output Tokens per Second per Watt", "tokens/sec/W", of("output_token_throughput") / watts],
    ["goodput_per_watt", "Goodput per Watt", "good-req/s/W", of("goodput") / watts],
  ];
  return new Map(
    all.filter(([, , , value]) => isKnown(value)).map(([tag, head, unit, avg]) => [tag, { head, unit, avg }]),
  );
}
