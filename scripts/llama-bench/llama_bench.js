/**
 * llama-bench's tests of a model: prompt processing (pp), text generation (tg), and both in a row, at any depth.
 *
 *     depth, kept in the cache          repetition, timed as one stretch
 *     |------ not timed ------|--copy-->|-- prompt --|-- generation --|
 *                             |--copy-->|-- prompt --|-- generation --|
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
  meter,
  parameter,
  parameterWithin,
  reading,
  report,
  sleepFor,
} from "@llem/sdk";

import { inOrder, markdownOf, resultOf, tableOf } from "./results.js";
import { nameOf, parsePairs, parseRange, testsOf } from "./tests.js";

export const script = experiment({ about, run });

function about() {
  return new About("llama-bench", "0.1.0", "llama-bench's rates of prompt processing and text generation")
    .text("n-prompt", "512", "prompt lengths (-p): numbers and ranges such as 128-1024*2, separated by commas")
    .text("n-gen", "128", "generation lengths (-n)")
    .text("pg", "", "pairs of both in a row (-pg): 512,128;1024,64")
    .text("n-depth", "0", "tokens in the cache before a test (-d)")
    .integer("repetitions", 5, "how often each test is timed (-r)")
    .integer("ubatch-size", 512, "most prompt tokens of a pass (-ub)")
    .integer("threads", 0, "CPU threads (-t); 0 means llem's own number")
    .text("cache-type", "", "format of cached keys and values (-ctk, -ctv): f16, bf16 or f32; by default the model's")
    .integer("delay", 0, "seconds of rest before each test (--delay)")
    .boolean("no-warmup", false, "whether tests begin without a warm-up (--no-warmup)");
}

function run() {
  const tests = testsOf({
    prompts: list("n-prompt", parseRange),
    generations: list("n-gen", parseRange),
    pairs: list("pg", parsePairs),
    depths: list("n-depth", parseRange),
  });
  if (tests.length === 0) throw LlemError.invalidArgument("no test is left: set n-prompt, n-gen or pg above 0");
  const repetitions = parameterWithin("repetitions", 1);
  const delay = parameterWithin("delay", 0);
  const [threads, cacheType] = [parameterWithin("threads", 0), parameter("cache-type", String)];
  using model = Model.load({ ...(threads > 0 && { threads }), ...(cacheType !== "" && { kvDtype: cacheType }) });
  const described = describe(model);
  const results = tests.map((test, index) => {
    report.showProgress(index, tests.length, nameOf(test));
    if (delay > 0) sleepFor(delay);
    const bench = new Bench(model, test);
    if (!parameter("no-warmup", Boolean)) bench.warmUp();
    const began = new Date(facts.runBegan().getTime() + meter.now() / 1e6);
    const { samples, energies } = bench.measure(repetitions);
    const result = inOrder({ ...described, ...resultOf(test, samples), test_time: rfc3339(began) });
    addMetrics(test, result, energies);
    return result;
  });
  const table = tableOf(results);
  const { "llem-version": version, "llem-revision": revision } = Object.fromEntries(facts.listFacts());
  report.addTable({ name: "llama_bench", columns: table.heads, rows: table.rows });
  report.writeArtifact("llama_bench.json", `${JSON.stringify(results, null, 2)}\n`);
  report.writeArtifact("llama_bench.md", `${markdownOf(table)}\nbuild: llem ${version} (${revision ?? "unknown"})\n`);
}

/** One test of a model. Each of its repetitions begins with an empty cache, or with the depth's tokens in it. */
class Bench {
  constructor(model, test) {
    this.model = model;
    this.test = test;
    this.random = new Random(nameOf(test));
    this.vocabulary = model.info().vocabSize;
    this.bos = beginOfText(model);
  }

  /** Runs the whole prompt once and one token of generation, without the depth's tokens. */
  warmUp() {
    using _ = Phase.begin("warmup");
    const { prompt, generation } = this.test;
    using batch = this.openBatch();
    if (prompt > 0) this.runUntilEnd(batch, batch.submit(this.request(prompt, 0)));
    if (generation > 0) this.runUntilEnd(batch, batch.submit(this.request(0, 1)));
  }

  /** Returns the time of each repetition, in ns, and its energy. */
  measure(repetitions) {
    using _ = Phase.begin("measure");
    using batch = this.openBatch();
    const { prompt, generation, depth } = this.test;
    const before = depth > 0 ? this.fill(batch) : undefined;
    const [samples, energies] = [[], []];
    for (let repetition = 0; repetition < repetitions; repetition++) {
      const request = this.request(prompt, generation);
      using window = Window.open(nameOf(this.test));
      const sequence = before === undefined ? batch.submit(request) : [batch.submitAfter(before, true, request)];
      samples.push(this.runUntilEnd(batch, sequence));
      energies.push(window.close().energyTotal);
    }
    return { samples, energies };
  }

