//! One rank: its part of the decoder, its KV caches, and what it does on command.

use super::{
    Communicator, DeviceGroup, Shard,
    command::{Attach, Attached, Command, KvCopy, Loaded, Reply},
    microbatches::{WORTH_CUTTING, microbatches},
    nccl::Invitation,
    rank_device::DevicePart,
};
use crate::{
    AdapterSource, Device, Error, Result,
    adapters::{AdapterId, AdapterTensors},
    decoder::{Decoder, Stage},
    gpu::{Logits, OnDevice, Workspace},
    kv_cache::{CachePool, KvCache, Layout},
    layers::{AdapterRows, Packing, Segment, Use},
    load::{Weights, latency::FixedLatency},
};
use candle_core::Tensor;
use llem_checkpoint::{DigestOptions, families::Shape};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// What a rank is made of.
pub struct RankConfig {
    /// The checkpoint.
    pub weights: Weights,
    /// The model's shape.
    pub shape: Shape,
    /// Its layers.
    pub stage: Stage,
    /// Its part of them.
    pub shard: Shard,
    /// The ranks that have the same part of the other stages.
    pub pipeline: Arc<dyn Communicator>,
    /// Where it lives.
    pub device: Device,
    /// How its groups form, where they are of GPUs.
    pub invitation: Option<Invitation>,
    /// Parts that a pass is cut into, where that was asked.
    pub microbatches: Option<usize>,
    /// Number format of keys and values; none means that of the weights.
    pub kv_dtype: Option<crate::DType>,
    /// Ranks that use the same memory.
    pub sharing: usize,
    /// How long passes take, where that is given.
    pub latency: Option<FixedLatency>,
}

/// A rank with its part of a model.
pub struct Rank {
    pub(super) decoder: Decoder,
    pub(super) shard: Shard,
    pub(super) pipeline: Arc<dyn Communicator>,
    pub(super) microbatches: Option<usize>,
    latency: Option<FixedLatency>,
    /// What it has on its device, unless that is the CPU.
    pub(super) device: Option<DevicePart>,
    /// The adapters that are attached, by their slots, and the highest rank of each.
    pub(super) attached: Vec<(AdapterId, usize)>,
    pub(super) layout: Layout,
    pub(super) pool: CachePool,
    pub(super) batches: BTreeMap<u64, Vec<KvCache>>,
    loaded: Loaded,
}

