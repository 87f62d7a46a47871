/**
 * InferenceX's sweep: for each shape and each concurrency a warm-up, then a closed loop of random requests, with the
 * throughput per GPU, the interactivity and the GPU energy of each point.
 *
 *     monitor  |-- warm-up: 2 x conc copies of a request --|===== benchmark: requests, conc at a time =====|-- rest --|
 */

import { About, LlemError, Model, Phase, Random, Request, Window, experiment, facts, parameter } from "@llem/sdk";
import { meter, report, sizes, sleepFor } from "@llem/sdk";

import { benchmarkResult } from "./benchmark_result.js";
import { drawRequests, parseSeqLens, seqLenName } from "./grid.js";
import { processResult } from "./process_result.js";
import { addPointMetrics, addTables } from "./point_report.js";
import { aggregatePower, gpusOf, samplesByGpu, telemetryCsv } from "./power_files.js";

export const script = experiment({ about, run });

/** How long power is still sampled after a benchmark, in s, so that a sample lies behind its end. */
const MONITOR_TAIL = 0.5;

function about() {
  return new About("inferencex", "0.1.0", "InferenceX's sweep of concurrency: throughput per GPU and interactivity")
    .text("seq-lens", "128_32", "shapes ISL_OSL, or 1k1k and 8k1k, separated by commas (--seq-lens)")
    .text("conc", "1,2,4", "concurrencies (CONC, --max-concurrency)")
    .number("random-range-ratio", 0.8, "r: lengths are drawn from [r L, L]; 1 fixes them (--random-range-ratio)")
    .integer("num-prompts", 0, "requests of a point (--num-prompts); 0 means 10 x concurrency")
    .integer("num-warmups", -1, "requests before a point (--num-warmups); -1 means 2 x concurrency")
    .integer("max-num-seqs", 0, "most sequences that run at a time; 0 means the concurrency")
    .boolean("require-power", false, "whether the run fails without valid GPU power (REQUIRE_POWER)");
}

function run() {
  const shapes = parseSeqLens(parameter("seq-lens", String));
  if (shapes === undefined) {
    throw LlemError.invalidArgument("seq-lens takes 1k1k, 8k1k or ISL_OSL such as 128_32, separated by commas");
  }
  const ratio = parameter("random-range-ratio", Number);
  if (!(ratio > 0 && ratio <= 1)) {
    throw LlemError.invalidArgument(`random-range-ratio is ${ratio}: set it above 0 and to at most 1`);
  }
  if (shapes.some(({ isl, osl }) => Math.trunc(isl * ratio) < 1 || Math.trunc(osl * ratio) < 1)) {
    throw LlemError.invalidArgument("a shape times random-range-ratio is below one token: raise one of them");
  }
  const concurrencies = sizes("conc");
  using model = Model.loadGranted();
  const points = shapes.flatMap((shape) => concurrencies.map((conc) => ({ ...shape, conc })));
  const results = points.map((point, index) => {
    report.showProgress(index, points.length, nameOf(point));
    return measurePoint(model, point, ratio);
  });
  report.writeArtifact("agg_bmk.json", json(results.map(({ agg }) => agg)));
  addTables(results);
  if (parameter("require-power", Boolean) && results.some(({ power }) => !power.valid)) {
    throw new LlemError("failed", "require-power is set, and the GPU power is not valid: see power_validation_*.json");
  }
}

/** Returns the name of a point in files: `1k1k_conc4`. */
function nameOf(point) {
  return `${seqLenName(point)}_conc${point.conc}`;
}

function measurePoint(model, point, ratio) {
  const { isl, osl, conc } = point;
  const name = nameOf(point);
  const count = orDefault("num-prompts", 0, 10 * conc);
  const warmups = orDefault("num-warmups", -1, 2 * conc);
  const random = new Random(name);
  const drawn = drawRequests(random, point, ratio, count, model.info().vocabSize);
  const requests = drawn.map(({ tokens, outputLen }) =>
    Request.fromTokens(tokens, { label: name, maxNewTokens: outputLen, ignoreEos: true }),
  );
  using batch = model.openBatch({ maxSequences: orDefault("max-num-seqs", 0, conc), maxTokens: isl + osl });
  using monitor = Window.open("monitor");
  {
    using _ = Phase.begin("warmup");
    serve(batch, Array(warmups).fill(requests[0]), conc);
  }
  const served = benchmark(batch, requests, conc);
  sleepFor(MONITOR_TAIL);
  const gpus = gpusOf(model.info());
  const samples = samplesByGpu(monitor.timeline(), gpus, epoch());
  const monitored = monitor.close();

  const result = benchmarkResult(served, setupOf(model, count, conc));
  const devices = { numGpus: gpus.length, numDevices: served.measurement.devicesUsed || 1 };
  const agg = processResult(result, describe(model, point), devices);
  const power = aggregatePower({ name, result, samples, monitored, gpus });
  Object.assign(agg, power.fields);
  agg.null_reasons = reasonsOf(agg, power);
  report.writeArtifact(`${name}.json`, json(result));
  report.writeArtifact(`agg_${name}.json`, json(agg));
  report.writeArtifact(`power_validation_${name}.json`, json(power.validation));
  if (gpus.length > 0) report.writeArtifact(`gpu_metrics_${name}.csv`, telemetryCsv(samples));
  const point_ = { point, result, agg, power, measurement: served.measurement };
  addPointMetrics(point_);
  return point_;
}

