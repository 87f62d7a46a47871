//! What a loaded model is.

use crate::{
    bindings::models,
    devices::Dtype,
    load::{Parallelism, Rank},
};

/// What a loaded model is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ModelInfo {
    /// The source as it was resolved.
    pub source: String,
    /// The architecture's name in config.json.
    pub architecture: String,
    /// What identifies config and weights. Tokenizer and chat template are not in it.
    pub digest: String,
    /// Distinct weights; a tied head counts once.
    pub parameters: u64,
    /// Those but for the token embedding and learned positions (transformers' `num_parameters(exclude_embeddings=True)`).
    pub parameters_without_embeddings: u64,
    /// Bytes of weights in memory, on all ranks.
    pub weight_bytes: u64,
    /// Bytes of them that a decode step reads, if it reads every expert: all but tables of which it reads a row for each
    /// token.
    pub decode_weight_bytes: u64,
    /// Number format of weights; of a quantised model, of what is not quantised.
    pub dtype: Dtype,
    /// Number format of keys and values in the cache.
    pub kv_dtype: Dtype,
    /// Formats of quantised weights, as ggml names them, the one with the most bytes first.
    pub quantization: Option<String>,
    /// The device's id; of a split model, that of its first rank.
    pub device: String,
    /// Threads of the CPU that its ranks on this machine share.
    pub threads: u32,
    /// How it is split.
    pub parallelism: Parallelism,
    /// Its ranks; one unless it is split.
    pub ranks: Vec<Rank>,
    /// Longest prompt plus output, in tokens.
    pub context_length: u32,
    /// Width of the logits.
    pub vocab_size: u32,
    /// Decoder layers.
    pub layers: u32,
    /// Width of the residual stream.
    pub hidden_size: u32,
    /// Inner width of a dense MLP; none where there are only experts.
    pub intermediate_size: Option<u32>,
    /// Query heads.
    pub heads: u32,
    /// Key and value heads.
    pub kv_heads: u32,
    /// Width of a head.
    pub head_size: u32,
    /// Experts of a mixture; 0 where there are none.
    pub experts: u32,
    /// Experts that a token goes to; 0 where there are none.
    pub experts_per_token: u32,
    /// Inner width of an expert; none where there are none.
    pub expert_size: Option<u32>,
    /// Whether the LM head is the token embedding.
    pub has_tied_embeddings: bool,
    /// Of each layer the tokens that its attention reaches back; none: all.
    pub attention_windows: Vec<Option<u32>>,
    /// Bytes of keys and values that a token leaves in the cache, over all layers and all ranks of the replica that runs
    /// it, as they are kept.
    pub kv_bytes_per_token: u64,
    /// Tokens that end a sequence.
    pub eos_tokens: Vec<u32>,
    /// Whether text can be tokenized.
    pub has_tokenizer: bool,
    /// Time from the call to the model being ready, without identifying it, ns.
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
