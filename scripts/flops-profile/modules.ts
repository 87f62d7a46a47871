/**
 * The modules of a model as transformers names them: those that multiply, which the host lists, and those that the
 * family's class has beside them.
 */

import type { ModelInfo } from "@llem/sdk";

import { ACTIVATIONS, type Family } from "./families.js";

/** What a module computes. Sizes are of one token, or of one row of logits for the LM head. */
export type Operation =
  | { readonly kind: "linear"; readonly weights: number; readonly outputs: number; readonly perLogits: boolean }
  /** `torch.addmm`, which adds the bias to the product. */
  | { readonly kind: "addmm"; readonly weights: number; readonly outputs: number }
  /** The products of queries with keys, and of the result with values. `window` is in tokens. */
  | { readonly kind: "attention"; readonly queries: number; readonly heads: number; readonly window: number | null }
  | { readonly kind: "layer-norm"; readonly elements: number }
  | { readonly kind: "activation"; readonly elements: number; readonly each: number }
  /** The choice of experts: a product and a softmax over them. */
  | { readonly kind: "router"; readonly weights: number; readonly outputs: number }
  /** The products of the experts that run for a token. */
  | { readonly kind: "experts"; readonly weights: number }
  /** What no tool counts: embeddings, RMSNorm, rotary embeddings. */
  | { readonly kind: "uncounted" };

/** A module that computes something itself. */
export interface Module {
  /** The name in transformers: `model.layers.0.self_attn.q_proj`. */
  readonly path: string;
  readonly className: string;
  readonly operation: Operation;
  /** The number of parameters of the module itself. It is 0 for one that has none. */
  readonly params: number;
}

/** A module that multiplies, and the executed FLOP of one token with one row of logits (`flops.estimate`, 1 token). */
export interface Product {
  readonly name: string;
  readonly flops: number;
}

/** Returns all modules of a model in the order in which they run. `products` are those of one pass of one token. */
export function modulesOf(info: ModelInfo, family: Family, products: readonly Product[], activation: string): Module[] {
  const first = products.find(({ name }) => /\.0\./.test(name))?.name ?? "";
  const [base, layers] = first.split(".") as [string, string];
  const head = products.at(-1) as Product;
  const uncounted = (path: string, className: string, params: number): Module => {
    return { path, className, params, operation: { kind: "uncounted" } };
  };
  const rows = (name: string) => (name === "wpe" ? info.contextLength : info.vocabSize);
  const norm = (path: string): Module => normOf(path, family, info.hiddenSize);
  return [
    ...family.embeddings.map((name) => {
      return uncounted(`${base}.${name}`, family.embeddingClass ?? "Embedding", rows(name) * info.hiddenSize);
    }),
    ...(family.rotary ? [uncounted(`${base}.rotary_emb`, `${family.prefix}RotaryEmbedding`, 0)] : []),
    ...Array.from({ length: info.layers }, (_, index) => {
      const prefix = `${base}.${layers}.${index}`;
      const within = products.filter(({ name }) => name.startsWith(`${prefix}.`));
      return layerModules(info, family, prefix, index, within, activation);
    }).flat(),
    norm(`${base}.${family.finalNorm}`),
    {
      path: head.name,
      className: "Linear",
      params: head.flops / 2,
      operation: { kind: "linear", weights: head.flops / 2, outputs: info.vocabSize, perLogits: true },
    },
  ];
}

function normOf(path: string, family: Family, elements: number): Module {
  if (family.norm === "rms") {
    return { path, className: `${family.prefix}RMSNorm`, params: elements, operation: { kind: "uncounted" } };
  }
  return { path, className: "LayerNorm", params: 2 * elements, operation: { kind: "layer-norm", elements } };
}

function layerModules(
  info: ModelInfo,
  family: Family,
  prefix: string,
  index: number,
  products: readonly Product[],
  activation: string,
): Module[] {
  const queries = info.heads * info.headSize;
  const outputs = (name: string, weights: number) => {
    // The output projection and the MLP's last one have the width of the residual stream.
    const isOutput = /(o_proj|c_proj|dense|down_proj|dense_4h_to_h)$/.test(name);
    const inputs = !isOutput ? info.hiddenSize : /mlp/.test(name) ? (info.intermediateSize ?? 1) : queries;
    return weights / inputs;
  };
  const [attention] = products.map(({ name }) => name.split(".").slice(0, -1).join("."));
  const attentionPath = products.find(({ name }) => name === attention)?.name ?? attention ?? "";
  const modules = products.map(({ name, flops }): Module => {
    const weights = flops / 2;
    if (name === attentionPath) {
      const window = info.attentionWindows[index] ?? null;
      const operation: Operation = { kind: "attention", queries, heads: info.heads, window };
      return { path: name, className: `${family.prefix}Attention`, params: 0, operation };
    }
    if (name.endsWith(".experts")) {
      const params = weights * (info.experts / info.expertsPerToken);
      return { path: name, className: `${family.prefix}Experts`, params, operation: { kind: "experts", weights } };
    }
    if (name.endsWith("mlp.gate")) {
      const operation: Operation = { kind: "router", weights, outputs: info.experts };
      return { path: name, className: `${family.prefix}TopKRouter`, params: weights, operation };
    }
    const linear = { weights, outputs: outputs(name, weights) };
    const operation: Operation =
      family.linear === "Conv1D" ? { kind: "addmm", ...linear } : { kind: "linear", ...linear, perLogits: false };
    return { path: name, className: family.linear, params: weights, operation };
  });
  const extra: Module[] = family.layerNorms.map((name) => normOf(`${prefix}.${name}`, family, info.hiddenSize));
  if (family.queryKeyNorms !== undefined) {
    const width = (heads: number) => (family.queryKeyNorms === "each-head" ? 1 : heads) * info.headSize;
    extra.push(normOf(`${attentionPath}.q_norm`, family, width(info.heads)));
    extra.push(normOf(`${attentionPath}.k_norm`, family, width(info.kvHeads)));
  }
  const hasExperts = products.some(({ name }) => name.endsWith(".experts"));
  const elements = hasExperts ? info.expertsPerToken * (info.expertSize ?? 0) : (info.intermediateSize ?? 0);
  extra.push({
    path: `${prefix}.${hasExperts ? "mlp.experts.act_fn" : family.activation[0]}`,
    className: activation,
    params: 0,
    operation: { kind: "activation", elements, each: ACTIVATIONS[activation] ?? 0 },
  });
  return [...modules, ...extra];
}

/**
 * Adds biases to the modules, so that the parameters sum to the model's own number. Returns `undefined` if no set of
 * biases that the class knows does. A tied LM head is not counted a second time.
 */
export function withBiases(info: ModelInfo, family: Family, modules: readonly Module[]): Module[] | undefined {
  const biased = (biases: readonly string[]) =>
    modules.map((module): Module => {
      const { operation, path } = module;
      const hasBias = biases.some((name) => path.endsWith(`.${name}`));
      const isLinear = operation.kind === "linear" || operation.kind === "addmm";
      return hasBias && isLinear ? { ...module, params: module.params + operation.outputs } : module;
    });
  return family.biases.map(biased).find((all) => totalParams(info, all) === info.parameters);
}

/** Returns the number of different parameters of all modules: a tied LM head is the embedding's. */
export function totalParams(info: ModelInfo, modules: readonly Module[]): number {
  const sum = modules.reduce((total, { params }) => total + params, 0);
  return info.hasTiedEmbeddings ? sum - (modules.at(-1)?.params ?? 0) : sum;
}
