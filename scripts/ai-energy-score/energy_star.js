/**
 * Version 1 of the protocol: optimum-benchmark's scenario `energy_star` for the task text-generation.
 *
 *     preprocess_dataset    all texts are encoded
 *     warmup                the first batch: a full generation, then warmup_runs of 2 tokens
 *     prefill               all samples, 1 new token
 *     generate              all samples, max_new_tokens; decode = generate - prefill
 */

import { Phase, Request, Window, known, report } from "@llem/sdk";

import { energiesOf, inReport, minus, plus, valueOf } from "./energies.js";
import { encoder } from "./prompts.js";

/** Runs the phases once. Returns their energies by name, and the report. */
export function energyStar(model, texts, { maxNewTokens, batchSize, warmupRuns, loaded }) {
  const contextLength = model.info().contextLength;
  const { result: samples, energy: preprocess } = measured("preprocess_dataset", () =>
    texts.map(encoder(model, contextLength - maxNewTokens)),
  );
  const batches = [];
  for (let first = 0; first < samples.length; first += batchSize) batches.push(samples.slice(first, first + batchSize));
  const generate = (batch, label, count) =>
    // The tokens that end a text are never chosen, so that each output has this length.
    model.generate(Request.fromPrompts(batch, { label, maxNewTokens: count, minNewTokens: count }));
  if (warmupRuns > 0) {
    using _ = Phase.begin("warmup");
    generate(batches[0], "generate", maxNewTokens);
    for (let run = 0; run < warmupRuns; run++) generate(batches[0], "warmup", 2);
  }
  const pass = (label, count) =>
    measured(label, () => {
      batches.forEach((batch, index) => {
        report.showProgress(index, batches.length, label);
        generate(batch, label, count);
      });
    }).energy;
  const prefill = pass("prefill", 1);
  const decode = minus(pass("generate", maxNewTokens), prefill);
  const decodeVolume = samples.length * (maxNewTokens - 1);
  const content = {
    load_dataset: target(),
    preprocess_dataset: target(preprocess, samples.length, "samples/kWh"),
    load_model: target(loaded),
    prefill: target(prefill, samples.length, "samples/kWh"),
    decode: target(decode, decodeVolume, "tokens/kWh"),
  };
  const total = plus(plus(preprocess, prefill), decode);
  return { energies: { preprocess, prefill, decode, total }, content, queries: samples.length };
}

/** Runs work in a window and a phase of this name. */
export function measured(label, work) {
  using _ = Phase.begin(label);
  using window = Window.open(label);
  const result = work();
  return { result, energy: energiesOf(window.close()) };
}

/** Returns a target of the report. Latency and memory are off in the scenario. */
function target(energies, volume, unit) {
  const empty = { memory: null, latency: null, throughput: null, energy: null, efficiency: null };
  if (energies === undefined) return empty;
  const kwh = valueOf(energies.total, 1e-3);
  // The tool writes 0 where the energy is not above zero. Such an efficiency is not known.
  const efficiency = unit === undefined ? null : { unit, value: known(energies.total) && kwh > 0 ? volume / kwh : null };
  return { ...empty, energy: inReport(energies), efficiency };
}