impl Rank {
    /// Loads its part.
    pub fn load(config: RankConfig) -> Result<Self> {
        let RankConfig { weights, shape, stage, shard, pipeline, .. } = config;
        let RankConfig { device, microbatches, kv_dtype, sharing, latency, .. } = config;
        let dtype = weights.dtype();
        let place = device.open(dtype, kv_dtype.unwrap_or(dtype), shape.head_dim)?;
        let weights = weights.for_rank(shard.clone(), &place);
        let mut decoder = Decoder::load(&weights, shape, stage.clone())?;
        decoder.publish(&[])?;
        place.synchronize()?;
        let layout = decoder.cache_layout(kv_dtype, sharing);
        let on_device = OnDevice::of(&decoder)?;
        let invited = config.invitation.map(|invitation| invitation.accept(&place)).transpose()?;
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
            loaded: Loaded {
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
            latency,
        })
    }

    /// What whoever has a rank load is told of it.
    pub fn load_reply(loaded: &Result<Self>) -> Reply {
        loaded.as_ref().map_or_else(Reply::failed, |rank| Reply::Loaded(rank.loaded()))
    }

    /// What it has loaded.
    pub fn loaded(&self) -> Loaded {
        self.loaded.clone()
    }

    /// Whether it computes on the CPU.
    pub fn is_on_cpu(&self) -> bool {
        self.decoder.place().is_host()
    }

    /// Does what it is told.
    pub fn execute(&mut self, command: &Command) -> Result<Reply> {
        match command {
            Command::Reserve(capacities) => {
                let made = self.pool.reserve(&self.layout, capacities)?;
                tracing::debug!(made, held_bytes = self.pool.bytes(), "KV caches reserved");
            }
            &Command::Open(batch, count, capacity) => {
                let caches = self.pool.reserve_apart(&self.layout, count, capacity)?;
                let bytes = caches.iter().map(KvCache::bytes).sum();
                self.batches.insert(batch, caches);
                return Ok(Reply::Reserved(bytes));
            }
            Command::Close(batch) => drop(self.batches.remove(batch)),
            Command::Copy(batch, copies) => self.copy(*batch, copies)?,
            Command::Pass(pass) => {
                let segments: Vec<_> =
                    pass.segments.iter().map(|segment| segment.segment()).collect();
                self.pass(pass.batch, &segments, &pass.wanted)?;
            }
            Command::Attach(Attach { id, source, seed }) => {
                // The leader tells what the adapter is.
                let digests = DigestOptions::nothing();
                let mut opened = source.parse::<AdapterSource>()?.open(*seed, &digests)?;
                return Ok(Reply::Attached(self.attach(*id, &mut opened.tensors)?));
            }
            Command::Detach(id) => self.detach(*id)?,
            Command::Merge(id) => {
                self.decoder.for_each_adapted(|_, part| part.merge(*id))?;
                self.publish()?;
            }
            Command::Unmerge => {
                self.decoder.for_each_adapted(|_, part| part.unmerge())?;
                self.publish()?;
            }
            Command::Synchronize => self.synchronize()?,
            Command::Tell => {
                let time = self.communication_time().map(|time| time.as_nanos() as u64);
                return Ok(Reply::Time(time.map_err(|error| error.to_string())));
            }
        }
        Ok(Reply::Done)
    }

    /// Runs new tokens of several sequences, whose caches take their keys and values. The logits of the
    /// `wanted` rows, `[wanted, vocab]`, come to the first rank of the first stage; to others none do.
    pub fn pass(
        &mut self,
        batch: Option<u64>,
        segments: &[Segment<'_>],
        wanted: &[u32],
    ) -> Result<Option<Logits>> {
        let began = Instant::now();
        let logits = match self.device {
            Some(_) => self.run_on_device(batch, segments, wanted)?.map(Logits::Device),
            None => self.run(batch, segments, wanted)?.map(Logits::Host),
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
        segments: &[Segment<'_>],
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
            let adapters = AdapterRows::of(runs).select(wanted);
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

    /// Copies keys and values between the caches of a continuous batch.
    fn copy(&mut self, batch: u64, copies: &[KvCopy]) -> Result<()> {
        let caches = self.batches.get_mut(&batch).map_or(&mut [][..], |caches| caches);
        copies.iter().try_for_each(|&KvCopy { from, to, tokens }| {
            let [from, to] = caches.get_disjoint_mut([from, to]).map_err(|_| {
                Error::Bug(format!("KV cache {from} of a batch cannot be copied to its cache {to}"))
            })?;
            to.copy_from(from, tokens)
        })
    }

    /// Takes from an adapter what is its own.
    pub fn attach(&mut self, id: AdapterId, tensors: &mut AdapterTensors) -> Result<Attached> {
        let mut total = Attached::default();
        let attached = self.decoder.for_each_adapted(|used, part| {
            let added = part.attach(id, tensors)?;
            if part.tells() {
                total.added.and(&added);
                match used {
                    Use::Tokens(share) => total.flops_per_token += share * added.flops_per_row,
                    Use::Logits => total.flops_per_logits += added.flops_per_row,
                }
            }
            Ok(())
        });
        self.attached.push((id, total.added.rank));
        if let Err(error) = attached.and_then(|()| self.publish()) {
            // What went wrong is told, rather than that undoing it did.
            let _ = self.detach(id);
            return Err(error);
        }
        total.leftovers = tensors.leftovers();
        Ok(total)
    }

    /// Forgets an adapter.
    pub fn detach(&mut self, id: AdapterId) -> Result<()> {
        self.attached.retain(|&(attached, _)| attached != id);
        // Tables that name it go before what they name.
        self.publish()?;
        self.decoder.for_each_adapted(|_, part| {
            part.detach(id);
            Ok(())
        })
    }

    /// Tells a device what has changed about adapters and weights.
    fn publish(&mut self) -> Result<()> {
        let slots: Vec<AdapterId> = self.attached.iter().map(|&(id, _)| id).collect();
        self.decoder.publish(&slots)?;
        self.synchronize()
    }

    fn synchronize(&self) -> Result<()> {
        self.decoder.place().synchronize()
    }

    fn communication_time(&self) -> Result<Duration> {
        match &self.device {
            Some(part) => Ok(part.tensor.time()? + part.stages.time()?),
            None => Ok(self.shard.group.time()? + self.pipeline.time()?),
        }
    }
}

/// The wanted rows of those that begin with row `start` of a pass.
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
