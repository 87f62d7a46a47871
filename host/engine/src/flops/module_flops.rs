//! The operations of a request, module by module.

use super::{RequestShape, decode_passes, flop_counter::executed_pairs};
use crate::adapters::AdapterFlops;
use llem_checkpoint::{LayerKind, MlpIn, Qkv, Shape};

/// The operations of one module in both phases, in FLOP. The modules within it are not included.
#[derive(Clone, Debug, PartialEq)]
pub struct ModuleFlops {
    /// The module's name in transformers 5, for example `model.layers.0.self_attn.q_proj`, or [`ADAPTER`].
    pub name: String,
    /// The operations of processing the prompt, up to the first token.
    pub prefill: f64,
    /// The operations of all decode steps.
    pub decode: f64,
}

/// The name that stands for all factors of an unmerged adapter together.
pub const ADAPTER: &str = "adapter";

/// A matrix product of a module, by its sizes.
enum CountedProduct {
    /// Each token is multiplied with this number of weights.
    Weights(usize),
    /// Queries are multiplied with keys, and the result with values. The number is the layer's window, in tokens.
    Attention(Option<usize>),
    /// Each row of logits takes a product with this number of weights.
    Head(usize),
}

/// The passes of a sequence. Each pass has its new tokens and the tokens that were cached before. `logits` is the
/// number of rows of logits of all passes.
struct SequencePasses {
    of: Vec<(usize, usize)>,
    logits: usize,
}

impl SequencePasses {
    /// Returns the number of tokens of all passes.
    fn tokens(&self) -> f64 {
        self.of.iter().map(|&(new, _)| new as f64).sum()
    }

    fn flops(&self, product: &CountedProduct, shape: &Shape) -> f64 {
        match *product {
            CountedProduct::Weights(numbers) => 2.0 * self.tokens() * numbers as f64,
            CountedProduct::Head(numbers) => 2.0 * self.logits as f64 * numbers as f64,
            CountedProduct::Attention(window) => {
                let pairs = self.of.iter().map(|&(new, past)| executed_pairs(new, past, window));
                4.0 * pairs.sum::<f64>() * (shape.heads * shape.head_dim) as f64
            }
        }
    }

    fn adapter(&self, adapter: AdapterFlops) -> f64 {
        self.tokens() * adapter.per_token + self.logits as f64 * adapter.per_logits
    }
}

impl RequestShape {
    /// Counts the executed operations ([`super::FlopCount::Executed`]) of each module, in the order in which the
    /// modules run.
    ///
    /// Names are those of transformers 5, also for a model from a GGUF file. A product belongs to the linear layer
    /// that computes it. The products of all experts of a layer belong to `experts`, and scores and weighted values
    /// to the attention module. The factors of an unmerged adapter are last, as one module. The sums equal
    /// [`RequestShape::estimate`].
    pub fn by_module(&self, shape: &Shape, adapter: AdapterFlops) -> Vec<ModuleFlops> {
        let decode = decode_passes(self.output);
        let phases = [
            SequencePasses { of: vec![(self.prompt, 0)], logits: self.logits.rows(self.prompt) },
            SequencePasses {
                of: (0..decode).map(|step| (1, self.prompt + step)).collect(),
                logits: decode,
            },
        ];
        let batch = self.batch as f64;
        let of = |name: String, flops: [f64; 2]| {
            let [prefill, decode] = flops.map(|flops| flops * batch);
            ModuleFlops { name, prefill, decode }
        };
        let products = list_modules(shape).into_iter().map(|(name, product)| {
            of(name, phases.each_ref().map(|passes| passes.flops(&product, shape)))
        });
        let factors = phases.each_ref().map(|passes| passes.adapter(adapter));
        let adapter = factors.iter().any(|&flops| flops > 0.0);
        products.chain(adapter.then(|| of(ADAPTER.to_owned(), factors))).collect()
    }
}

/// Lists every module that multiplies, in the order in which they run.
fn list_modules(shape: &Shape) -> Vec<(String, CountedProduct)> {
    let names = &shape.modules;
    let layers = shape.layer_kinds.iter().enumerate().flat_map(|(index, kind)| {
        let prefix = format!("{}.{}.{index}", names.base, names.layers);
        layer_modules(shape, kind)
            .into_iter()
            .map(move |(name, product)| (format!("{prefix}.{name}"), product))
    });
    let head = (names.head.to_owned(), CountedProduct::Head(shape.hidden * shape.vocab));
    layers.chain([head]).collect()
}

