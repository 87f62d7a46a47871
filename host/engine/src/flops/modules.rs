//! What a request executes, module by module.

use super::{Workload, decode_passes, executed};
use crate::adapters::AdapterFlops;
use llem_checkpoint::families::{LayerKind, MlpIn, Qkv, Shape};

/// Operations of a module in both phases, FLOP, without those of modules within it.
#[derive(Clone, Debug, PartialEq)]
pub struct ModuleFlops {
    /// Its name in transformers 5 (`model.layers.0.self_attn.q_proj`), or [`ADAPTER`].
    pub name: String,
    /// Prompt processing, to the first token.
    pub prefill: f64,
    /// All decode steps.
    pub decode: f64,
}

/// Stands for all factors of an unmerged adapter together.
pub const ADAPTER: &str = "adapter";

/// What a module multiplies.
enum Product {
    /// A token with so many weights.
    Weights(usize),
    /// Queries with keys, and what comes of it with values.
    Attention(Option<usize>),
    /// A row of logits with so many weights.
    Head(usize),
}

/// Passes of a sequence: tokens each runs and those that were cached before, and the rows of logits of all together.
struct Passes {
    of: Vec<(usize, usize)>,
    logits: usize,
}

impl Passes {
    /// Tokens of all.
    fn tokens(&self) -> f64 {
        self.of.iter().map(|&(new, _)| new as f64).sum()
    }

    fn flops(&self, product: &Product, shape: &Shape) -> f64 {
        match *product {
            Product::Weights(numbers) => 2.0 * self.tokens() * numbers as f64,
            Product::Head(numbers) => 2.0 * self.logits as f64 * numbers as f64,
            Product::Attention(window) => {
                let pairs = self.of.iter().map(|&(new, past)| executed(new, past, window));
                4.0 * pairs.sum::<f64>() * (shape.heads * shape.head_dim) as f64
            }
        }
    }

    fn adapter(&self, adapter: AdapterFlops) -> f64 {
        self.tokens() * adapter.per_token + self.logits as f64 * adapter.per_logits
    }
}

impl Workload {
    /// What it executes ([`super::Count::Executed`]) on a model, in the order in which the modules run. Names are those
    /// of transformers 5, for a GGUF file's model, too: a product is under the linear layer that does it, all experts'
    /// of a layer under `experts`, scores and weighted values under the attention module. An unmerged adapter's factors
    /// are last, as one module. The sums are those of [`Workload::estimate`].
    pub fn by_module(&self, shape: &Shape, adapter: AdapterFlops) -> Vec<ModuleFlops> {
        let decode = decode_passes(self.output);
        let phases = [
            Passes { of: vec![(self.prompt, 0)], logits: self.logits.rows(self.prompt) },
            Passes {
                of: (0..decode).map(|step| (1, self.prompt + step)).collect(),
                logits: decode,
            },
        ];
        let batch = self.batch as f64;
        let of = |name: String, flops: [f64; 2]| {
            let [prefill, decode] = flops.map(|flops| flops * batch);
            ModuleFlops { name, prefill, decode }
        };
        let products = modules(shape).into_iter().map(|(name, product)| {
            of(name, phases.each_ref().map(|passes| passes.flops(&product, shape)))
        });
        let factors = phases.each_ref().map(|passes| passes.adapter(adapter));
        let adapter = factors.iter().any(|&flops| flops > 0.0);
        products.chain(adapter.then(|| of(ADAPTER.to_owned(), factors))).collect()
    }
}

/// Every module that multiplies, in the order in which they run.
fn modules(shape: &Shape) -> Vec<(String, Product)> {
    let names = &shape.modules;
    let layers = shape.layer_kinds.iter().enumerate().flat_map(|(index, kind)| {
        let place = format!("{}.{}.{index}", names.base, names.layers);
        of_layer(shape, kind)
            .into_iter()
            .map(move |(name, product)| (format!("{place}.{name}"), product))
    });
    let head = (names.head.to_owned(), Product::Head(shape.hidden * shape.vocab));
    layers.chain([head]).collect()
}

/// Those of a layer, by their names within it.
fn of_layer(shape: &Shape, kind: &LayerKind) -> Vec<(&'static str, Product)> {
    let names = &shape.modules;
    let hidden = shape.hidden;
    let [queries, keys] = [shape.heads, shape.kv_heads].map(|heads| heads * shape.head_dim);
    let weights = |name, outputs: usize| (name, Product::Weights(hidden * outputs));
    let mut modules = match names.qkv {
        Qkv::Separate([q, k, v]) => vec![weights(q, queries), weights(k, keys), weights(v, keys)],
        Qkv::Stacked(name) | Qkv::ByHead(name) => vec![weights(name, queries + 2 * keys)],
    };
    // The attention module is what the output projection is in.
    let attention = names.output.rsplit_once('.').map_or("", |(attention, _)| attention);
    modules.push((attention, Product::Attention(kind.window)));
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
    use crate::flops::{Logits, tests::fixtures};
    use llem_checkpoint::{checkpoint, presets::Preset};
    use serde_json::Value;
    use std::collections::BTreeMap;

    const ADAPTER_FLOPS: AdapterFlops = AdapterFlops { per_token: 1000.0, per_logits: 7.0 };

    // What torch counted in each module (tests/fixtures/make-flops).
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
                let workload = Workload { batch, prompt, output: steps + 1, logits: Logits::All };
                workload.by_module(&shape, AdapterFlops::default())
            };
            // The last step is what one step more adds.
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
            let shape = checkpoint::shape(&source.parse().expect("a name")).expect("a shape");
            for logits in [Logits::Last, Logits::All] {
                let workload = Workload { batch: 3, prompt: 50, output: 20, logits };
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
            let shape = checkpoint::shape(&source).expect("a shape");
            let workload = Workload { batch: 1, prompt: 1, output: 1, logits: Logits::Last };
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
