/**
 * What transformers' classes of each architecture consist of, beside the matrix products that llem lists by module.
 *
 * The contract gives sizes and the products of each module (`flops.estimate`). Norms, activations and biases are facts
 * of the class, and so they are here. Numbers of parameters are checked against the model's own.
 */

/** A kind of norm: elementwise operators of Python, or `torch.nn.LayerNorm`, which the tools count. */
export type NormKind = "rms" | "layer";

/** The modules of an architecture's class, by their names within a layer or within the decoder. */
export interface Family {
  /** The prefix of the class names: `Llama` of `LlamaMLP`. */
  readonly prefix: string;
  readonly norm: NormKind;
  /** The embedding of tokens and, if positions are learned, of positions. */
  readonly embeddings: readonly string[];
  /** The class of the embedding of tokens, `torch.nn.Embedding` by default. */
  readonly embeddingClass?: string;
  readonly finalNorm: string;
  readonly layerNorms: readonly string[];
  /** The norms of queries and keys: of each head, or of all heads of a token together. */
  readonly queryKeyNorms?: "each-head" | "all-heads";
  readonly rotary: boolean;
  /** The module of the activation within the MLP, and the class that the family's own configs name. */
  readonly activation: readonly [module: string, className: string];
  /** The sets of modules that may have biases. Which of them a model has is decided by its number of parameters. */
  readonly biases: ReadonlyArray<readonly string[]>;
  /** The class of linear layers of the decoder. GPT-2's calls `torch.addmm`. */
  readonly linear: "Linear" | "Conv1D";
}

const QKV = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"];
const ATTENTION = [...QKV, "self_attn.o_proj"];
const MLP = ["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"];

const LLAMA: Family = {
  prefix: "Llama",
  norm: "rms",
  embeddings: ["embed_tokens"],
  finalNorm: "norm",
  layerNorms: ["input_layernorm", "post_attention_layernorm"],
  rotary: true,
  activation: ["mlp.act_fn", "SiLUActivation"],
  biases: [[], ATTENTION, MLP, [...ATTENTION, ...MLP]],
  linear: "Linear",
};

const GEMMA: Family = {
  ...LLAMA,
  prefix: "Gemma2",
  embeddingClass: "Gemma2TextScaledWordEmbedding",
  layerNorms: [...LLAMA.layerNorms, "pre_feedforward_layernorm", "post_feedforward_layernorm"],
  activation: ["mlp.act_fn", "GELUTanh"],
  biases: [[], ATTENTION],
};

const FAMILIES: Readonly<Record<string, Family>> = {
  LlamaForCausalLM: LLAMA,
  MistralForCausalLM: { ...LLAMA, prefix: "Mistral", biases: [[]] },
  MixtralForCausalLM: { ...LLAMA, prefix: "Mixtral", biases: [[]] },
  Qwen2ForCausalLM: { ...LLAMA, prefix: "Qwen2", biases: [QKV] },
  Qwen3ForCausalLM: { ...LLAMA, prefix: "Qwen3", queryKeyNorms: "each-head", biases: [[], ATTENTION] },
  Qwen3MoeForCausalLM: { ...LLAMA, prefix: "Qwen3Moe", queryKeyNorms: "each-head", biases: [[], ATTENTION] },
  Gemma2ForCausalLM: GEMMA,
  Gemma3ForCausalLM: {
    ...GEMMA,
    prefix: "Gemma3",
    embeddingClass: "Gemma3TextScaledWordEmbedding",
    queryKeyNorms: "each-head",
  },
  Phi3ForCausalLM: { ...LLAMA, prefix: "Phi3", activation: ["mlp.activation_fn", "SiLUActivation"], biases: [[]] },
  Olmo2ForCausalLM: {
    ...LLAMA,
    prefix: "Olmo2",
    layerNorms: ["post_attention_layernorm", "post_feedforward_layernorm"],
    queryKeyNorms: "all-heads",
    biases: [[], ATTENTION],
  },
  GPT2LMHeadModel: {
    prefix: "GPT2",
    norm: "layer",
    embeddings: ["wte", "wpe"],
    finalNorm: "ln_f",
    layerNorms: ["ln_1", "ln_2"],
    rotary: false,
    activation: ["mlp.act", "NewGELUActivation"],
    biases: [["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"]],
    linear: "Conv1D",
  },
  GPTNeoXForCausalLM: {
    prefix: "GPTNeoX",
    norm: "layer",
    embeddings: ["embed_in"],
    finalNorm: "final_layer_norm",
    layerNorms: ["input_layernorm", "post_attention_layernorm"],
    rotary: true,
    activation: ["mlp.act", "GELUActivation"],
    biases: [
      ["attention.query_key_value", "attention.dense", "mlp.dense_h_to_4h", "mlp.dense_4h_to_h"],
      ["mlp.dense_h_to_4h", "mlp.dense_4h_to_h"],
    ],
    linear: "Linear",
  },
};

/** Returns the family of an architecture (config.json's `architectures`), or `undefined` if this script has none. */
export function familyOf(architecture: string): Family | undefined {
  return FAMILIES[architecture];
}

/**
 * The operations that DeepSpeed and calflops count for each element of an activation. They patch functions of
 * `torch.nn.functional`, and so they miss `GELUActivation` and `GELUTanh`, which took the function when the model was
 * made, and `NewGELUActivation`, which is made of Python's operators.
 */
export const ACTIVATIONS: Readonly<Record<string, number>> = {
  SiLUActivation: 1,
  GELUActivation: 0,
  GELUTanh: 0,
  NewGELUActivation: 0,
};