/// Lists the modules of one layer, by their names within it.
fn layer_modules(shape: &Shape, kind: &LayerKind) -> Vec<(&'static str, CountedProduct)> {
    let names = &shape.modules;
    let hidden = shape.hidden;
    let [queries, keys] = [shape.heads, shape.kv_heads].map(|heads| heads * shape.head_dim);
    let weights = |name, outputs: usize| (name, CountedProduct::Weights(hidden * outputs));
    let mut modules = match names.qkv {
        Qkv::Separate([q, k, v]) => vec![weights(q, queries), weights(k, keys), weights(v, keys)],
        Qkv::Stacked(name) | Qkv::ByHead(name) => vec![weights(name, queries + 2 * keys)],
    };
    // The attention module is the parent of the output projection.
    let attention = names.output.rsplit_once('.').map_or("", |(attention, _)| attention);
    modules.push((attention, CountedProduct::Attention(kind.window)));
    modules.push(weights(names.output, queries));
    match shape.experts.filter(|_| kind.experts) {
        Some(experts) => modules.extend([
            weights(names.router, experts.count),
            weights(names.experts, 3 * experts.active * experts.intermediate),
        ]),
        None => {
            let width = shape.intermediate;
            match names.mlp_in {
                MlpIn::Gated(both) => modules.extend(both.map(|name| weights(name, width))),
                MlpIn::GatedStacked(name) => modules.push(weights(name, 2 * width)),
                MlpIn::Plain(name) => modules.push(weights(name, width)),
            }
            modules.push(weights(names.mlp_out, width));
        }
    }
    modules
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flops::{LogitPositions, flop_counter::tests::fixtures};
    use llem_checkpoint::{Checkpoint, Preset};
    use serde_json::Value;
    use std::collections::BTreeMap;

    const ADAPTER_FLOPS: AdapterFlops = AdapterFlops { per_token: 1000.0, per_logits: 7.0 };

    // The counts of torch in each module (tests/fixtures/make-flops).
    #[test]
    fn modules_execute_what_torch_counts_in_them() {
        let text = std::fs::read_to_string(fixtures().join("flops.json")).expect("the fixture");
        let expected: Value = serde_json::from_str(&text).expect("JSON");
        let number = |value: &Value| value.as_u64().expect("a number") as usize;
        let models = expected["models"].as_object().expect("models");
        assert!(models.len() >= 30, "{} models", models.len());
        for (folder, counts) in models {
            let config = fixtures().join(folder).join("config.json");
            let (_, shape) = Preset::ConfigFile(config).config().expect("a config");
            let steps = counts["steps"].as_array().expect("steps").len();
            let of = |steps: usize| {
                let [batch, prompt] = ["batch", "prompt_tokens"].map(|key| number(&expected[key]));
                let workload =
                    RequestShape { batch, prompt, output: steps + 1, logits: LogitPositions::All };
                workload.by_module(&shape, AdapterFlops::default())
            };
            // The last step is the difference that one more step makes.
            let ours: BTreeMap<String, [f64; 2]> = (of(steps).into_iter().zip(of(steps - 1)))
                .map(|(all, before)| (all.name, [all.prefill, all.decode - before.decode]))
                .collect();
            let theirs: BTreeMap<String, [f64; 2]> =
                serde_json::from_value(counts["modules"].clone()).expect("modules");
            assert_eq!(ours, theirs, "{folder}");
        }
    }

    #[test]
    fn modules_sum_to_what_is_executed() {
        for source in ["synthetic:llama-3.2-1b", "synthetic:tiny"] {
            let shape = Checkpoint::read_shape(&source.parse().expect("a name")).expect("a shape");
            for logits in [LogitPositions::Last, LogitPositions::All] {
                let workload = RequestShape { batch: 3, prompt: 50, output: 20, logits };
                for adapter in [AdapterFlops::default(), ADAPTER_FLOPS] {
                    let executed = workload.estimate(&shape, adapter).executed;
                    let modules = workload.by_module(&shape, adapter);
                    let sum = |of: fn(&ModuleFlops) -> f64| modules.iter().map(of).sum::<f64>();
                    assert_eq!(sum(|module| module.prefill), executed.prefill.total());
                    assert_eq!(sum(|module| module.decode), executed.decode.total());
                    let last = modules.last().expect("modules");
                    assert_eq!(last.name == ADAPTER, adapter.per_token > 0.0);
                }
            }
        }
    }

    #[test]
    fn a_gguf_file_has_the_module_names_of_transformers() {
        let names = |folder: std::path::PathBuf| {
            let source = folder.to_str().expect("text").parse().expect("a model");
            let shape = Checkpoint::read_shape(&source).expect("a shape");
            let workload =
                RequestShape { batch: 1, prompt: 1, output: 1, logits: LogitPositions::Last };
            let modules = workload.by_module(&shape, AdapterFlops::default()).into_iter();
            modules.map(|module| module.name).collect::<Vec<_>>()
        };
        for (family, file) in [
            ("mixtral", "mixtral"),
            ("gpt2", "gpt2"),
            ("gpt-neox", "gpt-neox"),
            ("phi3", "phi3"),
            ("gemma2", "gemma2"),
        ] {
            let of_folder = names(fixtures().join("families").join(family));
            let of_file = names(fixtures().join(format!("gguf/{file}-f32.gguf")));
            let first_layers = |names: Vec<String>| -> Vec<String> {
                names.into_iter().filter(|name| name.contains(".0.") || name == "lm_head").collect()
            };
            assert_eq!(first_layers(of_folder), first_layers(of_file), "{family}");
        }
    }
}