  /** Runs the depth's tokens and returns the sequence whose cache holds them. */
  fill(batch) {
    const request = Request.fromTokens(this.tokens(this.test.depth), {
      label: "depth",
      maxNewTokens: 0,
      holdsCache: true,
    });
    const sequence = batch.submit(request);
    this.runUntilEnd(batch, sequence);
    return sequence[0];
  }

  openBatch() {
    const { prompt, generation, depth } = this.test;
    return this.model.openBatch({
      // The depth's sequence keeps its cache beside the copy that a repetition continues.
      maxSequences: depth > 0 ? 2 : 1,
      maxTokens: depth + prompt + generation + 2,
      prefillChunk: parameterWithin("ubatch-size", 1),
    });
  }

  /**
   * Makes a request of `prompt` tokens in passes of at most `ubatch-size`, then `generation` passes of one token each.
   * The tokens of these passes are random and given, so nothing is sampled. Without a prompt the first of these passes
   * runs the prompt's only token.
   */
  request(prompt, generation) {
    const given = prompt > 0 ? generation + 1 : generation;
    return Request.fromTokens(this.tokens(Math.max(prompt, 1)), {
      label: nameOf(this.test),
      maxNewTokens: generation === 0 ? 0 : given,
      ...(generation > 0 && { givenTokens: [this.tokens(given, prompt > 0)], ignoreEos: true }),
    });
  }

  /** Draws tokens. Prompts and generations begin with the token that begins a text, at any depth, as in llama-bench. */
  tokens(length, isText = true) {
    const tokens = this.random.tokens(length, this.vocabulary);
    if (isText && this.bos !== undefined) tokens[0] = this.bos;
    return tokens;
  }

  /**
   * Runs the batch until the sequence has ended. Returns the time from the beginning of its first pass, after the
   * depth's cache was copied, to the end of its last one, in ns.
   */
  runUntilEnd(batch, [sequence]) {
    const progress = batch.runUntilEnd();
    const completion = progress.ended.find((one) => one.sequence === sequence);
    if (completion === undefined) throw new LlemError("failed", `${nameOf(this.test)}: the sequence did not end`);
    return (completion.tokenTimes.at(-1) ?? progress.finished) - (completion.started ?? progress.started);
  }
}

/** Returns the token that the tokenizer puts before a text, if it adds one. */
function beginOfText(model) {
  if (!model.info().hasTokenizer) return undefined;
  const tokenizer = model.tokenizer();
  return tokenizer.addsBos() ? tokenizer.bos() : undefined;
}

/** Returns the fields of all results that the model and the machine decide. */
function describe(model) {
  const info = model.info();
  const machine = facts.listFacts();
  return {
    build_commit: machine.get("llem-revision") ?? null,
    cpu_info: machine.get("cpu") ?? null,
    gpu_info: machine.get("cuda-0-name") ?? "",
    backends: info.device.startsWith("cuda") ? "CUDA" : "CPU",
    model_filename: info.source,
    model_type: `${info.architecture} ${info.quantization ?? info.dtype}`,
    model_size: info.weightBytes,
    model_n_params: info.parameters,
    n_ubatch: parameterWithin("ubatch-size", 1),
    n_threads: info.threads,
    type_k: info.kvDtype,
    type_v: info.kvDtype,
  };
}

function addMetrics(test, result, energies) {
  const name = nameOf(test);
  const add = (metric, quantity) => report.addMetric(quantity.intoMetric(metric).label("test", name));
  add("avg_ts", Quantity.mean(result.samples_ts, "{token}/s"));
  add("stddev_ts", Quantity.exact(result.stddev_ts, "{token}/s", "derived"));
  const tokens = test.prompt + test.generation;
  const energy = reading.per(reading.mean(energies, "nothing was repeated"), tokens, "J/{token}");
  if (energy instanceof Quantity) add("joules_per_token", energy);
}

/** Reads a text parameter that holds a list. */
function list(name, parse) {
  const text = parameter(name, String);
  const parsed = parse(text);
  if (parsed === undefined) throw LlemError.invalidArgument(`${name} is '${text}': llem inspect says what it holds`);
  return parsed;
}

/** Returns a date without fractions of a second: `2026-01-31T12:00:00Z`. */
function rfc3339(date) {
  return `${date.toISOString().slice(0, 19)}Z`;
}
