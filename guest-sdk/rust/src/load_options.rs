//! Options for loading a model.

use crate::{bindings::models, devices::Dtype};

pub use models::{Parallelism, Rank};

/// Options for loading a model: source, number formats, device and parallelism. For an option that is `None` the
/// command line decides.
///
/// ```
/// use llem_sdk::{LoadOptions, Parallelism};
///
/// // Two tensor ranks for each of two pipeline stages.
/// let parallelism = Parallelism::new(2, 2, 1);
/// assert_eq!(parallelism.ranks(), 4);
/// let options = LoadOptions {
///     parallelism: Some(parallelism),
///     ..LoadOptions::with_model("synthetic:llama-3.2-1b")
/// };
/// assert!(options.dtype.is_none());
/// ```
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// The name or source of a granted model, or a synthetic one (`synthetic:PRESET`), which needs no grant.
    pub model: Option<String>,
    /// The number format of weights and activations.
    pub dtype: Option<Dtype>,
    /// The number format of cached keys and values. `None` means the format of activations.
    pub kv_dtype: Option<Dtype>,
    /// The id of a device that was granted with `--device`.
    pub device: Option<String>,
    /// The number of CPU threads that the model's ranks on this machine share.
    pub threads: Option<u32>,
    /// The number of ranks that the model is split over. A script may use as many ranks as were granted.
    pub parallelism: Option<Parallelism>,
    /// Whether each expert is placed whole on one tensor rank. Otherwise every expert is split over all of them.
    pub whole_experts: bool,
    /// Whether both factors of an adapter are split over the tensor ranks. Otherwise only one factor is.
    pub sharded_adapters: bool,
    /// The number of microbatches that a pass is split into, so that pipeline stages work at the same time. `None`
    /// means one for each stage, provided that there are enough rows for it to pay off.
    pub microbatches: Option<u32>,
    /// The seed of synthetic weights. `None` means the run's seed.
    pub seed: Option<u64>,
}

impl LoadOptions {
    /// Creates options for the granted or synthetic model of this name or source.
    pub fn with_model(model: &str) -> Self {
        Self { model: Some(model.to_owned()), ..Self::default() }
    }
}

impl Parallelism {
    /// Creates a split by the numbers of tensor ranks, pipeline stages and data-parallel replicas.
    pub fn new(tensor: u32, pipeline: u32, data: u32) -> Self {
        Self { tensor, pipeline, data }
    }

    /// Returns the total number of ranks.
    pub fn ranks(&self) -> u32 {
        self.tensor * self.pipeline * self.data
    }
}

impl From<&LoadOptions> for models::LoadOptions {
    fn from(from: &LoadOptions) -> Self {
        let options = Self::new();
        if let Some(model) = &from.model {
            options.set_model(model);
        }
        if let Some(dtype) = &from.dtype {
            options.set_dtype(dtype.as_str());
        }
        if let Some(dtype) = &from.kv_dtype {
            options.set_kv_dtype(dtype.as_str());
        }
        if let Some(device) = &from.device {
            options.set_device(device);
        }
        if let Some(threads) = from.threads {
            options.set_threads(threads);
        }
        if let Some(Parallelism { tensor, pipeline, data }) = from.parallelism {
            options.set_ranks(tensor, pipeline, data);
        }
        if from.whole_experts {
            options.set_whole_experts(true);
        }
        if from.sharded_adapters {
            options.set_sharded_adapters(true);
        }
        if let Some(parts) = from.microbatches {
            options.set_microbatches(parts);
        }
        if let Some(seed) = from.seed {
            options.set_seed(seed);
        }
        options
    }
}
