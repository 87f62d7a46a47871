//! What to load, where and how.

use crate::{bindings::models, devices::Dtype};

pub use models::{Parallelism, Rank};

/// What to load, where and how. What is none is as the person running the experiment says it.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// The name of a granted model, the source of one, or a synthetic one (`synthetic:PRESET`), which needs no grant.
    pub model: Option<String>,
    /// Number format of weights and activations.
    pub dtype: Option<Dtype>,
    /// Number format of keys and values in the cache. It is that of activations otherwise.
    pub kv_dtype: Option<Dtype>,
    /// The id of a granted device.
    pub device: Option<String>,
    /// Threads of the CPU that its ranks on this machine share.
    pub threads: Option<u32>,
    /// How many ranks it is split over. A script may have as many as were granted.
    pub parallelism: Option<Parallelism>,
    /// Whether whole experts are dealt out among the tensor ranks, rather than each being cut.
    pub whole_experts: bool,
    /// Whether both factors of an adapter are cut among the tensor ranks, rather than one.
    pub sharded_adapters: bool,
    /// Parts that a pass is cut into, so that stages work at the same time. None: as many as stages, where there are rows
    /// enough for it to pay.
    pub microbatches: Option<u32>,
    /// Seed of synthetic weights. None: the run's.
    pub seed: Option<u64>,
}

impl LoadOptions {
    /// The granted or synthetic model of this name or source.
    pub fn of(model: &str) -> Self {
        Self { model: Some(model.to_owned()), ..Self::default() }
    }
}

impl Parallelism {
    /// So many tensor ranks, pipeline stages and replicas.
    pub fn of(tensor: u32, pipeline: u32, data: u32) -> Self {
        Self { tensor, pipeline, data }
    }

    /// All ranks.
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
