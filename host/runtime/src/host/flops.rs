//! `flops.wit`: operations from the model's shape.

use super::{engine::LoadedModel, types::Answer};
use crate::{
    bindings::{flops, types},
    state::State,
};
use llem_engine::flops::{Components, Counted, Logits};
use wasmtime::component::Resource;

impl flops::Host for State {
    fn estimate(
        &mut self,
        model: Resource<LoadedModel>,
        shape: flops::Shape,
    ) -> Answer<flops::Count> {
        let loaded = self.table.get(&model)?;
        let decoder = &loaded.thread.info().shape;
        let (prompt, output) = (shape.prompt_tokens as usize, shape.new_tokens as usize);
        if shape.batch == 0 || prompt == 0 {
            return Ok(Err(types::Error::InvalidArgument(
                "batch and prompt-tokens must be at least 1".to_owned(),
            )));
        }
        if prompt + output > decoder.context {
            return Ok(Err(types::Error::InvalidArgument(format!(
                "{prompt} + {output} tokens do not fit the context of {}",
                decoder.context
            ))));
        }
        let adapter = match shape.adapter.map(|name| loaded.adapters.find(&name)).transpose() {
            Ok(adapter) => adapter,
            Err(error) => return Ok(Err(error)),
        };
        let (prefill, decode) =
            Counted::new(decoder, adapter).generation(prompt, output, Logits::Last);
        let batch = f64::from(shape.batch);
        Ok(Ok(flops::Count {
            total: (prefill.total() + decode.total()) * batch,
            prefill: components(&prefill, batch),
            decode: components(&decode, batch),
        }))
    }
}

fn components(one: &Components, batch: f64) -> flops::Components {
    flops::Components {
        attention_projections: one.attention_projections * batch,
        attention: one.attention * batch,
        mlp: one.mlp * batch,
        lm_head: one.lm_head * batch,
        adapter: one.adapter * batch,
    }
}
