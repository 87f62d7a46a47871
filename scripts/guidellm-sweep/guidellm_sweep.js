/**
 * guidellm's benchmarks of a model: a profile makes one strategy after another, each a benchmark of its own.
 *
 *     sweep:  synchronous ---rate s--->  throughput ---rate t--->  constant@s+d  constant@s+2d  ...  constant@t
 *
 *     a benchmark:  |-- warm-up --|------- measured -------|-- cool-down --|
 *                   requests that overlap the measured part count, whole
 */

import { About, LlemError, Model, Phase, Random, Window, experiment, parameter, report } from "@llem/sdk";

import { Load } from "./load.js";
import { metricsOf } from "./metrics.js";
import { MODES, measuredPart, transientOf } from "./phases.js";
import { lengthsOf } from "./python_random.js";
import { benchmarkOf, reportOf } from "./report.js";
import { addMetrics, tablesOf } from "./results.js";
import { strategiesOf } from "./strategies.js";

export const script = experiment({ about, run });

function about() {
  return new About("guidellm-sweep", "0.1.0", "guidellm's profiles and metrics: sweeps, rates, streams, throughput")
    .text("profile", "sweep", "synchronous, concurrent, throughput, constant (async), poisson or sweep (--profile)")
    .text("rate", "", "requests a second of constant and poisson: numbers separated by commas")
    .text("streams", "", "requests at a time of concurrent: numbers separated by commas")
    .integer("sweep-size", 10, "number of benchmarks of a sweep, at least 2")
    .text("strategy-type", "constant", "strategy of a sweep's rates: constant or poisson")
    .integer("max-concurrency", 512, "most requests at a time, but for synchronous and concurrent; 0 for no limit")
    .number("rampup-duration", 0, "seconds in which concurrent, throughput and constant reach their load")
    .integer("max-requests", 0, "requests of each benchmark (--max-requests); 0 for no limit")
    .number("max-seconds", 0, "seconds of each benchmark (--max-seconds); 0 for no limit; without both 20 requests")
    .number("warmup", 0, "left out at the beginning: a share below 1, otherwise seconds or requests (--warmup)")
    .number("cooldown", 0, "left out at the end, likewise (--cooldown)")
    .text("warmup-mode", "prefer_duration", `what both count: ${MODES.join(", ")}`)
    .integer("prompt-tokens", 64, "mean length of prompts (--data prompt_tokens=)")
    .integer("prompt-tokens-stdev", 0, "standard deviation of it")
    .integer("prompt-tokens-min", 0, "lowest length; 0 for none")
    .integer("prompt-tokens-max", 0, "highest length; 0 for none")
    .integer("output-tokens", 16, "mean length of outputs; end-of-sequence tokens are ignored")
    .integer("output-tokens-stdev", 0, "standard deviation of it")
    .integer("output-tokens-min", 0, "lowest length; 0 for none")
    .integer("output-tokens-max", 0, "highest length; 0 for none")
    .integer("random-seed", 42, "seed of poisson arrivals and lengths (--random-seed)")
    .number("confidence", 0.95, "level of the confidence intervals; 0 for none")
    .number("slo-ttft-ms", 0, "goodput: highest time to first token; 0 for none")
    .number("slo-tpot-ms", 0, "goodput: highest inter-token latency; 0 for none")
    .number("slo-e2el-ms", 0, "goodput: highest request latency; 0 for none")
    .integer("max-num-seqs", 32, "most sequences that the engine runs at a time; others wait");
}

function run() {
  const options = readOptions();
  using model = Model.loadGranted();
  const prompts = promptsOf(model, options);
  const strategies = strategiesOf(options.profile);
  const benchmarks = [];
  for (let step = strategies.next(); !step.done;) {
    const strategy = step.value;
    report.showProgress(benchmarks.length, options.total, strategy.name);
    const benchmark = measure(model, strategy, prompts, options);
    benchmarks.push(benchmark);
    addMetrics(benchmark);
    step = strategies.next(benchmark.metrics.requests_per_second.successful.mean);
  }
  const tables = tablesOf(benchmarks);
  for (const { table } of tables) report.addTable(table);
  report.writeArtifact("benchmarks.json", `${JSON.stringify(reportOf(benchmarks, options, model.info()))}\n`);
  report.writeArtifact("benchmarks.txt", tables.map(({ text }) => text).join("\n"));
}

