/** AI Energy Score for text generation: GPU energy of 1,000 queries, by either version of its protocol. */

import {
  About,
  LlemError,
  Model,
  Phase,
  Quantity,
  Window,
  experiment,
  facts,
  known,
  meter,
  parameter,
  parameterWithin,
  report,
} from "@llem/sdk";

import { PARTS, energiesOf, meanOf, perThousand, valueOf } from "./energies.js";
import { energyStar } from "./energy_star.js";
import { chatArguments, isReasoning, texts } from "./prompts.js";
import { COLUMNS, PHASES, aggregateRow, csvOf, gpuSummary } from "./result_files.js";
import { singlePrompts } from "./single_prompts.js";
import { parseScores, starsOf } from "./stars.js";

export const script = experiment({ about, run });

function about() {
  return new About("ai-energy-score", "0.1.0", "AI Energy Score: GPU energy in Wh per 1,000 queries, and its stars")
    .text("protocol", "v2", "v1: prefill and generate passes, 100 tokens; v2: single sampled prompts, 10 or 8192 tokens")
    .dataset("prompts", "rows with a text each; without it four built-in prompts are used")
    .text("prompt-column", "text", "the column that prompts are read from (scenario.text_column_name)")
    .integer("num-samples", 10, "how many prompts are run (-n); official results have 1000")
    .integer("runs", 10, "how often the protocol is run; the score is the mean")
    .integer("max-new-tokens", 0, "tokens of an output; 0 means 100 in v1, 10 in v2 without reasoning and 8192 with it")
    .integer("batch-size", 1, "v1: prompts that are run together (scenario.input_shapes.batch_size)")
    .integer("warmup-runs", 10, "v1: warm-up generations of two tokens; 0 means no warm-up")
    .boolean("chat-template", true, "v2: whether prompts are chats, if the model has a chat template")
    .text("chat-arguments", "", 'v2: arguments of the chat template as JSON, such as {"enable_thinking": true}')
    .text("scores", "", "scores of the other models of the class in Wh per 1,000 queries, separated by commas")
    .text("model-class", "", "the class in the CSV: A, B or C")
    .number("carbon-intensity", 0, "g of CO2 for each kWh, for the CSV; 0 means not known");
}

function run() {
  const protocols = { v1: runEnergyStar, v2: runSinglePrompts };
  const protocol = parameter("protocol", String);
  const scores = parseScores(parameter("scores", String));
  if (protocols[protocol] === undefined) throw LlemError.invalidArgument(`protocol is '${protocol}': set it to v1 or v2`);
  if (scores === undefined) throw LlemError.invalidArgument("scores: give numbers above 0, separated by commas");
  const prompts = texts(parameterWithin("num-samples", 1));
  const runs = parameterWithin("runs", 1);
  using window = Window.open("load_model");
  using model = Model.loadGranted();
  const loaded = energiesOf(window.close());
  const { phases, queries } = protocols[protocol](model, prompts, runs, loaded);
  reportEnergies(phases, queries);
  reportScore(phases.total, queries, scores);
}

/** Runs version 1. Returns the mean energies of its phases, and the queries of a run. */
function runEnergyStar(model, prompts, runs, loaded) {
  const options = {
    maxNewTokens: parameterWithin("max-new-tokens", 0) || 100,
    batchSize: parameterWithin("batch-size", 1),
    warmupRuns: parameterWithin("warmup-runs", 0),
    loaded,
  };
  if (model.info().contextLength <= options.maxNewTokens) {
    const length = model.info().contextLength;
    throw LlemError.invalidArgument(`the model's context has ${length} tokens: set max-new-tokens below that`);
  }
  const measured = repeat(runs, () => energyStar(model, prompts, options));
  measured.forEach(({ content }, index) => writeJson(`benchmark_report_${index + 1}.json`, content));
  const names = [...PHASES, "total"];
  const phases = Object.fromEntries(names.map((name) => [name, meanOf(measured.map((one) => one.energies[name]))]));
  writeSummary(phases, "optimum");
  return { phases, queries: measured[0].queries };
}

