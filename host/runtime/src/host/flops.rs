//! The interface `flops.wit`: operations counted from the model's shape.

use super::types::HostResult;
use crate::{
    bindings::flops,
    error::{Refusal, shorten},
    loaded_model::LoadedModel,
    resources::{FlopCounts, FlopShape},
    store_data::StoreData,
};
use llem_engine::flops::{
    ComponentFlops, FlopCounter, LogitPositions, ModuleFlops, PhaseFlops, RequestShape,
    active_parameters,
};
use wasmtime::component::Resource;

/// The most characters that are stored of an adapter's name.
const NAME: usize = 4_096;

impl flops::Host for StoreData {}

impl flops::HostShape for StoreData {
    fn new(
        &mut self,
        batch: u32,
        prompt_tokens: u32,
        new_tokens: u32,
    ) -> wasmtime::Result<Resource<FlopShape>> {
        let (logits, adapter) = (LogitPositions::Last, None);
        self.new_handle(FlopShape { batch, prompt_tokens, new_tokens, logits, adapter })
    }

    fn set_all_logits(&mut self, shape: Resource<FlopShape>, all: bool) -> wasmtime::Result<()> {
        self.table.get_mut(&shape)?.logits =
            if all { LogitPositions::All } else { LogitPositions::Last };
        Ok(())
    }

    fn set_adapter(
        &mut self,
        shape: Resource<FlopShape>,
        name: Option<String>,
    ) -> wasmtime::Result<()> {
        self.table.get_mut(&shape)?.adapter = name.map(|name| shorten(name, NAME));
        Ok(())
    }

    fn drop(&mut self, shape: Resource<FlopShape>) -> wasmtime::Result<()> {
        self.table.delete(shape)?;
        Ok(())
    }
}

impl flops::HostEstimate for StoreData {
    fn of(
        &mut self,
        model: Resource<LoadedModel>,
        shape: Resource<FlopShape>,
    ) -> HostResult<Resource<FlopCounts>> {
        let counted = count(self.table.get(&model)?, self.table.get(&shape)?);
        self.reply_handle(counted)
    }

    fn needed(&mut self, estimate: Resource<FlopCounts>) -> wasmtime::Result<Vec<flops::Part>> {
        Ok(parts(&self.table.get(&estimate)?.estimated.needed))
    }

    fn executed(&mut self, estimate: Resource<FlopCounts>) -> wasmtime::Result<Vec<flops::Part>> {
        Ok(parts(&self.table.get(&estimate)?.estimated.executed))
    }

    fn modules(&mut self, estimate: Resource<FlopCounts>) -> wasmtime::Result<Vec<flops::Part>> {
        let part = |module: &ModuleFlops| flops::Part {
            name: module.name.clone(),
            prefill: module.prefill,
            decode: module.decode,
        };
        Ok(self.table.get(&estimate)?.modules.iter().map(part).collect())
    }

    fn approximation(
        &mut self,
        estimate: Resource<FlopCounts>,
    ) -> wasmtime::Result<flops::Approximation> {
        let FlopCounts { estimated, active_parameters, .. } = self.table.get(&estimate)?;
        let ([prefill, decode], active_parameters) = (estimated.doubled, *active_parameters);
        Ok(flops::Approximation { active_parameters, prefill, decode })
    }

    fn drop(&mut self, estimate: Resource<FlopCounts>) -> wasmtime::Result<()> {
        self.table.delete(estimate)?;
        Ok(())
    }
}

fn count(loaded: &LoadedModel, shape: &FlopShape) -> Result<FlopCounts, Refusal> {
    let decoder = &loaded.thread.info().shape;
    let (prompt, output) = (shape.prompt_tokens as usize, shape.new_tokens as usize);
    if shape.batch == 0 || prompt == 0 {
        let reason = "batch and prompt-tokens must be at least 1".to_owned();
        return Err(Refusal::InvalidArgument(reason));
    }
    if prompt + output > decoder.context {
        return Err(Refusal::InvalidArgument(format!(
            "{prompt} + {output} tokens do not fit the context of {}",
            decoder.context
        )));
    }
    let adapter = shape.adapter.as_ref().map(|name| loaded.adapters.find(name)).transpose()?;
    let workload =
        RequestShape { batch: shape.batch as usize, prompt, output, logits: shape.logits };
    let factors = FlopCounter::new(decoder, adapter).adapter;
    Ok(FlopCounts {
        estimated: workload.estimate(decoder, factors),
        active_parameters: active_parameters(decoder),
        modules: workload.by_module(decoder, factors),
    })
}

fn parts(phases: &PhaseFlops) -> Vec<flops::Part> {
    let named = |of: &ComponentFlops| {
        [
            ("attention-projections", of.attention_projections),
            ("attention", of.attention),
            ("mlp", of.mlp),
            ("lm-head", of.lm_head),
            ("adapter", of.adapter),
        ]
    };
    let pairs = named(&phases.prefill).into_iter().zip(named(&phases.decode));
    pairs
        .map(|((name, prefill), (_, decode))| flops::Part {
            name: name.to_owned(),
            prefill,
            decode,
        })
        .collect()
}