/** Runs one benchmark. Its window has the energy of all of it, warm-up and cool-down included. */
function measure(model, strategy, prompts, options) {
  using _ = Phase.begin(strategy.type);
  using batch = model.openBatch({ maxSequences: options.maxSequences, maxTokens: prompts.longest });
  using window = Window.open(strategy.name);
  const load = new Load(batch, strategy, prompts.next, options.constraints).run();
  const measurement = window.close();
  const events = load.requests.map(({ start, first, requestEnd }) => ({ start, first, end: requestEnd }));
  const part = measuredPart(events, { ...load, ...options.constraints }, options.warmup, options.cooldown);
  const metrics = metricsOf(load.requests, {
    ...{ window: [part.measureStart, part.measureEnd], hasSchedule: strategy.hasSchedule },
    ...{ confidence: options.confidence, objectives: options.objectives },
  });
  return { ...benchmarkOf({ strategy, load, part, metrics, options }), strategy, load, metrics, measurement };
}

/** Draws prompts: lengths as guidellm draws them, tokens at random. Every benchmark continues with the next ones. */
function promptsOf(model, { promptLengths, outputLengths, seed }) {
  const random = new Random("prompts");
  const vocabulary = model.info().vocabSize;
  const [drawPrompt, drawOutput] = [lengthsOf(promptLengths, seed), lengthsOf(outputLengths, seed + 1)];
  const highest = ({ average, stdev = 0, max }) => max ?? average + 5 * stdev;
  const longest = highest(promptLengths) + highest(outputLengths);
  if (longest > model.contextLength()) {
    const message = `prompts and outputs may take ${longest} tokens, the model's context has ${model.contextLength()}`;
    throw LlemError.invalidArgument(`${message}: lower prompt-tokens or output-tokens, or set their -max`);
  }
  const next = () => ({ tokens: random.tokens(drawPrompt(), vocabulary), output: drawOutput() });
  return { next, longest };
}

/** Reads and checks all parameters. */
function readOptions() {
  const number = (name) => parameter(name, Number);
  const positive = (name) => (number(name) > 0 ? number(name) : undefined);
  const list = (name) =>
    parameter(name, String)
      .split(",")
      .filter((part) => part.trim() !== "")
      .map(Number);
  const kind = oneOf("profile", ["sweep", "synchronous", "concurrent", "throughput", "constant", "async", "poisson"]);
  const [streams, rates] = [list("streams"), list("rate")];
  const needed = {
    concurrent: ["streams", streams],
    constant: ["rate", rates],
    async: ["rate", rates],
    poisson: ["rate", rates],
  };
  const [name, values] = needed[kind] ?? [];
  if (values !== undefined && (values.length === 0 || !values.every((value) => value > 0))) {
    throw LlemError.invalidArgument(`${name} is '${parameter(name, String)}': profile ${kind} needs numbers above 0`);
  }
  if (kind === "concurrent" && !streams.every(Number.isInteger)) {
    throw LlemError.invalidArgument(`streams is '${parameter("streams", String)}': set it to whole numbers`);
  }
  if (number("sweep-size") < 2) throw LlemError.invalidArgument("sweep-size is below 2: set it to 2 or more");
  const constraints = { maxRequests: positive("max-requests"), maxSeconds: positive("max-seconds") };
  if (constraints.maxRequests === undefined && constraints.maxSeconds === undefined) constraints.maxRequests = 20;
  const limit = positive("max-concurrency");
  if (limit === undefined && constraints.maxRequests === undefined) {
    throw LlemError.invalidArgument("without max-concurrency max-requests is needed: set one of them");
  }
  const mode = oneOf("warmup-mode", MODES);
  const objectives = { ttft: positive("slo-ttft-ms"), tpot: positive("slo-tpot-ms"), e2el: positive("slo-e2el-ms") };
  const lengths = (of) => ({
    ...{ average: number(`${of}-tokens`), stdev: number(`${of}-tokens-stdev`) },
    ...{ min: positive(`${of}-tokens-min`), max: positive(`${of}-tokens-max`) },
  });
  const seed = number("random-seed");
  const [sweepSize, strategyType] = [number("sweep-size"), oneOf("strategy-type", ["constant", "poisson"])];
  const profile = { kind, streams, rates, limit, rampup: number("rampup-duration"), seed, sweepSize, strategyType };
  const total = {
    sweep: sweepSize,
    concurrent: streams.length,
    constant: rates.length,
    async: rates.length,
    poisson: rates.length,
  };
  return {
    ...{ profile, constraints, seed, maxSequences: number("max-num-seqs"), total: total[kind] ?? 1 },
    ...{ warmup: transientOf(number("warmup"), mode), cooldown: transientOf(number("cooldown"), mode) },
    ...{ promptLengths: lengths("prompt"), outputLengths: lengths("output"), confidence: positive("confidence") },
    objectives: Object.values(objectives).some((one) => one !== undefined) ? objectives : undefined,
  };
}

function oneOf(name, words) {
  const word = parameter(name, String);
  if (words.includes(word)) return word;
  throw LlemError.invalidArgument(`${name} is '${word}': it is one of ${words.join(", ")}`);
}
