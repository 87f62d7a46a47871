//! Floating-point operations from a model's shape.
//!
//! Matrix products only, a multiply-add counted as two (Kaplan et al., arXiv 2001.08361, table 1);
//! embeddings look up and cost none. Attention is counted over the keys that each query really sees
//! (causal, and within a layer's window), of experts those that a token goes to with their router, and
//! the LM head only for positions whose logits are needed. An unmerged adapter's factors are counted by
//! themselves.

use crate::{
    adapters::{Adapted, AdapterFlops},
    families::Shape,
};

/// Operations of one phase, FLOP.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Components {
    /// Q, K, V and O projections.
    pub attention_projections: f64,
    /// Scores and weighted values.
    pub attention: f64,
    /// MLP projections.
    pub mlp: f64,
    /// LM head.
    pub lm_head: f64,
    /// Factors of an unmerged adapter.
    pub adapter: f64,
}

impl Components {
    /// Their sum.
    pub fn total(&self) -> f64 {
        self.attention_projections + self.attention + self.mlp + self.lm_head + self.adapter
    }

    /// Both.
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            attention_projections: self.attention_projections + other.attention_projections,
            attention: self.attention + other.attention,
            mlp: self.mlp + other.mlp,
            lm_head: self.lm_head + other.lm_head,
            adapter: self.adapter + other.adapter,
        }
    }
}

/// What is computed with: a model's shape, and the adapter that is multiplied beside it.
#[derive(Clone, Copy)]
pub struct Counted<'a> {
    /// The model's shape.
    pub shape: &'a Shape,
    /// What the adapter adds.
    pub adapter: AdapterFlops,
}

impl<'a> Counted<'a> {
    /// A model, with what a sequence runs with. A merged adapter costs nothing.
    pub fn new(shape: &'a Shape, adapted: Option<&Adapted>) -> Self {
        let attached = adapted.and_then(Adapted::attached);
        Self { shape, adapter: attached.map_or_else(Default::default, |adapter| adapter.flops) }
    }
}

/// A forward pass of one sequence: `new` tokens after `past` cached ones, logits of `logits` rows.
pub fn pass(counted: Counted<'_>, new: usize, past: usize, logits: usize) -> Components {
    let Counted { shape, adapter } = counted;
    let tokens = new as f64;
    let [hidden, inner, vocab] =
        [shape.hidden, shape.intermediate, shape.vocab].map(|width| width as f64);
    let queries = (shape.heads * shape.head_dim) as f64;
    let keys = (shape.kv_heads * shape.head_dim) as f64;
    let matrices = if shape.is_gated() { 3.0 } else { 2.0 };
    let mut sum = Components {
        lm_head: 2.0 * logits as f64 * hidden * vocab,
        adapter: tokens * adapter.per_token + logits as f64 * adapter.per_logits,
        ..Default::default()
    };
    for layer in &shape.layer_kinds {
        sum.attention_projections += 2.0 * tokens * hidden * (2.0 * queries + 2.0 * keys);
        sum.attention += 2.0 * 2.0 * pairs(new, past, layer.window) * queries;
        sum.mlp += 2.0
            * tokens
            * hidden
            * match shape.experts.filter(|_| layer.experts) {
                Some(experts) => {
                    let active = (experts.active * experts.intermediate) as f64;
                    experts.count as f64 + 3.0 * active
                }
                None => matrices * inner,
            };
    }
    sum
}

/// Pairs of query and key: query i of the new ones sees the `past + i + 1` keys up to its own, or the
/// last `window` of them.
fn pairs(new: usize, past: usize, window: Option<usize>) -> f64 {
    let triangle = |count: usize| count as f64 * (count as f64 + 1.0) / 2.0;
    // Queries whose view is not cut, and those whose is.
    let whole = window.map_or(new, |window| window.saturating_sub(past).min(new));
    let seen = triangle(past + whole) - triangle(past);
    seen + (new - whole) as f64 * window.unwrap_or_default() as f64
}

/// Prefill and decode of one sequence that generates `output` tokens after `prompt`. The first
/// token comes from prefill; each later one is a pass of its own.
pub fn generation(counted: Counted<'_>, prompt: usize, output: usize) -> (Components, Components) {
    let prefill = pass(counted, prompt, 0, 1);
    let decode = (1..output)
        .map(|step| pass(counted, 1, prompt + step - 1, 1))
        .fold(Components::default(), |sum, step| sum.plus(&step));
    (prefill, decode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{families, load::synthetic::Preset};

    #[test]
    fn windows_cut_what_a_query_sees() {
        // Positions 0 to 4 see 1, 2, 3, 3 and 3 keys.
        assert_eq!(pairs(5, 0, Some(3)), 12.0);
        assert_eq!(pairs(2, 3, Some(3)), 6.0);
        assert_eq!(pairs(5, 0, None), 15.0);
        assert_eq!(pairs(1, 9, None), 10.0);
    }

    // 2 x parameters x tokens is the well-known approximation; with a one-token prompt, where
    // attention is negligible, the exact count must meet it.
    #[test]
    fn one_token_costs_twice_the_parameters() {
        let config = Preset::Named("llama-3.1-8b").config().expect("the preset parses");
        let shape = families::shape(&config).expect("the preset is a Llama");
        let embedding = (shape.vocab * shape.hidden) as f64;
        let matmul_parameters = 8.030e9 - embedding;
        let counted = pass(Counted::new(&shape, None), 1, 0, 1).total();
        assert!((counted / (2.0 * matmul_parameters) - 1.0).abs() < 1e-3, "{counted}");
    }
}
