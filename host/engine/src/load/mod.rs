//! Loading a model: from the source that a person names to weights in memory.

pub(crate) mod fixed_latency;
mod gguf_weights;
pub(crate) mod matrix;
pub(crate) mod opened_model;
pub(crate) mod size_check;
pub(crate) mod synthetic_passes;
pub(crate) mod synthetic_weights;
pub(crate) mod weights;

pub use synthetic_passes::SyntheticPasses;
pub(crate) use weights::Weights;

use crate::{DType, DeviceId, Error, Result, Split, parallel::World};
use llem_checkpoint::{
    DigestOptions, ModelSource,
    chat::{self, DateTime},
};
use std::{sync::Arc, time::Duration};

/// What to load, where, and how.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Where the model comes from.
    pub source: ModelSource,
    /// Number format of the weights. `None` means the checkpoint's own format.
    pub dtype: Option<DType>,
    /// Number format of keys and values. `None` means the format of the weights. The CPU converts keys and values to
    /// f32 when it reads them. A device converts them to the format of its activations.
    pub kv_dtype: Option<DType>,
    /// The device of the model. For a split model, this is the device of the first rank, and the other ranks use the
    /// next devices.
    pub device: DeviceId,
    /// Seed of synthetic weights.
    pub seed: u64,
    /// How the model is split over ranks.
    pub split: Split,
    /// CPU threads that the ranks of one machine share for matrix products, attention and the choice of tokens.
    /// `None` means all that [`pool_threads`](crate::cpu::threads::pool_threads) returns. The products that candle
    /// computes itself (weights in GGUF's k-quants) follow `CANDLE_NUM_THREADS` and `RAYON_NUM_THREADS` in any case.
    pub threads: Option<usize>,
    /// How long ranks wait for one another before they give up.
    pub rank_timeout: Duration,
    /// The processes that are the ranks. `None` means that the ranks are threads of this process.
    pub world: Option<Arc<World>>,
    /// How the model and its adapters are identified.
    pub digests: DigestOptions,
    /// The date and time that the chat template sees if it asks.
    pub date: DateTime,
    /// The given passes of a synthetic host. `None` means that the model computes.
    pub synthetic: Option<SyntheticPasses>,
}

/// The default of [`LoadOptions::rank_timeout`], which is longer than a slow pass takes.
pub const RANK_TIMEOUT: Duration = Duration::from_secs(120);

/// The most ranks of a model. The largest systems that serve one model have fewer GPUs.
const MOST_RANKS: usize = 1 << 14;

impl LoadOptions {
    /// Creates options that load a model on the CPU, on one rank, in the checkpoint's number format, with seed 0, all
    /// threads and the current date.
    pub fn new(source: ModelSource) -> Self {
        let (device, split) = (DeviceId::Cpu, Split::default());
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
            synthetic: None,
        }
    }

    /// Returns true if the CPU computes the model although the model counts as being on another device
    /// (`Preset::stands_in`).
    ///
    /// # Errors
    /// The config cannot be read.
    pub(crate) fn stands_in(&self) -> Result<bool> {
        match &self.source {
            ModelSource::Synthetic(preset) if self.device != DeviceId::Cpu => {
                Ok(preset.is_cpu_stand_in()?)
            }
            _ => Ok(false),
        }
    }

    /// Refuses a number of threads that `ranks` ranks on this machine cannot share.
    ///
    /// # Errors
    /// There are fewer threads than ranks, or more than the machine runs at the same time.
    pub(crate) fn check_threads(&self, ranks: usize) -> Result<()> {
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

    /// Returns the number of ranks that the split makes.
    ///
    /// # Errors
    /// The split makes more ranks than any system has.
    pub(crate) fn ranks(&self) -> Result<usize> {
        let Split { tensor, pipeline, data, .. } = self.split;
        let ranks = tensor.checked_mul(pipeline).and_then(|ranks| ranks.checked_mul(data));
        ranks.filter(|&ranks| ranks <= MOST_RANKS).ok_or_else(|| {
            Error::Invalid(format!(
                "{} makes more than {MOST_RANKS} ranks: split the model over fewer",
                self.split
            ))
        })
    }

    /// Returns the device of each rank: the same device for all ranks, or GPUs one after another.
    ///
    /// # Errors
    /// The machine has too few GPUs.
    pub fn devices(&self) -> Result<Vec<DeviceId>> {
        let ranks = self.ranks()?;
        let DeviceId::Cuda(first) = self.device else { return Ok(vec![self.device; ranks]) };
        let present = DeviceId::cuda_count();
        if ranks > 1 && first + ranks > present && !self.stands_in()? {
            return Err(Error::Invalid(format!(
                "{} needs {ranks} GPUs from {} on, and this machine has {present}: split over at most {}",
                self.split,
                self.device,
                present.saturating_sub(first)
            )));
        }
        Ok((first..first + ranks).map(DeviceId::Cuda).collect())
    }
}
