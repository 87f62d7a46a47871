//! What a decoder is assembled from: the vocabulary in which families describe themselves.

use super::{Rope, RopeRange};
use crate::config::{Activation, within};

/// All that the decoder needs to know of a model.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Width of the residual stream.
    pub hidden: usize,
    /// Decoder layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Width of the MLP.
    pub intermediate: usize,
    /// Rows of the embedding.
    pub vocab: usize,
    /// Longest sequence.
    pub context: usize,
    /// How rows are normalised.
    pub norm: NormKind,
    /// Epsilon of the norms.
    pub norm_eps: f32,
    /// Whether attention and MLP both start from the layer's input (GPT-NeoX), rather than the MLP
    /// from what attention left.
    pub parallel: bool,
    /// The rotary embeddings that layers choose from; none with learned positions.
    pub ropes: Vec<Rope>,
    /// How layers differ, one entry a layer.
    pub layer_kinds: Vec<LayerKind>,
    /// Norms on queries and keys.
    pub query_norm: QueryNorm,
    /// Scores are multiplied by this.
    pub attention_scale: f32,
    /// Scores become `cap · tanh(score / cap)`.
    pub attention_softcap: Option<f32>,
    /// Logits become `cap · tanh(logit / cap)`.
    pub logit_softcap: Option<f32>,
    /// Embeddings are multiplied by this.
    pub embedding_scale: f32,
    /// What is between the MLP's products.
    pub activation: Activation,
    /// The experts of the layers that have them.
    pub experts: Option<Experts>,
    /// Biases on Q, K and V.
    pub qkv_bias: bool,
    /// A bias on O.
    pub output_bias: bool,
    /// Biases in the MLP.
    pub mlp_bias: bool,
    /// Whether the LM head is the embedding.
    pub tied_head: bool,
    /// What its tensors are called.
    pub names: Names,
    /// What transformers 5 calls the modules that they are in.
    pub modules: Names,
}

/// How rows are normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormKind {
    /// RMSNorm with the weight as gain.
    Rms,
    /// RMSNorm with 1 + weight as gain (Gemma).
    RmsPlusOne,
    /// LayerNorm with gain and bias.
    Layer,
}

/// Norms on queries and keys, before the rotary embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryNorm {
    /// None.
    None,
    /// Of each head by itself, all with one gain of `head_dim`.
    EachHead,
    /// Of all heads of a token together.
    AllHeads,
}

/// How one layer differs from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerKind {
    /// Keys that a query sees at most, itself included; none means all.
    pub window: Option<usize>,
    /// Index into `ropes`; none leaves queries and keys as they are.
    pub rope: Option<usize>,
    /// Whether experts take the MLP's place.
    pub experts: bool,
}

/// A mixture of experts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Experts {
    /// How many there are.
    pub count: usize,
    /// How many a token goes to.
    pub active: usize,
    /// Width of one.
    pub intermediate: usize,
    /// Whether the weights of the chosen ones are made to sum to 1.
    pub renormalise: bool,
}

