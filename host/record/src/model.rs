//! Models and LoRA adapters in the record.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A loaded model.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ModelRecord {
    /// The model's number, to which everything that ran on it refers. Models are numbered from 0 in the order of loading.
    /// Absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// The source after it was resolved.
    pub source: String,
    /// The architecture's name in config.json.
    pub architecture: String,
    /// A digest that identifies config and weights. `blake3:` covers every byte, `blake3-headers:` the beginning of each weight
    /// file, `sha256-synthetic:` config and seed.
    pub digest: String,
    /// Every file that the model was made of, including tokenizer and chat template. Empty for a synthetic model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileDigest>,
    /// The seed of a synthetic model's weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Number of distinct weights.
    pub parameters: u64,
    /// Memory of the weights on all ranks, bytes.
    pub weight_bytes: u64,
    /// Bytes of weights that a decode step reads if it uses every expert. Tables of which it reads only one row per token are
    /// not included. Absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decode_weight_bytes: Option<u64>,
    /// Number format of the weights. For a quantised model, of those that are not quantised.
    pub dtype: String,
    /// Number format of keys and values. Absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_dtype: Option<String>,
    /// Cached keys and values of a token, bytes, over all layers and all ranks of the replica that runs it. Layers with a
    /// sliding window count like others. Absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_bytes_per_token: Option<u64>,
    /// Number of CPU threads that the model's ranks on this machine share. Absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
    /// Formats of the quantised weights. Absent if none are quantised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantization: Option<String>,
    /// The device's id. For a split model, the device of its first rank.
    pub device: String,
    /// Whether the CPU computed in place of the device, as the device's configuration says. Such a run does not measure the
    /// device.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stands_in: bool,
    /// How the model is split over ranks.
    #[serde(default)]
    pub parallelism: Parallelism,
    /// The model's ranks: one unless it is split.
    #[serde(default)]
    pub ranks: Vec<RankRecord>,
    /// Time from the call until the model is ready, without `digest_ns`, ns.
    pub load_ns: u64,
    /// Time to hash the files, or to look up hashes of files that have not changed, ns. 0 for a synthetic model, and in older
    /// records.
    #[serde(default)]
    pub digest_ns: u64,
}

/// A file that a model was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileDigest {
    /// The path within the model's folder.
    pub name: String,
    /// Size, bytes.
    pub bytes: u64,
    /// `blake3:` and the output of `b3sum`, or `blake3-headers:` if only the beginning was hashed.
    pub digest: String,
}

/// How a model is split over ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Parallelism {
    /// Number of ranks that share every matrix product.
    pub tensor: u32,
    /// Number of stages that share the layers.
    pub pipeline: u32,
    /// Number of replicas that share the requests. More than one changes what is measured.
    pub data: u32,
    /// Whether whole experts are distributed among the tensor ranks.
    pub experts: bool,
    /// Whether both factors of an adapter are split among the tensor ranks.
    pub sharded_adapters: bool,
    /// Number of parts that a pass is split into. If absent, a pass has as many parts as there are stages where that pays.
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
    /// The id of the rank's device, with the machine's address before it if it is another machine.
    pub device: String,
    /// Index of the rank's first layer.
    pub first_layer: u32,
    /// Number of layers on the rank.
    pub layers: u32,
    /// Memory of the rank's weights, bytes.
    pub weight_bytes: u64,
}

/// A LoRA adapter, and what was done with it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AdapterRecord {
    /// The model's number. Absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<u64>,
    /// The name that requests use.
    pub name: String,
    /// What was done with the adapter.
    pub change: AdapterChange,
    /// How long it took, ns.
    pub wall_ns: u64,
    /// The source after it was resolved.
    pub source: String,
    /// A digest that identifies config and tensors, in the same form as a model's.
    pub digest: String,
    /// The model that the adapter was trained on, according to its config.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_model: Option<String>,
    /// The highest rank of the adapter's factors.
    pub rank: u32,
    /// Whether the adapter splits weights into magnitude and direction (DoRA).
    pub dora: bool,
    /// Number of modules that the adapter changes.
    pub modules: u32,
    /// Number of parameters of the adapter.
    pub parameters: u64,
    /// Memory of the adapter's parameters, bytes.
    pub weight_bytes: u64,
}

/// What is done with an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AdapterChange {
    /// From now on, the adapter's factors are multiplied beside the base weights.
    Attached,
    /// The adapter was added to the weights.
    Merged,
    /// The weights are those of the base model again. The adapter stays attached.
    Unmerged,
    /// The adapter was removed.
    Detached,
}

/// The adapter that a sequence ran with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct UsedAdapter {
    /// The adapter's name.
    pub name: String,
    /// `attached` or `merged`.
    pub mode: String,
}
