//! The description of a decoder that the families produce and the engine builds.

use super::{MixedFrequenciesError, Rope, RopeRange};
use crate::config::{Activation, RangeError, check_range};

/// Everything that the engine needs to know to build a model's decoder.
///
/// ```
/// use llem_checkpoint::{NormKind, Preset};
///
/// let (_, shape) = Preset::from_name("llama-3.2-1b").unwrap().config()?;
/// assert_eq!((shape.layers, shape.hidden, shape.vocab), (16, 2048, 128_256));
/// assert_eq!((shape.heads, shape.kv_heads, shape.head_dim), (32, 8, 64));
/// assert_eq!((shape.norm, shape.tied_head), (NormKind::Rms, true));
/// assert_eq!(shape.attention_scale, 0.125); // 1 / sqrt(64)
/// assert_eq!(shape.embedding_parameters(), 128_256 * 2048);
/// # Ok::<(), llem_checkpoint::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Shape {
    /// The width of the residual stream.
    pub hidden: usize,
    /// The number of decoder layers.
    pub layers: usize,
    /// The number of query heads.
    pub heads: usize,
    /// The number of key and value heads.
    pub kv_heads: usize,
    /// The width of a head.
    pub head_dim: usize,
    /// The width of the MLP, in layers without experts.
    pub intermediate: usize,
    /// The number of rows of the embedding.
    pub vocab: usize,
    /// The length of the longest sequence, in tokens.
    pub context: usize,
    /// The kind of the layers' norms.
    pub norm: NormKind,
    /// The epsilon of the norms.
    pub norm_eps: f32,
    /// Whether attention and MLP both read the layer's input (GPT-NeoX). Otherwise the MLP reads the sum of the layer's
    /// input and the result of attention.
    pub parallel: bool,
    /// The rotary embeddings of the layers. The list is empty if positions are learned.
    pub ropes: Vec<Rope>,
    /// How layers differ: one entry for each layer.
    pub layer_kinds: Vec<LayerKind>,
    /// The norms of queries and keys.
    pub query_norm: QueryKeyNorm,
    /// The number by which attention scores are multiplied.
    pub attention_scale: f32,
    /// If there is a cap, attention scores become `cap · tanh(score / cap)`.
    pub attention_softcap: Option<f32>,
    /// If there is a cap, logits become `cap · tanh(logit / cap)`.
    pub logit_softcap: Option<f32>,
    /// The number by which embeddings are multiplied.
    pub embedding_scale: f32,
    /// The activation of the MLP.
    pub activation: Activation,
    /// The experts. [`LayerKind::experts`] says which layers have them. See also [`Self::mixture`].
    pub experts: Option<ExpertShape>,
    /// Whether the projections Q, K and V have biases.
    pub qkv_bias: bool,
    /// Whether the projection O has a bias.
    pub output_bias: bool,
    /// Whether the projections of the MLP have biases.
    pub mlp_bias: bool,
    /// Whether the LM head is the embedding's matrix.
    pub tied_head: bool,
    /// The names of the tensors in the checkpoint.
    pub names: NamingScheme,
    /// The names of the modules in transformers 5. Adapters use them.
    pub modules: NamingScheme,
}

/// The kind of a norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormKind {
    /// RMSNorm whose gain is the weight.
    Rms,
    /// RMSNorm whose gain is 1 + weight (Gemma).
    RmsPlusOne,
    /// LayerNorm with a gain and a bias.
    Layer,
}

/// The norms of queries and keys, which are applied before the rotary embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryKeyNorm {
    /// Queries and keys are not normalised.
    None,
    /// Each head is normalised by itself. All heads have the same gain, of `head_dim` numbers.
    EachHead,
    /// All heads of a token are normalised together.
    AllHeads,
}

