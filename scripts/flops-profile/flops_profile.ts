/**
 * What DeepSpeed's profiler, calflops, fvcore and torch's FlopCounterMode count of a model, module by module: for one
 * forward pass over a batch, and for each token that is decoded with a KV cache. Measured latencies stand beside it.
 *
 *     prompt (b, s) ── forward ──► logits      token ── step ──► token ── step ──► ...
 *                   fwd latency                      past = s         past = s + 1
 */

import {
  About,
  LlemError,
  Model,
  type ModelInfo,
  Quantity,
  experiment,
  flops,
  parameter,
  parameterWithin,
  report,
} from "@llem/sdk";

import { type Implementation, type Pass, TOOLS } from "./conventions.js";
import { countOf, decodePasses, totalOf, unsupportedByFvcore } from "./conventions.js";
import { ACTIVATIONS, type Family, familyOf } from "./families.js";
import { type Latencies, type Sizes, measure } from "./measure.js";
import { type Module, modulesOf, totalParams, withBiases } from "./modules.js";
import { aggregatedProfile, detailedProfile, summaryText, treeOf } from "./profile_text.js";

const KNOWN_ACTIVATIONS = Object.keys(ACTIVATIONS).join(", ");

export const script = experiment({ about, run });

function about(): About {
  return new About("flops-profile", "0.1.0", "FLOPs, MACs and parameters by module, as FLOP profilers count them")
    .integer("batch-size", 1, "sequences of a pass")
    .integer("seq-len", 128, "prompt tokens of each sequence (calflops' default)")
    .integer("new-tokens", 16, "generated tokens of each sequence; the first is the prompt's")
    .text("logits", "all", "positions of the prompt whose logits are computed: all (a forward call) or last (generate)")
    .text("attn-implementation", "sdpa", "transformers' attention: sdpa or eager")
    .text("experts-implementation", "grouped_mm", "transformers' experts: grouped_mm or eager")
    .text("activation", "", `class of the MLP's activation: ${KNOWN_ACTIVATIONS}; by default the family's`)
    .integer("warm-up", 1, "runs before those that are measured (DeepSpeed's warm_up)")
    .integer("repetitions", 3, "measured runs; DeepSpeed has one. 0 measures nothing")
    .integer("threads", 0, "CPU threads; 0 means llem's own number")
    .integer("module-depth", -1, "depth of the aggregated profile, -1 for all (module_depth)")
    .integer("top-modules", 1, "classes of the aggregated profile at each depth (top_modules)");
}

function run(): void {
  const sizes: Sizes = {
    batch: parameterWithin("batch-size", 1),
    prompt: parameterWithin("seq-len", 1),
    newTokens: parameterWithin("new-tokens", 1),
    allLogits: choice("logits", ["all", "last"]) === "all",
  };
  const how: Implementation = {
    attention: choice("attn-implementation", ["sdpa", "eager"]),
    experts: choice("experts-implementation", ["grouped_mm", "eager"]),
  };
  const [warmUp, repetitions] = [parameterWithin("warm-up", 0), parameterWithin("repetitions", 0)];
  const threads = parameterWithin("threads", 0);
  using model = Model.load(threads > 0 ? { threads } : {});
  const info = model.info();
  const counted = countModules(model, info);
  const latencies = repetitions > 0 ? measure(model, sizes, warmUp, repetitions) : { prefill: [], steps: [] };
  const estimate = flops.estimate(model, shapeOf(sizes));
  const passes = passesOf(sizes);
  if (counted.modules.length > 0) checkAgainstHost(counted.modules, passes, estimate, sizes);
  const profile = profileOf(info, counted, passes, estimate, how, sizes, latencies);
  report.writeArtifact("flops_profile.json", `${JSON.stringify(profile, null, 1)}\n`);
  addMetrics(profile);
  if (counted.family !== undefined && counted.modules.length > 0) {
    writeText(info, counted.family, counted.modules, passes.forward, how, latencies);
  }
}

const shapeOf = ({ batch, prompt, newTokens, allLogits }: Sizes): flops.Shape => {
  return { batch, promptTokens: prompt, newTokens, allLogits };
};

function passesOf({ batch, prompt, newTokens, allLogits }: Sizes): { forward: Pass; steps: Pass[] } {
  const forward = { batch, tokens: prompt, past: 0, logits: allLogits ? prompt : 1 };
  return { forward, steps: decodePasses(batch, prompt, newTokens) };
}

/** The modules of a model. `reason` says why they, or their parameters, are not known. */
interface Counted {
  readonly family: Family | undefined;
  readonly modules: readonly Module[];
  readonly reason: string | undefined;
  readonly paramsKnown: boolean;
}