/** Runs the requests of a point in one window. Times in seconds since 1970 are the window's. */
function benchmark(batch, requests, conc) {
  using _ = Phase.begin("benchmark");
  using window = Window.open("benchmark");
  const completions = serve(batch, requests, conc);
  const measurement = window.close();
  const startUnix = epoch() + measurement.started / 1e9;
  const duration = measurement.wallTime / 1e9;
  return { completions, measurement, startUnix, endUnix: startUnix + duration, duration };
}

/**
 * Runs the requests, at most `conc` of them at a time. A request is sent when a place is free, and its latencies count
 * from then. Returns the completions in the order of the requests.
 */
function serve(batch, requests, conc) {
  const completions = new Map();
  const sent = [];
  let pending = 0;
  const send = () => {
    while (pending < conc && sent.length < requests.length) {
      sent.push(...batch.submit(requests[sent.length]));
      pending += 1;
    }
  };
  for (send(); pending > 0; send()) {
    const { ended, steps } = batch.runUntilEnd();
    if (ended.length === 0 && steps === 0) throw new LlemError("failed", "the batch has nothing to run");
    for (const one of ended) completions.set(one.sequence, one);
    pending -= ended.length;
  }
  return sent.map((sequence) => completions.get(sequence));
}

/** Returns the time at which the run began, in seconds since 1970. */
function epoch() {
  return facts.runBegan().getTime() / 1000;
}

/** Returns the fields of a result of `benchmark_serving.py` that the settings decide. */
function setupOf(model, count, conc) {
  const { source } = model.info();
  const now = new Date(epoch() * 1000 + meter.now() / 1e6);
  return {
    date: now.toISOString().replace(/[-:]/g, "").replace("T", "-").slice(0, 15),
    backend: "llem",
    model_id: source,
    tokenizer_id: source,
    best_of: 1,
    num_prompts: count,
    request_rate: "inf",
    burstiness: 1.0,
    max_concurrency: conc,
  };
}

/** Returns the fields of a point that the model, the machine and the shape decide, in the tool's order. */
function describe(model, { isl, osl }) {
  const { source, quantization, dtype, parallelism, device } = model.info();
  const machine = facts.listFacts();
  return {
    hw: machine.get(`${device.replace(":", "-")}-name`) ?? machine.get("cpu") ?? null,
    conc: null,
    image: `llem ${machine.get("llem-version")}`,
    model: source,
    infmax_model_prefix: null,
    framework: "llem",
    precision: quantization ?? dtype,
    spec_decoding: "none",
    disagg: false,
    recipe_fingerprint: "",
    isl,
    osl,
    is_multinode: false,
    tp: parallelism.tensor,
    pp: parallelism.pipeline,
    dcp_size: 1,
    pcp_size: 1,
    ep: null,
    dp_attention: "false",
  };
}

/** Returns why each null field of a point is null. */
function reasonsOf(agg, power) {
  const reason = (field) => {
    if (field === "infmax_model_prefix") return "a name in InferenceX's own list of models";
    if (field === "ep") return "the contract does not say how experts are placed";
    if (/^(output_|input_)?tput_per_gpu$/.test(field)) return "the model is not on a GPU: see the fields per_device";
    if (field.startsWith("std_intvty")) return "std_tpot is 0, and the tool divides by it";
    return power.reasons[field] ?? "no request has a value";
  };
  const missing = Object.keys(agg).filter((field) => agg[field] === null);
  return Object.fromEntries(missing.map((field) => [field, reason(field)]));
}

/** Reads a whole number that `none` stands for a value that depends on the point. */
function orDefault(name, none, value) {
  const given = parameter(name, Number);
  if (given === none) return value;
  const least = name === "num-warmups" ? 0 : 1;
  if (given < least) throw LlemError.invalidArgument(`${name} is ${given}: set it to ${least} or more, or to ${none}`);
  return given;
}

function json(value) {
  return `${JSON.stringify(value, null, 2)}\n`;
}
