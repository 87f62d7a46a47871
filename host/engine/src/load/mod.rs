//! From what a person typed to weights in memory.

mod gguf_weights;
pub mod latency;
pub mod matrix;
pub mod opened_model;
pub mod size;
pub mod synthetic;
pub mod weights;

pub use weights::Weights;

use crate::{DType, Device, Error, Result, Split, parallel::World};
use llem_checkpoint::{
    DigestOptions, ModelSource,
    chat::{self, DateTime},
};
use std::{sync::Arc, time::Duration};

/// What to load, where and how.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Which model.
    pub source: ModelSource,
    /// Number format; none means the checkpoint's own.
    pub dtype: Option<DType>,
    /// Number format of keys and values; none means that of the weights. The CPU widens them to f32 as it reads them, a
    /// device turns them into the format of its activations.
    pub kv_dtype: Option<DType>,
    /// Where it is to live; of a split model, where its first rank is, the others following.
    pub device: Device,
    /// Seed of synthetic weights.
    pub seed: u64,
    /// How it is split.
    pub split: Split,
    /// Threads of the CPU that its ranks on a machine share, for products, attention and the choice of tokens; none
    /// means all that [`pool_threads`](crate::cpu::parallel::pool_threads) tells. What candle multiplies by itself
    /// (weights in GGUF's k-quants) goes by `CANDLE_NUM_THREADS` and `RAYON_NUM_THREADS` all the same.
    pub threads: Option<usize>,
    /// How long ranks wait for one another before they give up.
    pub rank_timeout: Duration,
    /// The processes that are its ranks; none means that they are threads.
    pub world: Option<Arc<World>>,
    /// How it and its adapters are identified.
    pub digests: DigestOptions,
    /// The date and time that its chat template is told if it asks.
    pub date: DateTime,
}

/// How long ranks wait for one another unless they are told: more than a slow pass takes.
pub const RANK_TIMEOUT: Duration = Duration::from_secs(120);

/// Most ranks of a model: more than the GPUs of the largest systems that serve one.
const MOST_RANKS: usize = 1 << 14;

impl LoadOptions {
    /// A model on the CPU, in the checkpoint's number format. Its chat template is told the date of now.
    pub fn new(source: ModelSource) -> Self {
        let (device, split) = (Device::Cpu, Split::default());
        Self {
            source,
            dtype: None,
            kv_dtype: None,
            device,
            seed: 0,
            split,
            threads: None,
            rank_timeout: RANK_TIMEOUT,
            world: None,
            digests: DigestOptions::default(),
            date: chat::local_now(),
        }
    }

    /// Whether the CPU computes the model, though it counts as being on another device ([`Preset::stands_in`]).
    ///
    /// # Errors
    /// Its config cannot be read.
    pub fn stands_in(&self) -> Result<bool> {
        match &self.source {
            ModelSource::Synthetic(preset) if self.device != Device::Cpu => Ok(preset.stands_in()?),
            _ => Ok(false),
        }
    }

    /// Refuses a number of threads that `ranks` ranks on this machine cannot share.
    ///
    /// # Errors
    /// There are fewer than the ranks, or more than the machine runs at a time.
    pub fn check_threads(&self, ranks: usize) -> Result<()> {
        let Some(threads) = self.threads else { return Ok(()) };
        let most = std::thread::available_parallelism().map_or(1, usize::from);
        if (ranks.max(1)..=most).contains(&threads) {
            return Ok(());
        }
        Err(Error::Invalid(format!(
            "threads {threads} is not from {}, one for each rank, to the {most} that this machine runs at a time",
            ranks.max(1)
        )))
    }

    /// How many ranks the split makes.
    ///
    /// # Errors
    /// More than any machine runs.
    pub fn ranks(&self) -> Result<usize> {
        let Split { tensor, pipeline, data, .. } = self.split;
        let ranks = tensor.checked_mul(pipeline).and_then(|ranks| ranks.checked_mul(data));
        ranks.filter(|&ranks| ranks <= MOST_RANKS).ok_or_else(|| {
            Error::Invalid(format!(
                "{} makes more than {MOST_RANKS} ranks: split the model over fewer",
                self.split
            ))
        })
    }

    /// The device of each rank: the CPU for all, or GPUs one after another.
    pub fn devices(&self) -> Result<Vec<Device>> {
        let ranks = self.ranks()?;
        let Device::Cuda(first) = self.device else { return Ok(vec![self.device; ranks]) };
        let present = Device::cuda_count();
        if ranks > 1 && first + ranks > present && !self.stands_in()? {
            return Err(Error::Invalid(format!(
                "{} needs {ranks} GPUs from {} on, and this machine has {present}: split over at most {}",
                self.split,
                self.device,
                present.saturating_sub(first)
            )));
        }
        Ok((first..first + ranks).map(Device::Cuda).collect())
    }
}
