//! The operations of a model's forward passes.

use super::ComponentFlops;
use crate::adapters::{ActiveAdapter, AdapterFlops};
use llem_checkpoint::{LayerKind, Shape};
use std::ops::Add;

/// The operations that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlopCount {
    /// The operations that the result depends on.
    Needed,
    /// The operations that an eager framework runs.
    Executed,
}

/// The positions of a prompt whose logits are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogitPositions {
    /// The last position, which is all that generation needs.
    Last,
    /// All positions, as in training, and as eager frameworks do by default.
    All,
}

impl LogitPositions {
    /// Returns the number of rows of the LM head's product in a pass of `tokens` tokens.
    pub fn rows(self, tokens: usize) -> usize {
        match self {
            Self::Last => tokens.min(1),
            Self::All => tokens,
        }
    }
}

/// Counts the operations of forward passes, from a model's shape and an adapter's sizes.
///
/// ```
/// use llem_engine::{LoadOptions, Model, flops::FlopCounter, flops::active_parameters};
///
/// let model = Model::load(&LoadOptions::new("synthetic:tiny".parse()?))?;
/// let shape = &model.info().shape;
/// let pass = FlopCounter::new(shape, None).pass(1, 0, 1);
///
/// // One token multiplies each active parameter once, and the LM head of 256 x 512.
/// assert_eq!(active_parameters(shape), 3_145_728.0);
/// assert_eq!(pass.attention_projections + pass.mlp, 2.0 * 3_145_728.0);
/// assert_eq!(pass.lm_head, 2.0 * 256.0 * 512.0);
/// # Ok::<(), llem_engine::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct FlopCounter<'a> {
    /// The shape of the model.
    pub shape: &'a Shape,
    /// The operations that the adapter adds.
    pub adapter: AdapterFlops,
    /// The operations that are counted.
    pub count: FlopCount,
}

impl<'a> FlopCounter<'a> {
    /// Makes a counter of needed operations. `adapted` is the adapter that the sequence runs with. A merged adapter
    /// adds no operations.
    pub fn new(shape: &'a Shape, adapted: Option<&ActiveAdapter>) -> Self {
        let attached = adapted.and_then(ActiveAdapter::attached);
        let adapter = attached.map_or_else(Default::default, |adapter| adapter.flops);
        Self { shape, adapter, count: FlopCount::Needed }
    }

    /// Counts a forward pass of one sequence: `new` tokens after `past` cached ones, with `logits` rows of logits.
    pub fn pass(&self, new: usize, past: usize, logits: usize) -> ComponentFlops {
        let Self { shape, adapter, count } = self;
        let tokens = new as f64;
        let [hidden, vocab] = [shape.hidden, shape.vocab].map(|width| width as f64);
        let queries = (shape.heads * shape.head_dim) as f64;
        let keys = (shape.kv_heads * shape.head_dim) as f64;
        let mut sum = ComponentFlops {
            lm_head: 2.0 * logits as f64 * hidden * vocab,
            adapter: tokens * adapter.per_token + logits as f64 * adapter.per_logits,
            ..Default::default()
        };
        for layer in &shape.layer_kinds {
            sum.attention_projections += 2.0 * tokens * hidden * (2.0 * queries + 2.0 * keys);
            let pairs = match count {
                FlopCount::Needed => needed_pairs(new, past, layer.window),
                FlopCount::Executed => executed_pairs(new, past, layer.window),
            };
            sum.attention += 2.0 * 2.0 * pairs * queries;
            sum.mlp += 2.0 * tokens * mlp_numbers(shape, layer);
        }
        sum
    }

    /// Counts prefill and decode of one sequence that generates `output` tokens after `prompt` tokens. The first
    /// token comes from prefill. Each later token is a pass, [`decode_passes`] of them.
    pub fn generation(
        &self,
        prompt: usize,
        output: usize,
        logits: LogitPositions,
    ) -> (ComponentFlops, ComponentFlops) {
        let prefill = self.pass(prompt, 0, logits.rows(prompt));
        let decode = (0..decode_passes(output))
            .map(|step| self.pass(1, prompt + step, 1))
            .fold(ComponentFlops::default(), ComponentFlops::add);
        (prefill, decode)
    }
}

