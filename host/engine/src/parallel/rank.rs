//! One rank: its part of the decoder, its KV caches, and the commands that it runs.

use super::{
    Communicator, DeviceGroup, Shard,
    microbatches::{WORTH_CUTTING, microbatches},
    nccl_init::NcclInit,
    rank_command::{
        Attach, AttachedPart, CommunicationTimeError, KvCopy, LoadedPart, RankCommand, Reply,
    },
    rank_device::DevicePart,
};
use crate::{
    AdapterSource, DeviceId, Error, Result,
    adapters::{AdapterId, AdapterTensors},
    decoder::{Decoder, Stage},
    gpu::{DecoderTables, Logits, Workspace},
    kv_cache::{CacheLayout, CachePool, KvCache},
    layers::{AdapterRows, ModuleUsage, Packing, PassSegment},
    load::{SyntheticPasses, Weights, fixed_latency::FixedLatency},
};
use candle_core::Tensor;
use llem_checkpoint::{DigestOptions, Shape};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// What a rank needs to load its part of a model.
pub(crate) struct RankConfig {
    pub weights: Weights,
    pub shape: Shape,
    /// The rank's pipeline stage, with its layers.
    pub stage: Stage,
    /// The rank's part of these layers.
    pub shard: Shard,
    /// The ranks that have the same part of the other stages.
    pub pipeline: Arc<dyn Communicator>,
    pub device: DeviceId,
    /// How the rank's groups form over NCCL, if the ranks are on GPUs.
    pub nccl_init: Option<NcclInit>,
    /// Number of parts that a pass is split into, if the user set it.
    pub microbatches: Option<usize>,
    /// Number format of keys and values. `None` means the format of the weights.
    pub kv_dtype: Option<crate::DType>,
    /// Number of ranks on this machine, which share its memory.
    pub local_ranks: usize,
    /// How long passes take, for a model with a fixed latency.
    pub latency: Option<FixedLatency>,
    /// The given passes of a synthetic host, with the key of the model's logits.
    pub synthetic: Option<(SyntheticPasses, u64)>,
}

/// A rank with its loaded part of a model.
pub(crate) struct Rank {
    pub(super) decoder: Decoder,
    pub(super) shard: Shard,
    pub(super) pipeline: Arc<dyn Communicator>,
    pub(super) microbatches: Option<usize>,
    latency: Option<FixedLatency>,
    synthetic: Option<(SyntheticPasses, u64)>,
    /// The rank's state on its device, or `None` if the rank computes on the CPU.
    pub(super) device: Option<DevicePart>,
    /// The attached adapters in the order of their slots, each with the highest rank of its factors.
    pub(super) attached: Vec<(AdapterId, usize)>,
    pub(super) layout: CacheLayout,
    pub(super) pool: CachePool,
    pub(super) batches: BTreeMap<u64, Vec<KvCache>>,
    loaded: LoadedPart,
}

impl Rank {
    /// Loads the rank's part of the model. Waits for the other ranks if their groups form over NCCL.
    pub(crate) fn load(config: RankConfig) -> Result<Self> {
        let RankConfig { weights, shape, stage, shard, pipeline, .. } = config;
        let RankConfig { device, microbatches, kv_dtype, local_ranks, .. } = config;
        let dtype = weights.dtype();
        let place = device.open(dtype, kv_dtype.unwrap_or(dtype), shape.head_dim)?;
        let weights = weights.for_rank(shard.clone(), &place);
        let mut decoder = Decoder::load(&weights, shape, stage.clone())?;
        decoder.publish(&[])?;
        place.synchronize()?;
        let layout = decoder.cache_layout(kv_dtype, local_ranks);
        let on_device = DecoderTables::from_decoder(&decoder)?;
        let invited = config.nccl_init.map(|nccl_init| nccl_init.join(&place)).transpose()?;
        let device_part = on_device.map(|on_device| {
            let gpu = &on_device.gpu;
            let staged = || [&shard.group, &pipeline].map(|g| DeviceGroup::staged(g, &gpu.device));
            let [tensor, stages] = invited.unwrap_or_else(staged);
            Ok::<_, Error>(DevicePart {
                workspace: Workspace::new(gpu)?,
                on_device,
                tensor,
                stages,
            })
        });
        Ok(Self {
            loaded: LoadedPart {
                parameters: weights.parameters(),
                bytes: weights.bytes(),
                decode_bytes: weights.bytes().saturating_sub(decoder.lookup_bytes() as u64),
                kv_bytes_per_token: layout.bytes_per_token() as u64,
                stage,
                device: device.to_string(),
            },
            device: device_part.transpose()?,
            attached: Vec::new(),
            layout,
            pool: CachePool::default(),
            batches: BTreeMap::new(),
            decoder,
            shard,
            pipeline,
            microbatches,
            latency: config.latency,
            synthetic: config.synthetic,
        })
    }