/// What a checkpoint calls its tensors. Layer names are relative to the layer.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    /// Prefix of everything but the head. Checkpoints saved without the head leave it out.
    pub base: &'static str,
    /// Token embedding.
    pub embedding: &'static str,
    /// Learned positions.
    pub positions: Option<&'static str>,
    /// Prefix of the layers.
    pub layers: &'static str,
    /// The last norm.
    pub norm: &'static str,
    /// The LM head, from the root.
    pub head: &'static str,
    /// Before attention.
    pub attention_in_norm: Option<&'static str>,
    /// After attention, before its result is added.
    pub attention_out_norm: Option<&'static str>,
    /// Before the MLP.
    pub mlp_in_norm: Option<&'static str>,
    /// After the MLP, before its result is added.
    pub mlp_out_norm: Option<&'static str>,
    /// Q, K and V projections.
    pub qkv: Qkv,
    /// O projection.
    pub output: &'static str,
    /// Norms of queries and keys.
    pub query_key_norms: [&'static str; 2],
    /// Into the MLP.
    pub mlp_in: MlpIn,
    /// Out of the MLP.
    pub mlp_out: &'static str,
    /// The experts' router.
    pub router: &'static str,
    /// Prefix of the experts.
    pub experts: &'static str,
    /// Gate, up and down projections of an expert.
    pub expert: [&'static str; 3],
    /// Whether projections are kept as `[in, out]` (GPT-2's `Conv1D`).
    pub transposed: bool,
}

/// How Q, K and V projections are kept.
#[derive(Clone, Copy, Debug)]
pub enum Qkv {
    /// Three tensors.
    Separate([&'static str; 3]),
    /// One: all of Q, all of K, all of V.
    Stacked(&'static str),
    /// One: Q, K and V of the first head, then of the second, and so on.
    ByHead(&'static str),
}

/// What leads into the MLP's activation.
#[derive(Clone, Copy, Debug)]
pub enum MlpIn {
    /// A gate and what it multiplies, two tensors.
    Gated([&'static str; 2]),
    /// The same, stacked in one.
    GatedStacked(&'static str),
    /// One projection.
    Plain(&'static str),
}

impl Names {
    /// As Llama names them; most families follow.
    pub const LLAMA: Self = Self {
        base: "model",
        embedding: "embed_tokens",
        positions: None,
        layers: "layers",
        norm: "norm",
        head: "lm_head",
        attention_in_norm: Some("input_layernorm"),
        attention_out_norm: None,
        mlp_in_norm: Some("post_attention_layernorm"),
        mlp_out_norm: None,
        qkv: Qkv::Separate(["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
        output: "self_attn.o_proj",
        query_key_norms: ["self_attn.q_norm", "self_attn.k_norm"],
        mlp_in: MlpIn::Gated(["mlp.gate_proj", "mlp.up_proj"]),
        mlp_out: "mlp.down_proj",
        router: "mlp.gate",
        experts: "mlp.experts",
        expert: ["gate_proj", "up_proj", "down_proj"],
        transposed: false,
    };

    /// Gemma's: norms on both sides of attention and MLP.
    pub const SANDWICH: Self = Self {
        attention_out_norm: Some("post_attention_layernorm"),
        mlp_in_norm: Some("pre_feedforward_layernorm"),
        mlp_out_norm: Some("post_feedforward_layernorm"),
        ..Self::LLAMA
    };

    /// The modules of a checkpoint's tensors in transformers 5, which loads some families' heads and experts under other
    /// names than they are kept under.
    pub fn modules(self) -> Self {
        let Self { head, router, experts, .. } = Self::LLAMA;
        Self { head, router, experts, ..self }
    }
}

impl Shape {
    /// The reason why it is no model's, beyond what [`crate::Config::check`] says.
    pub fn check(&self) -> Result<(), String> {
        if self.layer_kinds.iter().any(|layer| layer.window == Some(0)) {
            return Err(
                "sliding_window is 0, with which a token sees nothing: use null for no window"
                    .to_owned(),
            );
        }
        let Some(Experts { count, active, intermediate, .. }) = self.mixture() else {
            return Ok(());
        };
        if count == 0 || intermediate == 0 {
            return Err("num_local_experts and moe_intermediate_size must be above 0".to_owned());
        }
        within("num_experts_per_tok", active, [1, count])
    }

    /// Bytes that a pass of `rows` takes for what its layers pass on and for the logits of `logits` rows, in f32; a
    /// pass needs at least so much.
    pub fn pass_bytes(&self, rows: usize, logits: usize) -> usize {
        let attention = (self.heads + 2 * self.kv_heads) * self.head_dim;
        let mlp = (1 + usize::from(self.is_gated())) * self.intermediate;
        let row = 2 * self.hidden + attention.max(mlp);
        let numbers = rows.saturating_mul(row).saturating_add(logits.saturating_mul(self.vocab));
        numbers.saturating_mul(size_of::<f32>())
    }

    /// Width of the MLP of the layers that have no experts; none if every layer has them.
    pub fn dense_width(&self) -> Option<usize> {
        let is_dense = |kind: &LayerKind| !kind.experts;
        self.layer_kinds.iter().any(is_dense).then_some(self.intermediate)
    }

    /// The experts of the layers that have them; none if no layer has any. The families that this version runs have no
    /// shared experts.
    pub fn mixture(&self) -> Option<Experts> {
        self.experts.filter(|_| self.layer_kinds.iter().any(|kind| kind.experts))
    }

    /// Keys that a query sees at most in each layer, itself included; none means all.
    pub fn windows(&self) -> impl Iterator<Item = Option<usize>> {
        self.layer_kinds.iter().map(|kind| kind.window)
    }

    /// Which frequencies the keys of a sequence of that length have.
    pub fn rope_range(&self, length: usize) -> RopeRange {
        let ranges = self.ropes.iter().map(|rope| rope.range(length));
        ranges.max().unwrap_or(RopeRange::Original)
    }

    /// The reason why a sequence cannot be run whose prompt has so many tokens and of which `rows` are run.
    pub fn check_sequence(&self, prompt: usize, rows: usize) -> Result<(), String> {
        self.ropes.iter().try_for_each(|rope| rope.check(prompt, rows))
    }

    /// Weights of its embeddings: of tokens and of learned positions. A tied LM head is among them.
    pub fn embedding_parameters(&self) -> u64 {
        let positions = if self.names.positions.is_some() { self.context } else { 0 };
        (self.vocab + positions) as u64 * self.hidden as u64
    }

    /// Whether the MLP has a gate.
    pub fn is_gated(&self) -> bool {
        !matches!(self.names.mlp_in, MlpIn::Plain(_))
    }
}
