//! Floating-point operations from a model's shape: matrix products only, a multiply-add counted as two
//! (Kaplan et al., arXiv 2001.08361, table 1). Embeddings look up and cost none; of experts those count
//! that a token goes to, with their router; an unmerged adapter's factors count by themselves.
//!
//! Two counts stand side by side, for they differ in attention:
//!
//! | count | keys that a query is multiplied with |
//! |---|---|
//! | needed | those that it sees: causal, real lengths, the last `window` of a windowed layer |
//! | executed | all of its pass and its cache, masked afterwards, as eager frameworks run it |
//!
//! The executed count is what torch's `FlopCounterMode` counts on transformers' models with eager attention.

mod modules;

pub use modules::{ADAPTER, ModuleFlops};

use crate::adapters::{Adapted, AdapterFlops};
use llem_checkpoint::families::{LayerKind, Shape};
use std::ops::{Add, Mul};

/// Operations of a pass or of a phase, FLOP.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Components {
    /// Q, K, V and O projections.
    pub attention_projections: f64,
    /// Scores and weighted values.
    pub attention: f64,
    /// MLP projections, experts and their router.
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
}

impl Add for Components {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            attention_projections: self.attention_projections + other.attention_projections,
            attention: self.attention + other.attention,
            mlp: self.mlp + other.mlp,
            lm_head: self.lm_head + other.lm_head,
            adapter: self.adapter + other.adapter,
        }
    }
}

impl Mul<f64> for Components {
    type Output = Self;

    fn mul(self, factor: f64) -> Self {
        Self {
            attention_projections: self.attention_projections * factor,
            attention: self.attention * factor,
            mlp: self.mlp * factor,
            lm_head: self.lm_head * factor,
            adapter: self.adapter * factor,
        }
    }
}

/// Which operations count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Those that the result takes.
    Needed,
    /// Those that an eager framework runs.
    Executed,
}

/// Which positions of a prompt have their logits computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logits {
    /// The last, which is all that generation takes.
    Last,
    /// All, as a training pass has them and eager frameworks by default.
    All,
}

impl Logits {
    /// Rows of the LM head's product in a pass of `tokens`.
    pub fn rows(self, tokens: usize) -> usize {
        match self {
            Self::Last => tokens.min(1),
            Self::All => tokens,
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
    /// Which operations count.
    pub count: Count,
}

impl<'a> Counted<'a> {
    /// What a model needs with what a sequence runs with. A merged adapter costs nothing.
    pub fn new(shape: &'a Shape, adapted: Option<&Adapted>) -> Self {
        let attached = adapted.and_then(Adapted::attached);
        let adapter = attached.map_or_else(Default::default, |adapter| adapter.flops);
        Self { shape, adapter, count: Count::Needed }
    }

    /// A forward pass of one sequence: `new` tokens after `past` cached ones, logits of `logits` rows.
    pub fn pass(&self, new: usize, past: usize, logits: usize) -> Components {
        let Self { shape, adapter, count } = self;
        let tokens = new as f64;
        let [hidden, vocab] = [shape.hidden, shape.vocab].map(|width| width as f64);
        let queries = (shape.heads * shape.head_dim) as f64;
        let keys = (shape.kv_heads * shape.head_dim) as f64;
        let mut sum = Components {
            lm_head: 2.0 * logits as f64 * hidden * vocab,
            adapter: tokens * adapter.per_token + logits as f64 * adapter.per_logits,
            ..Default::default()
        };
        for layer in &shape.layer_kinds {
            sum.attention_projections += 2.0 * tokens * hidden * (2.0 * queries + 2.0 * keys);
            let pairs = match count {
                Count::Needed => seen(new, past, layer.window),
                Count::Executed => executed(new, past, layer.window),
            };
            sum.attention += 2.0 * 2.0 * pairs * queries;
            sum.mlp += 2.0 * tokens * mlp_numbers(shape, layer);
        }
        sum
    }

    /// Prefill and decode of one sequence that generates `output` tokens after `prompt`. The first
    /// token comes from prefill; each later one is a pass of its own, [`decode_passes`] of them.
    pub fn generation(
        &self,
        prompt: usize,
        output: usize,
        logits: Logits,
    ) -> (Components, Components) {
        let prefill = self.pass(prompt, 0, logits.rows(prompt));
        let decode = (0..decode_passes(output))
            .map(|step| self.pass(1, prompt + step, 1))
            .fold(Components::default(), Components::add);
        (prefill, decode)
    }
}

/// A static batch of equal sequences.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// Sequences.
    pub batch: usize,
    /// Prompt length of each, tokens.
    pub prompt: usize,
    /// Tokens that each generates; the first comes from prefill.
    pub output: usize,
    /// Positions of the prompt whose logits are computed.
    pub logits: Logits,
}

/// Operations of both phases, FLOP.
#[derive(Clone, Copy, Debug)]
pub struct Phases {
    /// Prompt processing, to the first token.
    pub prefill: Components,
    /// All decode steps.
    pub decode: Components,
}

/// A workload counted three ways.
#[derive(Clone, Copy, Debug)]
pub struct Estimated {
    /// By [`Count::Needed`].
    pub needed: Phases,
    /// By [`Count::Executed`].
    pub executed: Phases,
    /// By twice the [`active_parameters`] a token: prefill and decode.
    pub doubled: [f64; 2],
}

impl Workload {
    /// Tokens that prefill and decode run.
    pub fn tokens(&self) -> [f64; 2] {
        [self.prompt, decode_passes(self.output)].map(|tokens| (tokens * self.batch) as f64)
    }

