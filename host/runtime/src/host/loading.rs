//! `engine.wit`, loading a model: what a script asks for, held against what was granted, and what is then
//! known of the model.

use crate::{bindings::engine, error::Refusal, grants::ModelGrant, run::Run};
use llem_engine::{Info, LoadOptions, ModelSource, Split, model::RankInfo};
use llem_record::event::{FileDigest, ModelRecord, Parallelism, RankRecord};
use std::sync::Arc;

/// What a script may load.
pub struct Asked {
    /// What it is granted as.
    pub grant: Arc<ModelGrant>,
    /// How to load it.
    pub load: LoadOptions,
}

/// What a script asks to load, held against what was granted.
/// A preset that was not granted itself is loaded as the default model would be.
pub fn options(run: &Run, options: engine::LoadOptions) -> Result<Asked, Refusal> {
    let models = &run.settings.models;
    let named = options.source.as_ref().map(|name| (name, models.get(name)));
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
    let device = match options.device {
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
    let split = options.parallelism.map_or(granted.split, Into::into);
    if split.ranks() > granted.max_ranks {
        return Err(Refusal::NotGranted(format!(
            "{} ranks are not granted: add --max-ranks {}",
            split.ranks(),
            split.ranks()
        )));
    }
    let load = LoadOptions {
        source,
        dtype: options.dtype.map(Into::into).or(granted.dtype),
        device,
        seed: options.seed.unwrap_or(run.settings.seed),
        split,
        rank_timeout: granted.rank_timeout,
        world: granted.world.clone(),
        digests: granted.digests.clone(),
    };
    Ok(Asked { grant: Arc::clone(granted), load })
}

impl From<engine::Parallelism> for Split {
    fn from(asked: engine::Parallelism) -> Self {
        Self {
            tensor: asked.tensor as usize,
            pipeline: asked.pipeline as usize,
            data: asked.data as usize,
            experts: asked.experts,
            sharded_adapters: asked.sharded_adapters,
            microbatches: asked.microbatches.map(|count| count as usize),
        }
    }
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
pub fn model_record(info: &Info, number: Option<u64>) -> ModelRecord {
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
        number,
        seed: None,
        source: info.source.clone(),
        architecture: info.architecture.clone(),
        digest: info.digest.clone(),
        files: info.files.iter().map(file).collect(),
        parameters: info.parameters,
        weight_bytes: info.weight_bytes,
        decode_weight_bytes: Some(info.decode_weight_bytes),
        dtype: info.dtype.to_string(),
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

/// A loaded model as the guest sees it.
pub fn model_info(info: &Info) -> engine::ModelInfo {
    let (shape, record) = (&info.shape, model_record(info, None));
    let Parallelism { tensor, pipeline, data, experts, sharded_adapters, microbatches } =
        record.parallelism;
    let parallelism =
        engine::Parallelism { tensor, pipeline, data, experts, sharded_adapters, microbatches };
    let rank = |RankRecord { device, first_layer, layers, weight_bytes }| engine::Rank {
        device,
        first_layer,
        layers,
        weight_bytes,
    };
    engine::ModelInfo {
        source: record.source,
        architecture: record.architecture,
        digest: record.digest,
        parameters: info.parameters,
        weight_bytes: info.weight_bytes,
        decode_weight_bytes: info.decode_weight_bytes,
        dtype: info.dtype.into(),
        quantization: record.quantization,
        device: record.device,
        parallelism,
        ranks: record.ranks.into_iter().map(rank).collect(),
        context_length: shape.context as u32,
        vocab_size: shape.vocab as u32,
        layers: shape.layers as u32,
        hidden_size: shape.hidden as u32,
        heads: shape.heads as u32,
        kv_heads: shape.kv_heads as u32,
        experts: shape.experts.map_or(0, |experts| experts.count as u32),
        kv_bytes_per_token: info.kv_bytes_per_token,
        eos_tokens: info.eos.clone(),
        has_tokenizer: info.has_tokenizer,
        load_time: record.load_ns,
    }
}
