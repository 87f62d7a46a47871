//! The resource `load-options` of `models.wit`, how its values are checked against the grants, and the record of a
//! loaded model.

use crate::{
    bindings::models,
    error::{Refusal, shorten},
    grants::ModelGrant,
    resources::LoadOptionsDraft,
    run::RunContext,
    store_data::StoreData,
};
use llem_engine::{LoadOptions, ModelInfo, ModelSource, RankInfo, Split};
use llem_record::{FileDigest, ModelRecord, Parallelism, RankRecord};
use std::sync::Arc;
use wasmtime::component::Resource;

/// The most characters that are stored of a name that a script gives. No valid name is longer.
const LONGEST: usize = 4_096;

impl models::HostLoadOptions for StoreData {
    fn new(&mut self) -> wasmtime::Result<Resource<LoadOptionsDraft>> {
        self.new_handle(LoadOptionsDraft::default())
    }

    fn set_model(
        &mut self,
        options: Resource<LoadOptionsDraft>,
        name: String,
    ) -> wasmtime::Result<()> {
        self.table.get_mut(&options)?.model = Some(shorten(name, LONGEST));
        Ok(())
    }

    fn set_dtype(
        &mut self,
        options: Resource<LoadOptionsDraft>,
        dtype: String,
    ) -> wasmtime::Result<()> {
        self.table.get_mut(&options)?.dtype = Some(shorten(dtype, LONGEST));
        Ok(())
    }

    fn set_kv_dtype(
        &mut self,
        options: Resource<LoadOptionsDraft>,
        dtype: String,
    ) -> wasmtime::Result<()> {
        self.table.get_mut(&options)?.kv_dtype = Some(shorten(dtype, LONGEST));
        Ok(())
    }

    fn set_device(
        &mut self,
        options: Resource<LoadOptionsDraft>,
        device: String,
    ) -> wasmtime::Result<()> {
        self.table.get_mut(&options)?.device = Some(shorten(device, LONGEST));
        Ok(())
    }

    fn set_threads(
        &mut self,
        options: Resource<LoadOptionsDraft>,
        threads: u32,
    ) -> wasmtime::Result<()> {
        self.table.get_mut(&options)?.threads = Some(threads);
        Ok(())
    }

    fn set_whole_experts(
        &mut self,
        options: Resource<LoadOptionsDraft>,
        whole: bool,
    ) -> wasmtime::Result<()> {
        self.table.get_mut(&options)?.whole_experts = Some(whole);
        Ok(())
    }

    fn set_sharded_adapters(
        &mut self,
        options: Resource<LoadOptionsDraft>,
        sharded: bool,
    ) -> wasmtime::Result<()> {
        self.table.get_mut(&options)?.sharded_adapters = Some(sharded);
        Ok(())
    }

    fn set_microbatches(
        &mut self,
        options: Resource<LoadOptionsDraft>,
        parts: u32,
    ) -> wasmtime::Result<()> {
        self.table.get_mut(&options)?.microbatches = Some(parts);
        Ok(())
    }

    fn set_seed(&mut self, options: Resource<LoadOptionsDraft>, seed: u64) -> wasmtime::Result<()> {
        self.table.get_mut(&options)?.seed = Some(seed);
        Ok(())
    }

    fn set_ranks(
        &mut self,
        options: Resource<LoadOptionsDraft>,
        tensor: u32,
        pipeline: u32,
        data: u32,
    ) -> wasmtime::Result<()> {
        self.table.get_mut(&options)?.ranks = Some((tensor, pipeline, data));
        Ok(())
    }

    fn drop(&mut self, options: Resource<LoadOptionsDraft>) -> wasmtime::Result<()> {
        self.table.delete(options)?;
        Ok(())
    }
}

/// A load that was granted.
pub(super) struct GrantedLoad {
    /// The grant that it falls under.
    pub grant: Arc<ModelGrant>,
    pub load: LoadOptions,
}

/// Checks what a script asks to load against the grants. A synthetic preset that was not granted is loaded with the
/// options of the default model.
pub(super) fn granted_load(
    run: &RunContext,
    asked: LoadOptionsDraft,
) -> Result<GrantedLoad, Refusal> {
    let models = &run.settings.models;
    let named = asked.model.as_ref().map(|name| (name, models.get(name)));
    let (granted, source) = match named {
        None => (models.default_model(), models.default_model().source.clone()),
        Some((_, Some(granted))) => (granted, granted.source.clone()),
        Some((name, None)) => match ModelSource::from_preset_name(name) {
            Some(preset) => (models.default_model(), preset),
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
        synthetic: run.settings.synthetic.as_ref().map(|(_, passes)| passes.clone()),
    };
    Ok(GrantedLoad { grant: Arc::clone(granted), load })
}

/// How a model is split: as granted, apart from what the script sets. If the script sets the ranks, the split starts
/// from the engine's defaults instead.
fn split(granted: Split, asked: &LoadOptionsDraft) -> Split {
    let mut split = match asked.ranks {
        None => granted,
        Some((tensor, pipeline, data)) => {
            Split::new(tensor as usize, pipeline as usize, data as usize)
        }
    };
    split.experts = asked.whole_experts.unwrap_or(split.experts);
    split.sharded_adapters = asked.sharded_adapters.unwrap_or(split.sharded_adapters);
    split.microbatches = asked.microbatches.map(|parts| parts as usize).or(split.microbatches);
    split
}

/// A warning for readers about replicas, or `None` if the model has only one.
pub(super) fn replica_warning(info: &ModelInfo) -> Option<String> {
    let replicas = info.split.data;
    (replicas > 1).then(|| {
        format!(
            "requests are shared by replicas of a model ({replicas}, {}): latencies are those of the smaller batch that each runs, and energy is that of all copies",
            info.split
        )
    })
}

/// The record of a loaded model.
pub(super) fn model_record(info: &ModelInfo, number: u64) -> ModelRecord {
    let Split { tensor, pipeline, data, experts, sharded_adapters, microbatches } = info.split;
    let [tensor, pipeline, data] = [tensor, pipeline, data].map(|count| count as u32);
    let microbatches = microbatches.map(|count| count as u32);
    let rank = |rank: &RankInfo| RankRecord {
        device: rank.device_name(),
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
        kv_bytes_per_token: Some(info.kv_bytes_per_token),
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
