//! `engine.wit`, loading a model: what a script asks for, held against what was granted, and what is then
//! known of the model.

use crate::{bindings::engine, error::Refusal, run::Run};
use llem_engine::{Info, LoadOptions, ModelSource, Split, model::RankInfo};
use llem_record::event::{FileDigest, ModelRecord, Parallelism, RankRecord};

/// What a script asks to load, held against what was granted.
pub fn options(run: &Run, options: engine::LoadOptions) -> Result<LoadOptions, Refusal> {
    let granted = &run.settings.model;
    let source = match options.source {
        None => granted.source.clone(),
        Some(name) if granted.source.is_called(&name) => granted.source.clone(),
        Some(name) => ModelSource::preset(&name).ok_or_else(|| {
            Refusal::NotGranted(format!("model '{name}' is not granted: add --model {name}"))
        })?,
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
    Ok(LoadOptions {
        source,
        dtype: options.dtype.map(Into::into).or(granted.dtype),
        kv_dtype: None,
        device,
        seed: options.seed.unwrap_or(run.settings.seed),
        split,
        threads: None,
        rank_timeout: granted.rank_timeout,
        world: granted.world.clone(),
        digests: granted.digests.clone(),
    })
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
