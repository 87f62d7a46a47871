//! Models and LoRA adapters in the record.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A loaded model.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ModelRecord {
    /// Its number, by which what ran on it names it: models are numbered from 0 in the order of loading. Absent in older
    /// records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// The source as it was resolved.
    pub source: String,
    /// The architecture's name in config.json.
    pub architecture: String,
    /// What identifies config and weights. `blake3:` covers every byte, `blake3-headers:` the beginning of each weight
    /// file, `sha256-synthetic:` config and seed.
    pub digest: String,
    /// Every file that it was made of, tokenizer and chat template among them; none of a synthetic one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileDigest>,
    /// The seed of a synthetic model's weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Distinct weights.
    pub parameters: u64,
    /// Bytes of weights in memory, on all ranks.
    pub weight_bytes: u64,
    /// Bytes of them that a decode step reads, if it reads every expert: all but tables of which it reads a row for each
    /// token. Absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decode_weight_bytes: Option<u64>,
    /// Number format of weights; of a quantised model, of what is not quantised.
    pub dtype: String,
    /// Number format of keys and values; absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_dtype: Option<String>,
    /// Threads of the CPU that its ranks on this machine share; absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
    /// Formats of quantised weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantization: Option<String>,
    /// The device's id; of a split model, that of its first rank.
    pub device: String,
    /// Whether the CPU computed it all the same, as its config says: no measurement of that device.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stands_in: bool,
    /// How it is split.
    #[serde(default)]
    pub parallelism: Parallelism,
    /// Its ranks; one unless it is split.
    #[serde(default)]
    pub ranks: Vec<RankRecord>,
    /// Time from the call to the model being ready, without identifying it (`digest_ns`).
    pub load_ns: u64,
    /// Time that identifying it took: hashing it, or looking up hashes of files that have not changed. 0 of a synthetic
    /// model, and in records that do not tell.
    #[serde(default)]
    pub digest_ns: u64,
}

/// One of the files that a model was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileDigest {
    /// Its path within the model's folder.
    pub name: String,
    /// Its size, bytes.
    pub bytes: u64,
    /// `blake3:` and what `b3sum` prints of it; `blake3-headers:` where only its beginning was hashed.
    pub digest: String,
}

/// How a model is split over ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Parallelism {
    /// Ranks that share every product.
    pub tensor: u32,
    /// Stages that share the layers.
    pub pipeline: u32,
    /// Replicas that share the requests. More than one changes what is measured.
    pub data: u32,
    /// Whether whole experts are dealt out among the tensor ranks.
    pub experts: bool,
    /// Whether both factors of an adapter are cut among the tensor ranks.
    pub sharded_adapters: bool,
    /// Parts that a pass is cut into; absent means as many as stages where that pays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub microbatches: Option<u32>,
}

impl Default for Parallelism {
    fn default() -> Self {
        let (tensor, pipeline, data) = (1, 1, 1);
        let (experts, sharded_adapters, microbatches) = (false, false, None);
        Self { tensor, pipeline, data, experts, sharded_adapters, microbatches }
    }
}

/// One rank of a model.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RankRecord {
    /// Its device's id, after its machine's address where that is another.
    pub device: String,
    /// The first of its layers.
    pub first_layer: u32,
    /// How many it has.
    pub layers: u32,
    /// Bytes of its weights.
    pub weight_bytes: u64,
}

/// A LoRA adapter, and what has just been done with it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AdapterRecord {
    /// The model that it was done to, by its number; absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<u64>,
    /// What requests call it.
    pub name: String,
    /// What has been done.
    pub change: AdapterChange,
    /// How long that took.
    pub wall_ns: u64,
    /// The source as it was resolved.
    pub source: String,
    /// What identifies its config and tensors, as of a model.
    pub digest: String,
    /// The model that its config says it was trained on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_model: Option<String>,
    /// The highest rank of its factors.
    pub rank: u32,
    /// Whether its weights are split into magnitude and direction (DoRA).
    pub dora: bool,
    /// Modules that it changes.
    pub modules: u32,
    /// Numbers that it brings.
    pub parameters: u64,
    /// Bytes of them in memory.
    pub weight_bytes: u64,
}

/// What is done with an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AdapterChange {
    /// Its factors are multiplied beside the base weights from now on.
    Attached,
    /// It is part of the weights from now on.
    Merged,
    /// The weights are the base model's again; it is attached.
    Unmerged,
    /// It is gone.
    Detached,
}

/// The adapter that a sequence ran with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct UsedAdapter {
    /// Its name.
    pub name: String,
    /// `attached` or `merged`.
    pub mode: String,
}
