//! Floating-point operations from the model's shape. A multiply-add counts as two. Matrix products only, as the
//! literature counts (Kaplan et al., arXiv 2001.08361, table 1).

use crate::{Result, bindings::flops, model::Model};

pub use flops::{Approximation, Part};

/// A static batch of equal sequences.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Sequences.
    pub batch: u32,
    /// Prompt tokens of each.
    pub prompt_tokens: u32,
    /// New tokens of each: the first comes from prefill, each later one is a decode step.
    pub new_tokens: u32,
    /// Whether the logits of all positions of a prompt are computed, as eager frameworks do by default.
    pub all_logits: bool,
    /// The attached adapter that it runs with; none means the base weights.
    pub adapter: Option<String>,
}

impl Shape {
    /// So many sequences, prompt tokens and new tokens of each, on the base weights.
    pub fn new(batch: u32, prompt_tokens: u32, new_tokens: u32) -> Self {
        Self { batch, prompt_tokens, new_tokens, all_logits: false, adapter: None }
    }
}

/// A request counted in several ways.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Estimate {
    /// What the result takes: attention over the keys that each query sees.
    pub needed: Parts,
    /// What eager frameworks run: attention over all keys, masked afterwards.
    pub executed: Parts,
    /// The same, module by module, by its name in transformers.
    pub modules: Parts,
    /// Twice the parameters for each token.
    pub approximation: Approximation,
}

/// Operations by part of the model, FLOP.
#[derive(Clone, Debug)]
pub struct Parts(pub Vec<Part>);

impl Parts {
    /// Of prompt processing, in the part of this name: `attention-projections`, `attention`, `mlp`, `lm-head`, `adapter`, or
    /// a module's. 0 where there is none.
    pub fn prefill(&self, name: &str) -> f64 {
        self.part(name).map_or(0.0, |part| part.prefill)
    }

    /// Of all decode steps, in the part of this name. 0 where there is none.
    pub fn decode(&self, name: &str) -> f64 {
        self.part(name).map_or(0.0, |part| part.decode)
    }

    /// Of all parts.
    pub fn total(&self) -> f64 {
        self.0.iter().map(|part| part.prefill + part.decode).sum()
    }

    fn part(&self, name: &str) -> Option<&Part> {
        self.0.iter().find(|part| part.name == name)
    }
}

/// Counts a request shape on a loaded model. Fails with `invalid-argument` where the shape does not fit the context, and
/// with `not-found` where no such adapter is attached.
pub fn estimate(model: &Model, shape: &Shape) -> Result<Estimate> {
    let on_host = flops::Shape::new(shape.batch, shape.prompt_tokens, shape.new_tokens);
    on_host.set_all_logits(shape.all_logits);
    on_host.set_adapter(shape.adapter.as_deref());
    let estimate = flops::Estimate::of(model.resource(), &on_host)?;
    Ok(Estimate {
        needed: Parts(estimate.needed()),
        executed: Parts(estimate.executed()),
        modules: Parts(estimate.modules()),
        approximation: estimate.approximation(),
    })
}
