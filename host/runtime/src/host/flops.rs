//! `flops.wit`: operations from the model's shape.

use super::types::Told;
use crate::{
    bindings::{flops, types},
    models::LoadedModel,
    state::State,
};
use llem_engine::flops::{Components, Counted, Logits, Phases, Workload, active_parameters};
use wasmtime::component::Resource;

impl flops::Host for State {
    fn estimate(
        &mut self,
        model: Resource<LoadedModel>,
        shape: flops::Shape,
    ) -> Told<flops::Estimated> {
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
            Err(refusal) => return Ok(Err(refusal.into())),
        };
        let logits = match shape.logits {
            flops::Logits::Last => Logits::Last,
            flops::Logits::All => Logits::All,
        };
        let workload = Workload { batch: shape.batch as usize, prompt, output, logits };
        let estimated = workload.estimate(decoder, Counted::new(decoder, adapter).adapter);
        let [prefill, decode] = estimated.doubled;
        Ok(Ok(flops::Estimated {
            needed: count(&estimated.needed),
            executed: count(&estimated.executed),
            approximation: flops::Approximation {
                active_parameters: active_parameters(decoder),
                prefill,
                decode,
            },
        }))
    }
}

fn count(phases: &Phases) -> flops::Count {
    flops::Count {
        prefill: components(&phases.prefill),
        decode: components(&phases.decode),
        total: phases.prefill.total() + phases.decode.total(),
    }
}

fn components(count: &Components) -> flops::Components {
    flops::Components {
        attention_projections: count.attention_projections,
        attention: count.attention,
        mlp: count.mlp,
        lm_head: count.lm_head,
        adapter: count.adapter,
    }
}