/** Runs version 2. Returns the mean energy of all of a run, and the queries of it. */
function runSinglePrompts(model, prompts, runs) {
  const reasoning = chatArguments();
  const options = {
    maxNewTokens: parameterWithin("max-new-tokens", 0) || (isReasoning(reasoning) ? 8192 : 10),
    chatArguments: reasoning,
    isChat: parameter("chat-template", Boolean) && hasChatTemplate(model),
  };
  if (!options.isChat && Object.keys(reasoning).length > 0) report.warn("chat-arguments have no effect: prompts are no chats");
  const measured = repeat(runs, () => {
    const one = singlePrompts(model, prompts, options);
    return { ...one, ended: new Date(facts.runBegan().getTime() + meter.now() / 1e6) };
  });
  const identity = {
    model_name: model.info().source,
    model_class: parameter("model-class", String),
    task: "text_gen",
    reasoning_state: isReasoning(reasoning) ? `On ${JSON.stringify(reasoning)}` : "Off",
  };
  const rows = measured.map(({ summary, energies, ended }) =>
    aggregateRow(summary, {
      ...identity,
      gpuWh: valueOf(energies.gpu),
      co2: emissions(energies.total),
      timestamp: ended.toISOString(),
    }),
  );
  report.writeArtifact("master_results.csv", csvOf(rows));
  report.addTable({ name: "master_results", columns: COLUMNS, rows });
  measured.forEach((one, index) => writeJson(`benchmark_report_${index + 1}.json`, reportOf(one, identity)));
  const total = meanOf(measured.map(({ energies }) => energies));
  const missing = Object.fromEntries(["preprocess", "prefill"].map((phase) => [phase, {}]));
  writeSummary({ ...missing, decode: total, total }, "ai_energy_benchmarks");
  addSpeeds(measured.map(({ summary }) => summary));
  // A prompt fails if it is longer than the context, so the same ones fail in every run.
  const queries = measured[0].summary.successful_prompts;
  if (queries === 0) throw new LlemError("failed", "no prompt succeeded: prompt and output must fit into the context");
  return { phases: { total }, queries };
}

/** Repeats the protocol, each time in a phase of its own. */
function repeat(runs, protocol) {
  return Array.from({ length: runs }, (_, index) => {
    using _phase = Phase.begin(`run_${index + 1}`);
    return protocol();
  });
}

function hasChatTemplate(model) {
  if (!model.info().hasTokenizer) return false;
  try {
    model.applyChatTemplate([{ role: "user", content: "" }]);
    return true;
  } catch (error) {
    if (error instanceof LlemError && error.code === "unsupported") return false;
    // The template is there, and says what it does not take.
    return true;
  }
}

/** Returns the report of a run of version 2, under the runner's names. */
function reportOf({ summary, energies }, { model_name: model }) {
  const inUnits = (name, part) => [
    [`${name}_kwh`, valueOf(energies[part], 1e-3)],
    [`${name}_wh`, valueOf(energies[part])],
  ];
  const energy = Object.fromEntries([
    ...inUnits("energy", "gpu"),
    ...PARTS.flatMap((part) => inUnits(`${part}_energy`, part)),
    ["emissions_g_co2eq", emissions(energies.total)],
    ["duration_seconds", summary.total_duration_seconds],
  ]);
  const config = { name: "ai-energy-score", backend: "llem", model, num_samples: summary.total_prompts };
  return { config, summary, energy };
}

function emissions(total) {
  const intensity = parameter("carbon-intensity", Number);
  const kwh = valueOf(total, 1e-3);
  return intensity > 0 && kwh !== null ? kwh * intensity : null;
}

function writeSummary(energies, format) {
  const summary = gpuSummary(energies, format);
  writeJson("GPU_ENERGY_SUMMARY.json", summary);
  if (summary.total !== null) report.writeArtifact("GPU_ENERGY_WH.txt", `${summary.total.toFixed(2)}\n`);
}

function writeJson(name, content) {
  report.writeArtifact(name, JSON.stringify(content, null, 2));
}

/** Reports the mean energies of a run: those of the GPUs, which the score is made of, and the others by device. */
function reportEnergies(phases, queries) {
  for (const [phase, energies] of Object.entries(phases)) {
    for (const part of PARTS) {
      const ofPhase = part === "gpu" ? `${phase}_wh` : `${part}_${phase}_wh`;
      const energy = known(energies[part]);
      if (energy) report.addMetric(energy.intoMetric(phase === "total" ? `${part}_energy_wh` : ofPhase));
    }
  }
  report.addMetric(Quantity.exact(queries, "1", "counted").intoMetric("queries"));
}

/** Reports the score and its stars. Without a GPU there is no score, and the CPU's energy has a name of its own. */
function reportScore(total, queries, scores) {
  const cpu = known(perThousand(total.cpu, queries));
  if (cpu) report.addMetric(cpu.intoMetric("cpu_wh_per_1000_queries"));
  else report.warn(`no energy of the CPU: ${total.cpu.reason}`);
  const score = known(perThousand(total.gpu, queries));
  if (score === undefined) {
    report.warn(`no score, because it is the energy of GPUs: ${total.gpu.reason}`);
    return;
  }
  report.addMetric(score.intoMetric("wh_per_1000_queries"));
  const stars = starsOf(score.value, scores);
  if (stars !== undefined) report.addMetric(Quantity.exact(stars, "{star}", "derived").intoMetric("stars"));
  else if (scores.length > 0) report.warn("no stars: all scores are equal");
}

/** Reports means over runs of version 2's summary. */
function addSpeeds(summaries) {
  const units = { avg_latency_seconds: "s", avg_time_to_first_token: "s", measured_time_to_first_token: "s" };
  for (const [field, unit] of Object.entries({ ...units, throughput_tokens_per_second: "{token}/s" })) {
    const values = summaries.flatMap((summary) => summary[field] ?? []);
    const name = field === "avg_latency_seconds" ? "avg_total_time" : field;
    if (values.length > 0) report.addMetric(Quantity.mean(values, unit).intoMetric(name));
  }
}
