/**
 * AIPerf's replay of a trace: each request is sent at its time of the trace, whatever has completed.
 *
 *     trace, ms:   |0     |120|130              |480|500|510 ...     timestamp
 *     request:     |--- prefill ---|-t-|-t-|-t-|                     latencies count from the scheduled time
 */

import {
  About,
  LlemError,
  Model,
  Phase,
  Quantity,
  Random,
  Request,
  Window,
  experiment,
  facts,
  known,
  meter,
  parameter,
  report,
  rowsIfGranted,
} from "@llem/sdk";

import { csvOf, jsonOf } from "./exports.js";
import { RECORD_METRICS, energyMetricsOf, metricsOf, slosOf } from "./metrics.js";
import { PromptMaker, SAMPLE, entryOf, select } from "./trace.js";

export const script = experiment({ about, run });

function about() {
  return new About("aiperf-trace", "0.1.0", "AIPerf's replay of a trace of requests, with its metrics")
    .dataset("trace", "rows as Mooncake's: timestamp in ms, input_length or text_input, output_length, hash_ids")
    .number("synthesis-speedup-ratio", 1, "times are divided by this, to whole ms (--synthesis-speedup-ratio)")
    .number("fixed-schedule-start-offset", -1, "first time that is replayed, in ms; below 0 for no limit")
    .number("fixed-schedule-end-offset", -1, "last time that is replayed, in ms; below 0 for no limit")
    .boolean("fixed-schedule-auto-offset", false, "whether the first request is sent at once, whatever its time")
    .integer("synthesis-max-isl", 0, "requests with a longer input are left out; 0 for no limit")
    .integer("synthesis-max-osl", 0, "outputs are cut at this length; 0 for no limit")
    .integer("isl-block-size", 0, "tokens of a hash id; 0 for 16 in the sample and 512 in a trace (--isl-block-size)")
    .integer("output-tokens-mean", 16, "output length where the trace has none")
    .text("goodput", "", "limits: time_to_first_token:500 inter_token_latency:50 (--goodput)")
    .integer("max-num-seqs", 32, "most sequences that the engine runs at a time; others wait")
    .boolean("prefix-cache", false, "whether the engine reuses keys and values of shared beginnings");
}

function run() {
  const slos = slosOf(parameter("goodput", String));
  if (slos === undefined) {
    const tags = RECORD_METRICS.map(([tag]) => tag).join(", ");
    const message = `goodput is '${parameter("goodput", String)}': write METRIC:LIMIT, separated by spaces`;
    throw LlemError.invalidArgument(`${message}; metrics are ${tags}`);
  }
  const entries = readTrace();
  using model = Model.loadGranted();
  const asked = entries.map(requestsFor(model));
  const replayed = replay(model, entries, asked);
  const served = replayed.requests.filter(({ tokens }) => tokens.length > 0);
  if (served.length === 0) throw new LlemError("failed", "no request has a token");
  const metrics = metricsOf(served, slos);
  addEnergy(metrics, replayed.measurement, model.info().device);
  addMetrics(metrics);
  const began = facts.runBegan().getTime() * 1e6;
  report.writeArtifact("profile_export_aiperf.csv", csvOf(metrics));
  report.writeArtifact(
    "profile_export_aiperf.json",
    `${JSON.stringify(jsonOf(metrics, { ...replayed, began }), null, 2)}\n`,
  );
}

/** Reads the granted trace, or the sample, and keeps what is to be replayed. */
function readTrace() {
  const rows = rowsIfGranted("trace");
  const all =
    rows === undefined ?
      SAMPLE.map((one, index) => entryOf((name) => one[name], index))
    : Array.from(rows, (row) => entryOf((name) => row.fields.get(name), row.index));
  const limit = (name, least) => (parameter(name, Number) >= least ? parameter(name, Number) : undefined);
  const speedup = parameter("synthesis-speedup-ratio", Number);
  if (!(speedup > 0)) throw LlemError.invalidArgument(`synthesis-speedup-ratio is ${speedup}: set it above 0`);
  const entries = select(all, {
    ...{ start: limit("fixed-schedule-start-offset", 0), end: limit("fixed-schedule-end-offset", 0), speedup },
    ...{ maxIsl: limit("synthesis-max-isl", 1), maxOsl: limit("synthesis-max-osl", 1) },
  });
  if (entries.length === 0) throw LlemError.invalidArgument("no request of the trace is left: widen the offsets");
  return entries;
}

