//! What is known about a loaded model: sizes, number formats, ranks and identity.

use crate::{DType, DeviceId, RankInfo, Split, rank_info};
use llem_checkpoint::{FileDigest, Shape};
use std::time::Duration;

/// What is known about a loaded model.
#[derive(Clone, Debug)]
pub struct ModelInfo {
    /// The resolved source.
    pub source: String,
    /// The architecture's name in config.json.
    pub architecture: String,
    /// Digest of config and weights (see [`llem_checkpoint::Identity`]).
    pub digest: String,
    /// Every file of the model, tokenizer and chat template included. Empty for a synthetic model.
    pub files: Vec<FileDigest>,
    /// Number of distinct parameters. A tied head counts once.
    pub parameters: u64,
    /// Bytes of the weights in memory, on all ranks.
    pub weight_bytes: u64,
    /// Weight bytes that a decode step of all replicas reads if it reads every expert. Tables of which a step reads
    /// only one row for each token do not count: learned positions, and a token embedding that is not also the LM
    /// head on its rank.
    pub decode_weight_bytes: u64,
    /// Bytes of keys and values that one token adds to the caches of its replica, over all layers and ranks, as they
    /// are stored. A key head that several tensor-parallel ranks need counts once for each of them. A layer with a
    /// window counts like any other, because its cache stores every token although a step reads only the window.
    pub kv_bytes_per_token: u64,
    /// Number format of the weights. In a quantised model, of those that are not quantised.
    pub dtype: DType,
    /// Number format of keys and values.
    pub kv_dtype: DType,
    /// CPU threads that the ranks on this machine share.
    pub threads: usize,
    /// Formats of quantised weights, the one with the most bytes first, for example `Q4_K+Q6_K`.
    pub quantization: Option<String>,
    /// The model's device. For a split model, the device of its first rank.
    pub device: DeviceId,
    /// Whether the CPU computes the model although `device` names another device.
    pub stands_in: bool,
    /// How the model is split over ranks.
    pub split: Split,
    /// The model's ranks.
    pub ranks: Vec<RankInfo>,
    /// End-of-sequence tokens.
    pub eos: Vec<u32>,
    /// Whether the model has a tokenizer.
    pub has_tokenizer: bool,
    /// Time from the call of [`crate::Model::load`] until the model was ready, without computing the digest.
    pub load_time: Duration,
    /// Time to compute the digests of the model and of its files.
    pub digest_time: Duration,
    /// Dimensions and kinds of the model's layers.
    pub shape: Shape,
    /// One sentence for each setting in the model's files that has no effect here and may have one in other programs.
    pub warnings: Vec<String>,
}

impl ModelInfo {
    /// Returns why the GPUs of the model's ranks cannot be told apart, or `None` if they can.
    pub fn explain_indistinct_gpus(&self) -> Option<String> {
        rank_info::explain_indistinct_gpus(&self.ranks)
    }

    /// Returns the number of distinct parameters without the embeddings of tokens and learned positions, as
    /// transformers' `num_parameters(exclude_embeddings=True)` does. A separate LM head counts, and a tied one does
    /// not.
    pub fn parameters_without_embeddings(&self) -> u64 {
        self.parameters.saturating_sub(self.shape.embedding_parameters())
    }

    /// Returns the address of another machine that has a part of the model.
    pub fn other_machine(&self) -> Option<&str> {
        self.ranks.iter().find_map(|rank| rank.other_machine.as_deref())
    }
}
