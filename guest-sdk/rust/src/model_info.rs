//! Properties of a loaded model.

use crate::{
    bindings::models,
    devices::Dtype,
    load_options::{Parallelism, Rank},
};

/// The properties of a loaded model: its architecture, sizes, number formats and parallelism.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ModelInfo {
    /// The source after it was resolved.
    pub source: String,
    /// The architecture's name in config.json.
    pub architecture: String,
    /// A digest of the config and the weights. Tokenizer and chat template are not included.
    pub digest: String,
    /// The number of parameters. A tied LM head counts once.
    pub parameters: u64,
    /// The number of parameters without the token embedding and learned positions (transformers'
    /// `num_parameters(exclude_embeddings=True)`).
    pub parameters_without_embeddings: u64,
    /// The memory of the weights on all ranks, in bytes.
    pub weight_bytes: u64,
    /// The weights that a decode step reads, if it reads every expert, in bytes. Lookup tables, of which a step reads
    /// one row for each token, are not included.
    pub decode_weight_bytes: u64,
    /// The number format of weights. In a quantised model, the format of the weights that are not quantised.
    pub dtype: Dtype,
    /// The number format of cached keys and values.
    pub kv_dtype: Dtype,
    /// The formats of quantised weights, in ggml's names, the one with the most bytes first.
    pub quantization: Option<String>,
    /// The id of the device. For a split model, the device of the first rank.
    pub device: String,
    /// The number of CPU threads that the model's ranks on this machine share.
    pub threads: u32,
    /// How the model is split over ranks.
    pub parallelism: Parallelism,
    /// The model's ranks. There is one unless the model is split.
    pub ranks: Vec<Rank>,
    /// The maximum length of prompt and output together, in tokens.
    pub context_length: u32,
    /// The number of logits of a position.
    pub vocab_size: u32,
    /// The number of decoder layers.
    pub layers: u32,
    /// The width of the residual stream.
    pub hidden_size: u32,
    /// The inner width of a dense MLP. `None` if the model has only experts.
    pub intermediate_size: Option<u32>,
    /// The number of query heads.
    pub heads: u32,
    /// The number of key and value heads.
    pub kv_heads: u32,
    /// The width of a head.
    pub head_size: u32,
    /// The number of experts in a layer. It is 0 in a dense model.
    pub experts: u32,
    /// The number of experts that run for a token. It is 0 in a dense model.
    pub experts_per_token: u32,
    /// The inner width of an expert. `None` in a dense model.
    pub expert_size: Option<u32>,
    /// Whether the LM head and the token embedding are one tensor.
    pub has_tied_embeddings: bool,
    /// The attention window of each layer, in tokens. `None` means that the layer attends to all tokens.
    pub attention_windows: Vec<Option<u32>>,
    /// The cached keys and values of a token, in bytes, over all layers and all ranks of the replica that runs it.
    pub kv_bytes_per_token: u64,
    /// The tokens that end a sequence.
    pub eos_tokens: Vec<u32>,
    /// Whether the model has a tokenizer.
    pub has_tokenizer: bool,
    /// The time from the call until the model was ready, without the time of computing its digest, in ns.
    pub load_time: u64,
}

impl From<&models::Model> for ModelInfo {
    fn from(model: &models::Model) -> Self {
        Self {
            source: model.source(),
            architecture: model.architecture(),
            digest: model.digest(),
            parameters: model.parameters(),
            parameters_without_embeddings: model.parameters_without_embeddings(),
            weight_bytes: model.weight_bytes(),
            decode_weight_bytes: model.decode_weight_bytes(),
            dtype: model.dtype().into(),
            kv_dtype: model.kv_dtype().into(),
            quantization: model.quantization(),
            device: model.device(),
            threads: model.threads(),
            parallelism: model.parallelism(),
            ranks: model.ranks(),
            context_length: model.context_length(),
            vocab_size: model.vocab_size(),
            layers: model.layers(),
            hidden_size: model.hidden_size(),
            intermediate_size: model.intermediate_size(),
            heads: model.heads(),
            kv_heads: model.kv_heads(),
            head_size: model.head_size(),
            experts: model.experts(),
            experts_per_token: model.experts_per_token(),
            expert_size: model.expert_size(),
            has_tied_embeddings: model.has_tied_embeddings(),
            attention_windows: model.attention_windows(),
            kv_bytes_per_token: model.kv_bytes_per_token(),
            eos_tokens: model.eos_tokens(),
            has_tokenizer: model.tokenizer().is_some(),
            load_time: model.load_time(),
        }
    }
}
