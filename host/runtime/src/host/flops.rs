//! `flops.wit`: operations from the model's shape.

use super::{engine::LoadedModel, types::Answer};
use crate::{
    bindings::{flops, types},
    state::State,
};
use llem_engine::flops::{Components, Count, Counted, Logits, active_parameters, decode_passes};
use wasmtime::component::Resource;

impl flops::Host for State {
    fn estimate(
        &mut self,
        model: Resource<LoadedModel>,
        shape: flops::Shape,
    ) -> Answer<flops::Estimated> {
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
        let logits = match shape.logits {
            flops::Logits::Last => Logits::Last,
            flops::Logits::All => Logits::All,
        };
        let batch = f64::from(shape.batch);
        let count = |by: Count| {
            let counted = Counted::new(decoder, adapter).by(by);
            let (prefill, decode) = counted.generation(prompt, output, logits);
            let [prefill, decode] = [prefill * batch, decode * batch];
            flops::Count {
                total: prefill.total() + decode.total(),
                prefill: components(&prefill),
                decode: components(&decode),
            }
        };
        let doubled = 2.0 * active_parameters(decoder) * batch;
        Ok(Ok(flops::Estimated {
            needed: count(Count::Needed),
            executed: count(Count::Executed),
            approximation: flops::Approximation {
                active_parameters: active_parameters(decoder),
                prefill: doubled * prompt as f64,
                decode: doubled * decode_passes(output) as f64,
            },
        }))
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
