//! `models.wit`, loading a model: what a script asks for, held against what was granted, and what is then
//! known of the model.

use crate::{
    bindings::models,
    error::{Refusal, short},
    grants::ModelGrant,
    resources::LoadDraft,
    run::Run,
    state::State,
};
use llem_engine::{Info, LoadOptions, ModelSource, Split, model::RankInfo};
use llem_record::event::{FileDigest, ModelRecord, Parallelism, RankRecord};
use std::sync::Arc;
use wasmtime::component::Resource;

/// Longest name that is kept of what a script asks for, in characters. Nothing is called anything longer.
const LONGEST: usize = 4_096;

impl models::HostLoadOptions for State {
    fn new(&mut self) -> wasmtime::Result<Resource<LoadDraft>> {
        self.hand_out(LoadDraft::default())
    }

    fn set_model(&mut self, options: Resource<LoadDraft>, name: String) -> wasmtime::Result<()> {
        self.table.get_mut(&options)?.model = Some(short(name, LONGEST));
        Ok(())
    }

    fn set_dtype(&mut self, options: Resource<LoadDraft>, dtype: String) -> wasmtime::Result<()> {
        self.table.get_mut(&options)?.dtype = Some(short(dtype, LONGEST));
        Ok(())
    }

    fn set_kv_dtype(
        &mut self,
        options: Resource<LoadDraft>,
        dtype: String,
    ) -> wasmtime::Result<()> {
        self.table.get_mut(&options)?.kv_dtype = Some(short(dtype, LONGEST));
        Ok(())
    }

    fn set_device(&mut self, options: Resource<LoadDraft>, device: String) -> wasmtime::Result<()> {
        self.table.get_mut(&options)?.device = Some(short(device, LONGEST));
        Ok(())
    }

    fn set_threads(&mut self, options: Resource<LoadDraft>, threads: u32) -> wasmtime::Result<()> {
        self.table.get_mut(&options)?.threads = Some(threads);
        Ok(())
    }

    fn set_whole_experts(
        &mut self,
        options: Resource<LoadDraft>,
        whole: bool,
    ) -> wasmtime::Result<()> {
        self.table.get_mut(&options)?.whole_experts = Some(whole);
        Ok(())
    }

    fn set_sharded_adapters(
        &mut self,
        options: Resource<LoadDraft>,
        sharded: bool,
    ) -> wasmtime::Result<()> {
        self.table.get_mut(&options)?.sharded_adapters = Some(sharded);
        Ok(())
    }

    fn set_microbatches(
        &mut self,
        options: Resource<LoadDraft>,
        parts: u32,
    ) -> wasmtime::Result<()> {
        self.table.get_mut(&options)?.microbatches = Some(parts);
        Ok(())
    }

    fn set_seed(&mut self, options: Resource<LoadDraft>, seed: u64) -> wasmtime::Result<()> {
        self.table.get_mut(&options)?.seed = Some(seed);
        Ok(())
    }

    fn set_ranks(
        &mut self,
        options: Resource<LoadDraft>,
        tensor: u32,
        pipeline: u32,
        data: u32,
    ) -> wasmtime::Result<()> {
        self.table.get_mut(&options)?.ranks = Some((tensor, pipeline, data));
        Ok(())
    }

    fn drop(&mut self, options: Resource<LoadDraft>) -> wasmtime::Result<()> {
        self.table.delete(options)?;
        Ok(())
    }
}

/// What a script may load.
pub struct Asked {
    /// What it is granted as.
    pub grant: Arc<ModelGrant>,
    /// How to load it.
    pub load: LoadOptions,
}