function countModules(model: Model, info: ModelInfo): Counted {
  const family = familyOf(info.architecture);
  if (family === undefined) {
    const reason = `this script does not know the modules of ${info.architecture}`;
    return { family, modules: [], reason, paramsKnown: false };
  }
  const activation = parameter("activation", String) || family.activation[1];
  if (ACTIVATIONS[activation] === undefined) {
    throw LlemError.invalidArgument(`activation is '${activation}': set it to one of ${KNOWN_ACTIVATIONS}`);
  }
  // One token has each weight in one multiply-add, and each layer's attention in two of its width.
  const { modules } = flops.estimate(model, { batch: 1, promptTokens: 1, newTokens: 1, allLogits: true });
  const products = modules.parts.map(({ name, prefill }) => ({ name, flops: prefill }));
  const all = modulesOf(info, family, products, activation);
  const biased = withBiases(info, family, all);
  if (biased !== undefined) return { family, modules: biased, reason: undefined, paramsKnown: true };
  const params = totalParams(info, all);
  const reason = `the modules have ${params} parameters without biases, and the model ${info.parameters}`;
  return { family, modules: all, reason, paramsKnown: false };
}

/** Fails if the sum of the modules is not what the host counts: executed operations are those of eager torch. */
function checkAgainstHost(
  modules: readonly Module[],
  { forward, steps }: { forward: Pass; steps: readonly Pass[] },
  { executed }: flops.Estimate,
  { newTokens }: Sizes,
): void {
  const eager: Implementation = { attention: "eager", experts: "eager" };
  const of = (passes: readonly Pass[]) =>
    passes.reduce((sum, pass) => sum + totalOf("torch", modules, pass, eager).flops, 0);
  const host = (phase: "prefill" | "decode") => executed.parts.reduce((sum, part) => sum + part[phase], 0);
  for (const [phase, passes] of [["prefill", [forward]], ["decode", steps]] as const) {
    const [ours, theirs] = [of(passes), host(phase)];
    if (Math.abs(ours - theirs) > 1e-12 * theirs) {
      throw new LlemError("failed", `${phase} of ${newTokens} tokens: modules have ${ours} FLOP, the host ${theirs}`);
    }
  }
}

type Profile = ReturnType<typeof profileOf>;

function profileOf(
  info: ModelInfo,
  { modules, reason, paramsKnown }: Counted,
  { forward, steps }: { forward: Pass; steps: readonly Pass[] },
  estimate: flops.Estimate,
  how: Implementation,
  sizes: Sizes,
  latencies: Latencies,
) {
  const isKnown = modules.length > 0;
  const totals = (pass: Pass) =>
    Object.fromEntries(TOOLS.map((tool) => [tool, isKnown ? totalOf(tool, modules, pass, how) : null]));
  const sum = (parts: flops.FlopsByPart, phase: "prefill" | "decode") =>
    parts.parts.reduce((total, part) => total + part[phase], 0);
  const sumOfSteps = Object.fromEntries(
    TOOLS.map((tool) => {
      const counts = steps.map((pass) => totalOf(tool, modules, pass, how));
      const [all, macs] = [counts.reduce((s, one) => s + one.flops, 0), counts.reduce((s, one) => s + one.macs, 0)];
      return [tool, isKnown ? { flops: all, macs } : null];
    }),
  );
  return {
    model: info.source,
    architecture: info.architecture,
    sizes: { batch_size: sizes.batch, seq_len: sizes.prompt, new_tokens: sizes.newTokens },
    logits: sizes.allLogits ? "all" : "last",
    attn_implementation: how.attention,
    experts_implementation: info.experts > 0 ? how.experts : null,
    params: info.parameters,
    model_parallel_size: info.parallelism.tensor * info.parallelism.pipeline,
    data_parallel_size: info.parallelism.data,
    null_reason: reason ?? null,
    forward: {
      ...totals(forward),
      llem_needed: { flops: sum(estimate.needed, "prefill") },
      llem_executed: { flops: sum(estimate.executed, "prefill") },
      approximation_2n: { flops: estimate.approximation.prefill },
    },
    decode: {
      ...sumOfSteps,
      llem_needed: { flops: sum(estimate.needed, "decode") },
      llem_executed: { flops: sum(estimate.executed, "decode") },
      approximation_2n: { flops: estimate.approximation.decode },
    },
    decode_steps: steps.map((pass, step) => ({
      past: pass.past,
      ...totals(pass),
      fwd_latency_s: latencies.steps.map((one) => one[step] ?? null),
    })),
    fvcore_unsupported_ops: isKnown ? unsupportedByFvcore(modules, how) : null,
    fwd_latency_s: latencies.prefill,
    modules: modules.map((module) => ({
      name: module.path,
      class: module.className,
      params: paramsKnown ? module.params : null,
      forward: Object.fromEntries(TOOLS.map((tool) => [tool, countOf(tool, module, forward, how)])),
      decode_step: steps[0]
        ? Object.fromEntries(TOOLS.map((tool) => [tool, countOf(tool, module, steps[0] as Pass, how)]))
        : null,
      latency_s: null,
    })),
    latency_of_modules: "null: llem times passes, not modules",
  };
}