/// How a layer differs from other layers of its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerKind {
    /// How many keys a query sees at most, itself included. `None` means all earlier ones.
    pub window: Option<usize>,
    /// The index of the layer's rotary embedding in [`Shape::ropes`]. `None` if queries and keys are not rotated.
    pub rope: Option<usize>,
    /// Whether the layer has experts instead of one MLP.
    pub experts: bool,
}

/// The shape of a mixture of experts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpertShape {
    /// The number of experts in a layer.
    pub count: usize,
    /// The number of experts that process a token.
    pub active: usize,
    /// The width of an expert.
    pub intermediate: usize,
    /// Whether the weights of the chosen experts are normalised to the sum 1.
    pub renormalise: bool,
}

/// The names that a checkpoint has for its tensors. Names of parts of a layer are relative to the layer.
#[derive(Clone, Copy, Debug)]
pub struct NamingScheme {
    /// The prefix of all names except the LM head's. Checkpoints that were saved without the LM head have no prefix.
    pub base: &'static str,
    /// The embedding of tokens.
    pub embedding: &'static str,
    /// The embedding of learned positions. `None` if positions are not learned.
    pub positions: Option<&'static str>,
    /// The prefix of the layers' names, before the layer's number.
    pub layers: &'static str,
    /// The norm after the last layer.
    pub norm: &'static str,
    /// The LM head. Its name does not begin with `base`.
    pub head: &'static str,
    /// The norm before attention, if there is one.
    pub attention_in_norm: Option<&'static str>,
    /// The norm of attention's result, before it is added to the residual stream, if there is one.
    pub attention_out_norm: Option<&'static str>,
    /// The norm before the MLP, if there is one.
    pub mlp_in_norm: Option<&'static str>,
    /// The norm of the MLP's result, before it is added to the residual stream, if there is one.
    pub mlp_out_norm: Option<&'static str>,
    /// The projections Q, K and V.
    pub qkv: Qkv,
    /// The projection O.
    pub output: &'static str,
    /// The norms of queries and of keys.
    pub query_key_norms: [&'static str; 2],
    /// The projections before the MLP's activation.
    pub mlp_in: MlpIn,
    /// The projection after the MLP's activation.
    pub mlp_out: &'static str,
    /// The router, which chooses the experts of a token.
    pub router: &'static str,
    /// The prefix of the experts' names, before the expert's number.
    pub experts: &'static str,
    /// The projections of an expert: gate, up and down.
    pub expert: [&'static str; 3],
    /// Whether the matrices of projections have the shape `[inputs, outputs]` (GPT-2's `Conv1D`). Otherwise it is
    /// `[outputs, inputs]`.
    pub transposed: bool,
}

/// How a checkpoint stores the projections Q, K and V.
#[derive(Clone, Copy, Debug)]
pub enum Qkv {
    /// In three tensors.
    Separate([&'static str; 3]),
    /// In one tensor: all rows of Q, then all of K, then all of V.
    Stacked(&'static str),
    /// In one tensor: Q, K and V of the first head, then of the second head, and so on.
    ByHead(&'static str),
}

/// How a checkpoint stores the projections before the MLP's activation.
#[derive(Clone, Copy, Debug)]
pub enum MlpIn {
    /// In two tensors: the gate, and the up projection that it multiplies.
    Gated([&'static str; 2]),
    /// In one tensor: the rows of the gate, then the rows of the up projection.
    GatedStacked(&'static str),
    /// One up projection without a gate.
    Plain(&'static str),
}

impl NamingScheme {
    /// Llama's names, which most families use.
    pub(crate) const LLAMA: Self = Self {
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

    /// Gemma's names, which include norms before and after attention and MLP.
    pub(crate) const SANDWICH: Self = Self {
        attention_out_norm: Some("post_attention_layernorm"),
        mlp_in_norm: Some("pre_feedforward_layernorm"),
        mlp_out_norm: Some("post_feedforward_layernorm"),
        ..Self::LLAMA
    };

    /// Returns the names of the modules in transformers 5. They differ from the tensors' names in the LM head and the
    /// experts of some families.
    pub(crate) fn module_names(self) -> Self {
        let Self { head, router, experts, .. } = Self::LLAMA;
        Self { head, router, experts, ..self }
    }
}

/// Why a model with the shape of a config cannot run.
#[derive(Debug, thiserror::Error)]
pub(super) enum ShapeError {
    /// The window of a layer has no keys.
    #[error("sliding_window is 0, with which a token sees nothing: use null for no window")]
    EmptyWindow,

    /// Layers have experts, but their number or their width is 0.
    #[error("num_local_experts and moe_intermediate_size must be above 0")]
    EmptyExperts,

    /// A number is too small or too large.
    #[error(transparent)]
    Range(#[from] RangeError),
}

impl Shape {
    /// Checks what [`crate::Config::check`] does not check.
    pub(super) fn check(&self) -> Result<(), ShapeError> {
        if self.layer_kinds.iter().any(|layer| layer.window == Some(0)) {
            return Err(ShapeError::EmptyWindow);
        }
        let Some(ExpertShape { count, active, intermediate, .. }) = self.mixture() else {
            return Ok(());
        };
        if count == 0 || intermediate == 0 {
            return Err(ShapeError::EmptyExperts);
        }
        Ok(check_range("num_experts_per_tok", active, [1, count])?)
    }

    /// Returns a lower limit of the memory that a pass needs for activations, in bytes. The pass runs `rows` rows and
    /// computes the logits of `logits` rows, in f32.
    pub fn pass_bytes(&self, rows: usize, logits: usize) -> usize {
        let attention = (self.heads + 2 * self.kv_heads) * self.head_dim;
        let mlp = (1 + usize::from(self.is_gated())) * self.intermediate;
        let row = 2 * self.hidden + attention.max(mlp);
        let numbers = rows.saturating_mul(row).saturating_add(logits.saturating_mul(self.vocab));
        numbers.saturating_mul(size_of::<f32>())
    }

    /// Returns the MLP's width in layers without experts, or `None` if every layer has experts.
    pub fn dense_width(&self) -> Option<usize> {
        let is_dense = |kind: &LayerKind| !kind.experts;
        self.layer_kinds.iter().any(is_dense).then_some(self.intermediate)
    }

    /// Returns the shape of the experts, or `None` if no layer has experts. None of the families here has shared
    /// experts.
    pub fn mixture(&self) -> Option<ExpertShape> {
        self.experts.filter(|_| self.layer_kinds.iter().any(|kind| kind.experts))
    }

    /// Returns for each layer how many keys a query sees at most, itself included. `None` means all earlier ones.
    pub fn windows(&self) -> impl Iterator<Item = Option<usize>> {
        self.layer_kinds.iter().map(|kind| kind.window)
    }

    /// Returns with which frequencies the keys of a sequence of `length` tokens are rotated.
    pub fn rope_range(&self, length: usize) -> RopeRange {
        let ranges = self.ropes.iter().map(|rope| rope.range(length));
        ranges.max().unwrap_or(RopeRange::Original)
    }

    /// Checks that a sequence can run. Its prompt has `prompt` tokens, and `rows` tokens run in total.
    ///
    /// # Errors
    /// Returns an error if the sequence would have keys of two sets of frequencies.
    pub fn check_sequence(&self, prompt: usize, rows: usize) -> Result<(), MixedFrequenciesError> {
        self.ropes.iter().try_for_each(|rope| rope.check_sequence(prompt, rows))
    }

    /// Returns the number of weights in the embeddings of tokens and of learned positions. A tied LM head is one of
    /// them.
    pub fn embedding_parameters(&self) -> u64 {
        let positions = if self.names.positions.is_some() { self.context } else { 0 };
        (self.vocab + positions) as u64 * self.hidden as u64
    }

    /// Returns `true` if the MLP has a gate.
    pub fn is_gated(&self) -> bool {
        !matches!(self.names.mlp_in, MlpIn::Plain(_))
    }
}