    /// What it costs on a model, with what an adapter adds.
    pub fn estimate(&self, shape: &Shape, adapter: AdapterFlops) -> Estimated {
        let batch = self.batch as f64;
        let phases = |count| {
            let counted = Counted { shape, adapter, count };
            let (prefill, decode) = counted.generation(self.prompt, self.output, self.logits);
            Phases { prefill: prefill * batch, decode: decode * batch }
        };
        let doubled = 2.0 * active_parameters(shape);
        Estimated {
            needed: phases(Count::Needed),
            executed: phases(Count::Executed),
            doubled: self.tokens().map(|tokens| doubled * tokens),
        }
    }
}

/// Passes after prefill that generate `output` tokens.
pub fn decode_passes(output: usize) -> usize {
    output.saturating_sub(1)
}

/// Numbers that a token is multiplied with or scaled by in a pass, which doubled are the well-known
/// approximation 2N of its operations: all but embeddings and LM head, of experts those that it goes to
/// (N of Kaplan et al., arXiv 2001.08361, section 2.1, which leaves out vocabulary and positions).
pub fn active_parameters(shape: &Shape) -> f64 {
    let [hidden, heads, kv_heads, head] =
        [shape.hidden, shape.heads, shape.kv_heads, shape.head_dim].map(|width| width as f64);
    let attention = hidden * 2.0 * (heads + kv_heads) * head;
    let layers = shape.layer_kinds.iter();
    layers.map(|layer| attention + mlp_numbers(shape, layer)).sum()
}

/// Numbers of a layer's MLP that a token is multiplied with.
fn mlp_numbers(shape: &Shape, layer: &LayerKind) -> f64 {
    let hidden = shape.hidden as f64;
    match shape.experts.filter(|_| layer.experts) {
        Some(experts) => {
            let active = (experts.active * experts.intermediate) as f64;
            hidden * (experts.count as f64 + 3.0 * active)
        }
        None => {
            let matrices = if shape.is_gated() { 3.0 } else { 2.0 };
            hidden * matrices * shape.intermediate as f64
        }
    }
}

/// Pairs of query and key: query i of the new ones sees the `past + i + 1` keys up to its own, or the
/// last `window` of them.
fn seen(new: usize, past: usize, window: Option<usize>) -> f64 {
    let triangle = |count: usize| count as f64 * (count as f64 + 1.0) / 2.0;
    // Queries whose view is not cut, and those whose is.
    let whole = window.map_or(new, |window| window.saturating_sub(past).min(new));
    let seen = triangle(past + whole) - triangle(past);
    seen + (new - whole) as f64 * window.unwrap_or_default() as f64
}

/// The same pairs as an eager framework multiplies them: each of the new ones with all of its pass and its cache.
fn executed(new: usize, past: usize, window: Option<usize>) -> f64 {
    new as f64 * (new + kept(past, window)) as f64
}

/// Keys that a cache keeps of `past` ones: a windowed layer's next query sees `window - 1` of them
/// (transformers' `DynamicSlidingWindowLayer`).
fn kept(past: usize, window: Option<usize>) -> usize {
    window.map_or(past, |window| past.min(window.saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use llem_checkpoint::presets::Preset;
    use serde_json::Value;
    use std::path::Path;

    pub(super) fn fixtures() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures")
    }

    // What torch counted, pass by pass (tests/fixtures/make-flops).
    #[test]
    fn executed_operations_are_those_that_torch_counts() {
        let text = std::fs::read_to_string(fixtures().join("flops.json")).expect("the fixture");
        let expected: Value = serde_json::from_str(&text).expect("JSON");
        let models = expected["models"].as_object().expect("models");
        assert!(models.len() >= 30, "{} models", models.len());
        let batch = expected["batch"].as_f64().expect("a batch");
        let prompt = expected["prompt_tokens"].as_u64().expect("a prompt") as usize;
        for (folder, counts) in models {
            let config = fixtures().join(folder).join("config.json");
            let (_, shape) = Preset::ConfigFile(config).config().expect("a config");
            let counted = Counted { count: Count::Executed, ..Counted::new(&shape, None) };
            let prefill = counted.pass(prompt, 0, Logits::All.rows(prompt)).total() * batch;
            assert_eq!(Some(prefill), counts["prefill"].as_f64(), "prefill of {folder}");
            for (step, theirs) in counts["steps"].as_array().expect("steps").iter().enumerate() {
                let ours = counted.pass(1, prompt + step, 1).total() * batch;
                assert_eq!(Some(ours), theirs.as_f64(), "decode step {step} of {folder}");
            }
        }
    }

    #[test]
    fn windows_cut_what_a_query_sees() {
        // Positions 0 to 4 see 1, 2, 3, 3 and 3 keys.
        assert_eq!(seen(5, 0, Some(3)), 12.0);
        assert_eq!(seen(2, 3, Some(3)), 6.0);
        assert_eq!(seen(5, 0, None), 15.0);
        assert_eq!(seen(1, 9, None), 10.0);
    }

    // 2 x parameters x tokens is the well-known approximation; with a one-token prompt, where
    // attention is negligible, the exact count must meet it.
    #[test]
    fn one_token_costs_twice_the_parameters() {
        let (_, shape) = Preset::Named("llama-3.1-8b").config().expect("the preset parses");
        let embedding = (shape.vocab * shape.hidden) as f64;
        let matmul_parameters = 8.030e9 - embedding;
        let counted = Counted::new(&shape, None).pass(1, 0, 1);
        assert!((counted.total() / (2.0 * matmul_parameters) - 1.0).abs() < 1e-3, "{counted:?}");
        let without_head = 2.0 * active_parameters(&shape);
        assert!(((counted.total() - counted.lm_head) / without_head - 1.0).abs() < 1e-3);
    }
}