function addMetrics(profile: Profile): void {
  const add = (name: string, quantity: Quantity | undefined, labels: Record<string, string>) => {
    if (quantity === undefined) return;
    const metric = quantity.intoMetric(name);
    report.addMetric(Object.entries(labels).reduce((one, [key, value]) => one.label(key, value), metric));
  };
  const analytic = (value: number, unit: string) => Quantity.exact(value, unit, "analytic");
  add("params", analytic(profile.params, "1"), {});
  const rows: string[][] = [];
  const gpus = profile.model_parallel_size * profile.data_parallel_size;
  const stepTimes = profile.decode_steps[0]?.fwd_latency_s.map((_, run) =>
    profile.decode_steps.reduce((sum, step) => sum + (step.fwd_latency_s[run] ?? 0), 0),
  );
  for (const [phase, counts, times] of [
    ["forward", profile.forward, profile.fwd_latency_s],
    ["decode", profile.decode, stepTimes ?? []],
  ] as const) {
    const latency = Quantity.mean(times, "s");
    if (phase === "forward" || profile.decode_steps.length > 0) add("fwd_latency", latency, { phase });
    for (const [tool, counted] of Object.entries(counts) as Array<[string, { flops: number; macs?: number } | null]>) {
      if (counted === null || (phase === "decode" && profile.decode_steps.length === 0)) continue;
      add("fwd_flops", analytic(counted.flops, "FLOP"), { phase, tool });
      if (counted.macs !== undefined) add("fwd_macs", analytic(counted.macs, "{MAC}"), { phase, tool });
      const rate = latency && analytic(counted.flops / gpus, "FLOP").over(latency, "FLOP/s");
      add("fwd_flops_per_second", rate, { phase, tool });
      const [macs, rated] = [counted.macs, rate?.value];
      rows.push([phase, tool, String(counted.flops), String(macs ?? ""), rated?.toExponential(4) ?? ""]);
    }
  }
  report.addTable({ name: "flops_profile", columns: ["phase", "tool", "flops", "MACs", "FLOPS per GPU"], rows });
  if (profile.null_reason !== null) report.warn(profile.null_reason);
}

/** Writes the profile as DeepSpeed prints it, with DeepSpeed's own count. */
function writeText(
  info: ModelInfo,
  family: Family,
  modules: readonly Module[],
  forward: Pass,
  how: Implementation,
  { prefill }: Latencies,
): void {
  const names = { prefix: family.prefix, root: info.architecture, total: info.parameters };
  const top = treeOf(modules, names, "deepspeed", forward, how);
  const { tensor, pipeline, data } = info.parallelism;
  const latency = Quantity.mean(prefill, "s")?.value;
  const summary = { params: info.parameters, count: { flops: top.count.flops / data, macs: top.count.macs / data } };
  const text = [
    "-------------------------- DeepSpeed Flops Profiler: the counts, by llem --------------------------",
    summaryText({ ...summary, latency, modelParallelSize: tensor * pipeline }),
    "\n----------------------------- Aggregated Profile per GPU -----------------------------",
    aggregatedProfile(top, parameterWithin("top-modules", 1), parameter("module-depth", Number)),
    "\n------------------------------ Detailed Profile per GPU ------------------------------",
    "Each module profile is listed after its name in the following order: \nparams, percentage of total params, " +
      "MACs, percentage of total MACs, flops, percentage of total flops\n",
    detailedProfile(top),
    "------------------------------------------------------------------------------",
  ];
  report.writeArtifact("flops_profile.txt", `${text.join("\n")}\n`);
}

/** Reads a parameter that is one of some words. */
function choice<Word extends string>(name: string, words: readonly Word[]): Word {
  const value = parameter(name, String);
  const found = words.find((word) => word === value);
  if (found === undefined) throw LlemError.invalidArgument(`${name} is '${value}': set it to ${words.join(" or ")}`);
  return found;
}
