//! Floating-point operations, computed from the model's shape. A multiply-add counts as two operations. Only matrix
//! products count, as in the literature (Kaplan et al., arXiv 2001.08361, table 1).

use crate::{Result, bindings::flops, model::Model};

pub use flops::{Approximation, Part};

/// The shape of a static batch of equal sequences.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The number of sequences.
    pub batch: u32,
    /// The prompt tokens of each sequence.
    pub prompt_tokens: u32,
    /// The new tokens of each sequence. The first comes from prefill, and each later one is a decode step.
    pub new_tokens: u32,
    /// Whether logits are computed for all positions of a prompt, as eager frameworks do by default. Otherwise only the
    /// last position has logits.
    pub all_logits: bool,
    /// The attached adapter. `None` means the base weights.
    pub adapter: Option<String>,
}

impl Shape {
    /// Creates a shape on the base weights, with logits for the last position of a prompt only.
    pub fn new(batch: u32, prompt_tokens: u32, new_tokens: u32) -> Self {
        Self { batch, prompt_tokens, new_tokens, all_logits: false, adapter: None }
    }
}

/// The operations of a request, counted in several ways.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Estimate {
    /// The operations that the result needs: attention counts the keys that each query sees.
    pub needed: FlopsByPart,
    /// The operations that eager frameworks run: attention over all keys, masked afterwards.
    pub executed: FlopsByPart,
    /// The executed operations of each module, by its name in transformers.
    pub modules: FlopsByPart,
    /// The well-known approximation: two operations for each parameter and token.
    pub approximation: Approximation,
}

/// Operations by part of the model, in FLOP.
///
/// ```
/// use llem_sdk::flops::{FlopsByPart, Part};
///
/// let part = |name: &str, prefill, decode| Part { name: name.to_owned(), prefill, decode };
/// let flops = FlopsByPart(vec![part("mlp", 6e9, 2e9), part("attention", 1e9, 5e8)]);
/// assert_eq!(flops.prefill("mlp"), 6e9);
/// assert_eq!(flops.decode("adapter"), 0.0);
/// assert_eq!(flops.total(), 9.5e9);
/// ```
#[derive(Clone, Debug)]
pub struct FlopsByPart(pub Vec<Part>);

impl FlopsByPart {
    /// Returns the operations of prompt processing in a part: `attention-projections`, `attention`, `mlp`, `lm-head`,
    /// `adapter`, or a module. Returns 0 if there is no such part.
    pub fn prefill(&self, name: &str) -> f64 {
        self.part(name).map_or(0.0, |part| part.prefill)
    }

    /// Returns the operations of all decode steps in a part. Returns 0 if there is no such part.
    pub fn decode(&self, name: &str) -> f64 {
        self.part(name).map_or(0.0, |part| part.decode)
    }

    /// Returns the operations of all parts, prefill and decode together.
    pub fn total(&self) -> f64 {
        self.0.iter().map(|part| part.prefill + part.decode).sum()
    }

    fn part(&self, name: &str) -> Option<&Part> {
        self.0.iter().find(|part| part.name == name)
    }
}

/// Counts the operations of a request shape on a loaded model. Fails with `invalid-argument` if the shape does not fit
/// the context, and with `not-found` if the adapter is not attached.
pub fn estimate(model: &Model, shape: &Shape) -> Result<Estimate> {
    let on_host = flops::Shape::new(shape.batch, shape.prompt_tokens, shape.new_tokens);
    on_host.set_all_logits(shape.all_logits);
    on_host.set_adapter(shape.adapter.as_deref());
    let estimate = flops::Estimate::of(model.resource(), &on_host)?;
    Ok(Estimate {
        needed: FlopsByPart(estimate.needed()),
        executed: FlopsByPart(estimate.executed()),
        modules: FlopsByPart(estimate.modules()),
        approximation: estimate.approximation(),
    })
}