/// Returns the number of passes after prefill that generate `output` tokens.
pub fn decode_passes(output: usize) -> usize {
    output.saturating_sub(1)
}

/// Returns the parameters that a token is multiplied with in a pass: all but embeddings and LM head, and only the
/// experts that a token goes to (N of Kaplan et al., arXiv 2001.08361, section 2.1, which leaves out vocabulary and
/// positions). Twice this number is the well-known approximation 2N of the operations a token.
pub fn active_parameters(shape: &Shape) -> f64 {
    let [hidden, heads, kv_heads, head] =
        [shape.hidden, shape.heads, shape.kv_heads, shape.head_dim].map(|width| width as f64);
    let attention = hidden * 2.0 * (heads + kv_heads) * head;
    let layers = shape.layer_kinds.iter();
    layers.map(|layer| attention + mlp_numbers(shape, layer)).sum()
}

/// Returns the parameters of a layer's MLP or experts that a token is multiplied with.
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

/// Returns the number of pairs of query and key that the result depends on.
///
/// Query `i` of the new ones sees the `past + i + 1` keys up to its own, or the last `window` of them.
fn needed_pairs(new: usize, past: usize, window: Option<usize>) -> f64 {
    let triangle = |count: usize| count as f64 * (count as f64 + 1.0) / 2.0;
    // First the queries whose view the window does not cut, then the others.
    let whole = window.map_or(new, |window| window.saturating_sub(past).min(new));
    let seen = triangle(past + whole) - triangle(past);
    seen + (new - whole) as f64 * window.unwrap_or_default() as f64
}

/// Returns the number of pairs that an eager framework multiplies: each new query with all keys of its pass and its
/// cache.
pub(super) fn executed_pairs(new: usize, past: usize, window: Option<usize>) -> f64 {
    new as f64 * (new + cached_keys(past, window)) as f64
}

/// Returns the number of keys that a cache keeps of `past` ones. The next query of a windowed layer sees `window - 1`
/// of them (transformers' `DynamicSlidingWindowLayer`).
fn cached_keys(past: usize, window: Option<usize>) -> usize {
    window.map_or(past, |window| past.min(window.saturating_sub(1)))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use llem_checkpoint::Preset;
    use serde_json::Value;
    use std::path::Path;

    pub(in crate::flops) fn fixtures() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures")
    }

    // The counts of torch, pass by pass (tests/fixtures/make-flops).
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
            let counted =
                FlopCounter { count: FlopCount::Executed, ..FlopCounter::new(&shape, None) };
            let prefill = counted.pass(prompt, 0, LogitPositions::All.rows(prompt)).total() * batch;
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
        assert_eq!(needed_pairs(5, 0, Some(3)), 12.0);
        assert_eq!(needed_pairs(2, 3, Some(3)), 6.0);
        assert_eq!(needed_pairs(5, 0, None), 15.0);
        assert_eq!(needed_pairs(1, 9, None), 10.0);
    }

    // 2 x parameters x tokens is the well-known approximation. With a prompt of one token, for which attention is
    // negligible, the exact count must agree with it.
    #[test]
    fn one_token_costs_twice_the_parameters() {
        let (_, shape) = Preset::Named("llama-3.1-8b").config().expect("the preset parses");
        let embedding = (shape.vocab * shape.hidden) as f64;
        let matmul_parameters = 8.030e9 - embedding;
        let counted = FlopCounter::new(&shape, None).pass(1, 0, 1);
        assert!((counted.total() / (2.0 * matmul_parameters) - 1.0).abs() < 1e-3, "{counted:?}");
        let without_head = 2.0 * active_parameters(&shape);
        assert!(((counted.total() - counted.lm_head) / without_head - 1.0).abs() < 1e-3);
    }
}