    /// Returns the reply to a load command.
    pub(crate) fn load_reply(loaded: &Result<Self>) -> Reply {
        loaded.as_ref().map_or_else(Reply::from, |rank| Reply::Loaded(rank.loaded()))
    }

    /// Returns what this rank has loaded.
    pub(crate) fn loaded(&self) -> LoadedPart {
        self.loaded.clone()
    }

    pub(crate) fn is_on_cpu(&self) -> bool {
        self.decoder.backend().is_cpu()
    }

    /// Runs a command.
    pub(crate) fn execute(&mut self, command: &RankCommand) -> Result<Reply> {
        match command {
            RankCommand::Reserve(capacities) => {
                let made = self.pool.reserve(&self.layout, capacities)?;
                tracing::debug!(made, held_bytes = self.pool.bytes(), "KV caches reserved");
            }
            &RankCommand::Open(batch, count, capacity) => {
                let caches = self.pool.reserve_apart(&self.layout, count, capacity)?;
                let bytes = caches.iter().map(KvCache::bytes).sum();
                self.batches.insert(batch, caches);
                return Ok(Reply::Reserved(bytes));
            }
            RankCommand::Close(batch) => drop(self.batches.remove(batch)),
            RankCommand::Copy(batch, copies) => self.copy(*batch, copies)?,
            RankCommand::Pass(pass) => {
                let segments: Vec<_> =
                    pass.segments.iter().map(|segment| segment.segment()).collect();
                self.pass(pass.batch, &segments, &pass.wanted)?;
            }
            RankCommand::Attach(Attach { id, source, seed }) => {
                // The leader computes the digests.
                let digests = DigestOptions::disabled();
                let mut opened = source.parse::<AdapterSource>()?.open(*seed, &digests)?;
                return Ok(Reply::Attached(self.attach(*id, &mut opened.tensors)?));
            }
            RankCommand::Detach(id) => self.detach(*id)?,
            RankCommand::Merge(id) => {
                self.decoder.for_each_adapter_target(|_, part| part.merge(*id))?;
                self.publish()?;
            }
            RankCommand::Unmerge => {
                self.decoder.for_each_adapter_target(|_, part| part.unmerge())?;
                self.publish()?;
            }
            RankCommand::Synchronize => self.synchronize()?,
            RankCommand::CommunicationTime => {
                let time = self.communication_time().map(|time| time.as_nanos() as u64);
                let time = time.map_err(|error| CommunicationTimeError::Rank(error.to_string()));
                return Ok(Reply::Time(time));
            }
        }
        Ok(Reply::Done)
    }