/// What a script asks to load, held against what was granted. A preset that was not granted itself is loaded as the
/// default model would be.
pub fn options(run: &Run, asked: LoadDraft) -> Result<Asked, Refusal> {
    let models = &run.settings.models;
    let named = asked.model.as_ref().map(|name| (name, models.get(name)));
    let (granted, source) = match named {
        None => (models.default(), models.default().source.clone()),
        Some((_, Some(granted))) => (granted, granted.source.clone()),
        Some((name, None)) => match ModelSource::preset(name) {
            Some(preset) => (models.default(), preset),
            None => {
                return Err(Refusal::NotGranted(format!(
                    "model '{name}' is not granted: add --model {name}"
                )));
            }
        },
    };
    let device = match &asked.device {
        None => granted.device,
        Some(text) => {
            let device = text.parse()?;
            if device != granted.device {
                return Err(Refusal::NotGranted(format!(
                    "device '{text}' is not granted: add --device {text}"
                )));
            }
            device
        }
    };
    let split = split(granted.split, &asked);
    if split.ranks() > granted.max_ranks {
        return Err(Refusal::NotGranted(format!(
            "{} ranks are not granted: add --max-ranks {}",
            split.ranks(),
            split.ranks()
        )));
    }
    let format = |name: &str| name.parse().map_err(llem_engine::Error::from);
    let dtype = asked.dtype.as_deref().map(format).transpose()?;
    let load = LoadOptions {
        source,
        dtype: dtype.or(granted.dtype),
        kv_dtype: asked.kv_dtype.as_deref().map(format).transpose()?,
        device,
        seed: asked.seed.unwrap_or(run.settings.seed),
        split,
        threads: asked.threads.map(|threads| threads as usize),
        rank_timeout: granted.rank_timeout,
        world: granted.world.clone(),
        digests: granted.digests.clone(),
        date: run.settings.date,
    };
    Ok(Asked { grant: Arc::clone(granted), load })
}

/// How a model is split: as was granted, but for what the script says. One whose ranks the script sets is otherwise
/// split as if nothing had been said.
fn split(granted: Split, asked: &LoadDraft) -> Split {
    let mut split = match asked.ranks {
        None => granted,
        Some((tensor, pipeline, data)) => {
            Split::of(tensor as usize, pipeline as usize, data as usize)
        }
    };
    split.experts = asked.whole_experts.unwrap_or(split.experts);
    split.sharded_adapters = asked.sharded_adapters.unwrap_or(split.sharded_adapters);
    split.microbatches = asked.microbatches.map(|parts| parts as usize).or(split.microbatches);
    split
}

/// What a reader must know of how a model is split.
pub fn warning(info: &Info) -> Option<String> {
    let replicas = info.split.data;
    (replicas > 1).then(|| {
        format!(
            "requests are shared by replicas of a model ({replicas}, {}): latencies are those of the smaller batch that each runs, and energy is that of all copies",
            info.split
        )
    })
}

/// A loaded model as the record keeps it.
pub fn model_record(info: &Info, number: u64) -> ModelRecord {
    let Split { tensor, pipeline, data, experts, sharded_adapters, microbatches } = info.split;
    let [tensor, pipeline, data] = [tensor, pipeline, data].map(|count| count as u32);
    let microbatches = microbatches.map(|count| count as u32);
    let rank = |rank: &RankInfo| RankRecord {
        device: rank.place(),
        first_layer: rank.layers.start as u32,
        layers: rank.layers.len() as u32,
        weight_bytes: rank.weight_bytes,
    };
    let file = |file: &llem_engine::FileDigest| FileDigest {
        name: file.name.clone(),
        bytes: file.bytes,
        digest: file.digest.clone(),
    };
    ModelRecord {
        number: Some(number),
        seed: None,
        source: info.source.clone(),
        architecture: info.architecture.clone(),
        digest: info.digest.clone(),
        files: info.files.iter().map(file).collect(),
        parameters: info.parameters,
        weight_bytes: info.weight_bytes,
        decode_weight_bytes: Some(info.decode_weight_bytes),
        dtype: info.dtype.to_string(),
        kv_dtype: Some(info.kv_dtype.to_string()),
        threads: Some(info.threads as u32),
        quantization: info.quantization.clone(),
        device: info.device.to_string(),
        stands_in: info.stands_in,
        parallelism: Parallelism {
            tensor,
            pipeline,
            data,
            experts,
            sharded_adapters,
            microbatches,
        },
        ranks: info.ranks.iter().map(rank).collect(),
        load_ns: info.load_time.as_nanos() as u64,
        digest_ns: info.digest_time.as_nanos() as u64,
    }
}