/** Returns what makes the request of an entry. */
function requestsFor(model) {
  const vocabulary = model.info().vocabSize;
  const blockSize = parameter("isl-block-size", Number) || (rowsIfGranted("trace") === undefined ? 16 : 512);
  const streams = new Map();
  const maker = new PromptMaker(blockSize, (name, count) => {
    if (!streams.has(name)) streams.set(name, new Random(name));
    return streams.get(name).tokens(count, vocabulary);
  });
  return (entry) => {
    const tokens = entry.text === undefined ? maker.tokens(entry) : model.tokenize(entry.text);
    const output = entry.outputLength ?? parameter("output-tokens-mean", Number);
    if (tokens.length + output > model.contextLength()) {
      const message = `a request takes ${tokens.length} + ${output} tokens, the context is ${model.contextLength()}`;
      throw LlemError.invalidArgument(`${message}: set synthesis-max-isl or synthesis-max-osl`);
    }
    return { tokens, output };
  };
}

/** Sends all requests at their times, and waits for the last one. */
function replay(model, entries, asked) {
  using _ = Phase.begin("profiling");
  using batch = model.openBatch({
    maxSequences: parameter("max-num-seqs", Number),
    maxTokens: Math.max(...asked.map(({ tokens, output }) => tokens.length + output)),
    prefixCache: parameter("prefix-cache", Boolean),
  });
  const isAuto = parameter("fixed-schedule-auto-offset", Boolean);
  // As in AIPerf the start offset is not divided by the speed-up.
  const zero = isAuto ? entries[0].timestamp : Math.max(parameter("fixed-schedule-start-offset", Number), 0);
  using window = Window.open("profiling");
  // The first requests are handed over before their time.
  const started = meter.now() + Math.min(1e6 * entries.length, 1e9);
  const indices = new Map();
  entries.forEach(({ timestamp }, index) => {
    const { tokens, output } = asked[index];
    const request = Request.fromTokens(tokens, { label: "trace", maxNewTokens: output, ignoreEos: true });
    const arrival = started + Math.max(Math.round((timestamp - zero) * 1e6), 0);
    indices.set(batch.submit(request, arrival)[0], index);
  });
  const requests = [];
  while (requests.length < entries.length) {
    const { ended } = batch.runUntilEnd();
    for (const { sequence, submitted, tokenTimes } of ended) {
      const index = indices.get(sequence);
      requests.push({ index, start: submitted, tokens: [...tokenTimes], isl: asked[index].tokens.length });
    }
    report.showProgress(requests.length, entries.length, "requests");
    if (ended.length === 0) break;
  }
  const { prefixQueries, prefixHits } = batch.status();
  const measurement = window.close();
  return { requests: requests.sort((a, b) => a.index - b.index), measurement, prefixQueries, prefixHits };
}

/** Adds AIPerf's energies of NVIDIA's GPUs, and of all that was measured under names without a vendor. */
function addEnergy(metrics, { energyAccelerators, energyTotal }, device) {
  const gpus = known(energyAccelerators);
  if (gpus !== undefined && device.startsWith("cuda")) {
    for (const [tag, one] of energyMetricsOf(gpus.value, metrics)) {
      metrics.set(`nvidia_${tag}`, { ...one, energy: gpus });
    }
  }
  const all = known(energyTotal);
  if (all === undefined) return;
  const tokens = metrics.get("total_osl").avg;
  metrics.set("total_energy", { head: "Total Energy (CPU and GPUs)", unit: "J", avg: all.value, energy: all });
  const head = "Output Tokens per Joule (CPU and GPUs)";
  metrics.set("output_tokens_per_joule", { head, unit: "tokens/J", avg: tokens / all.value, energy: all });
}

const UCUM = {
  tokens: "{token}",
  requests: "{request}",
  sec: "s",
  ratio: "1",
  "tokens/sec": "{token}/s",
  "requests/sec": "{request}/s",
};
Object.assign(UCUM, { "tokens/sec/user": "{token}/s", "tokens/J": "{token}/J", "mJ/token": "mJ/{token}" });
Object.assign(UCUM, {
  "joules/request": "J/{request}",
  "J*s": "J.s",
  "requests/sec/W": "{request}/J",
  "tokens/sec/W": "{token}/J",
});
Object.assign(UCUM, { "good-req/s/W": "{request}/J" });

/** Adds all metrics to the record. Those with a distribution have the label `statistic`. */
function addMetrics(metrics) {
  for (const [tag, { unit, avg, count, std, energy, ...one }] of metrics) {
    const ucum = UCUM[unit] ?? unit;
    // The relative uncertainty of an energy is the one of what was divided by it.
    const uncertainty = energy === undefined ? 0 : (avg * energy.uncertainty) / energy.value;
    const add = (value, u, statistic) => {
      const metric = new Quantity(value, u, ucum, energy?.source ?? "derived").intoMetric(tag);
      report.addMetric(statistic === undefined ? metric : metric.label("statistic", statistic));
    };
    if (count === undefined) add(avg, uncertainty);
    else {
      add(avg, count > 1 ? std / Math.sqrt(count - 1) : 0, "avg");
      for (const name of ["p50", "p90", "p99"]) add(one[name], 0, name);
    }
  }
}