    /// Runs new tokens of several sequences and stores their keys and values in their caches.
    ///
    /// # Shapes
    /// - `segments`: the new tokens, `[rows]` in all
    /// - `wanted`: the rows whose logits are needed
    /// - returns: `[wanted, vocab]` on the first rank of the first stage, and `None` on all other ranks
    pub(crate) fn pass(
        &mut self,
        batch: Option<u64>,
        segments: &[PassSegment<'_>],
        wanted: &[u32],
    ) -> Result<Option<Logits>> {
        if let Some((passes, key)) = &self.synthetic {
            let vocab = self.decoder.shape().vocab;
            return Ok(passes.pass(*key, segments, wanted, vocab)?.map(Logits::Cpu));
        }
        let began = Instant::now();
        let logits = match self.device {
            Some(_) => self.run_on_device(batch, segments, wanted)?.map(Logits::Device),
            None => self.run(batch, segments, wanted)?.map(Logits::Cpu),
        };
        if let Some(latency) = self.latency {
            latency.wait(began, segments)?;
        }
        if let Some(part) = &self.device {
            part.tensor.settle()?;
            part.stages.settle()?;
        }
        Ok(logits)
    }

    fn run(
        &mut self,
        batch: Option<u64>,
        segments: &[PassSegment<'_>],
        wanted: &[u32],
    ) -> Result<Option<Tensor>> {
        let stage = self.decoder.stage().clone();
        let caches = match batch {
            None => self.pool.caches(),
            Some(batch) => self.batches.get_mut(&batch).map_or(&mut [][..], |caches| caches),
        };
        let shape = self.decoder.shape();
        let rows: usize = segments.iter().map(|segment| segment.tokens.len()).sum();
        let count = self.microbatches.unwrap_or(stage.count.min(rows / WORTH_CUTTING));
        let mut kept = Vec::new();
        let mut start = 0;
        for segments in microbatches(segments, rows, count) {
            let packing = Packing::new(&segments, &shape.ropes);
            let rows = packing.positions.len();
            let x = if stage.is_first() {
                self.decoder.embed(&segments, &packing)?
            } else {
                self.pipeline.recv(stage.index - 1)?
            };
            let x = self.decoder.forward(x, &packing, caches)?;
            if !stage.is_last() {
                self.pipeline.send(&x, stage.index + 1)?;
            } else if let Some(x) = select(x, wanted, start)? {
                kept.push(x);
            }
            start += rows;
        }
        if wanted.is_empty() {
            return Ok(None);
        }
        let leads = self.shard.index == 0;
        if stage.is_last() {
            let runs = segments.iter().map(|segment| (segment.adapter, segment.tokens.len()));
            let adapters = AdapterRows::from_runs(runs).select(wanted);
            let hidden = if kept.len() == 1 { kept.remove(0) } else { Tensor::cat(&kept, 0)? };
            let logits = self.decoder.logits(&hidden, &adapters)?;
            if stage.is_first() {
                return Ok(leads.then_some(logits));
            }
            if leads {
                self.pipeline.send(&logits, 0)?;
            }
        } else if stage.is_first() && leads {
            return Ok(Some(self.pipeline.recv(stage.count - 1)?));
        }
        Ok(None)
    }

    fn copy(&mut self, batch: u64, copies: &[KvCopy]) -> Result<()> {
        let caches = self.batches.get_mut(&batch).map_or(&mut [][..], |caches| caches);
        copies.iter().try_for_each(|&KvCopy { from, to, tokens }| {
            let [from, to] = caches.get_disjoint_mut([from, to]).map_err(|_| {
                Error::Bug(format!("KV cache {from} of a batch cannot be copied to its cache {to}"))
            })?;
            to.copy_from(from, tokens)
        })
    }

    /// Loads this rank's part of an adapter. If that fails, nothing of the adapter stays attached.
    pub(crate) fn attach(
        &mut self,
        id: AdapterId,
        tensors: &mut AdapterTensors,
    ) -> Result<AttachedPart> {
        let mut total = AttachedPart::default();
        let attached = self.decoder.for_each_adapter_target(|used, part| {
            let added = part.attach(id, tensors)?;
            if part.reports_totals() {
                total.added.add(&added);
                match used {
                    ModuleUsage::Tokens(share) => {
                        total.flops_per_token += share * added.flops_per_row
                    }
                    ModuleUsage::Logits => total.flops_per_logits += added.flops_per_row,
                }
            }
            Ok(())
        });
        self.attached.push((id, total.added.rank));
        if let Err(error) = attached.and_then(|()| self.publish()) {
            // The first error is reported, even if the cleanup fails too.
            let _ = self.detach(id);
            return Err(error);
        }
        total.leftovers = tensors.leftovers();
        Ok(total)
    }

    /// Drops an adapter.
    pub(crate) fn detach(&mut self, id: AdapterId) -> Result<()> {
        self.attached.retain(|&(attached, _)| attached != id);
        // Device tables that refer to the adapter are rewritten before its factors are freed.
        self.publish()?;
        self.decoder.for_each_adapter_target(|_, part| {
            part.detach(id);
            Ok(())
        })
    }

    /// Uploads the tables of attached adapters and changed weights to the device.
    fn publish(&mut self) -> Result<()> {
        let slots: Vec<AdapterId> = self.attached.iter().map(|&(id, _)| id).collect();
        self.decoder.publish(&slots)?;
        self.synchronize()
    }

    fn synchronize(&self) -> Result<()> {
        self.decoder.backend().synchronize()
    }

    fn communication_time(&self) -> Result<Duration> {
        match &self.device {
            Some(part) => Ok(part.tensor.time()? + part.stages.time()?),
            None => Ok(self.shard.group.time()? + self.pipeline.time()?),
        }
    }
}

/// Selects the wanted rows of `x`, whose first row is row `start` of the pass.
///
/// # Shapes
/// - `x`: `[rows, hidden]`
/// - returns: `[wanted rows in x, hidden]`, or `None` if no row of `x` is wanted
fn select(x: Tensor, wanted: &[u32], start: usize) -> Result<Option<Tensor>> {
    let rows = x.dim(0)?;
    let here: Vec<u32> = wanted
        .iter()
        .filter(|&&row| (start..start + rows).contains(&(row as usize)))
        .map(|&row| row - start as u32)
        .collect();
    match here.len() {
        0 => Ok(None),
        count if count == rows => Ok(Some(x)),
        _ => Ok(Some(x.index_select(&Tensor::new(here, x.device())?, 0)?)),
    }
}
