//! Lists the tensors that a model loads from safetensors files.

use crate::families::{MlpIn, NormKind, Qkv, QueryKeyNorm, Shape};

/// Returns the names of all tensors that a decoder of this shape loads, as the checkpoints of its family name them.
pub(super) fn expected_tensors(shape: &Shape) -> Vec<String> {
    let mut list = NameList { shape, names: Vec::new() };
    let parts = &shape.names;
    let base = parts.base;
    list.weight(&format!("{base}.{}", parts.embedding));
    if let Some(positions) = parts.positions {
        list.weight(&format!("{base}.{positions}"));
    }
    for index in 0..shape.layers {
        list.layer(&format!("{base}.{}.{index}", parts.layers), shape.layer_kinds[index].experts);
    }
    list.norm(&format!("{base}.{}", parts.norm));
    if !shape.tied_head {
        list.weight(parts.head);
    }
    list.names
}

/// Returns the names of the layers' modules that multiply with a matrix.
pub(crate) fn layer_products(shape: &Shape) -> Vec<String> {
    let layers = format!("{}.{}.", shape.names.base, shape.names.layers);
    let is_norm = |module: &str| {
        let last = module.rsplit('.').next().unwrap_or(module);
        last.contains("norm") || last.starts_with("ln_")
    };
    let modules = expected_tensors(shape)
        .into_iter()
        .filter_map(|name| name.strip_suffix(".weight").map(str::to_owned));
    modules.filter(|module| module.starts_with(&layers) && !is_norm(module)).collect()
}

struct NameList<'a> {
    shape: &'a Shape,
    names: Vec<String>,
}

impl NameList<'_> {
    fn weight(&mut self, module: &str) {
        self.names.push(format!("{module}.weight"));
    }

    fn product(&mut self, module: &str, bias: bool) {
        self.weight(module);
        if bias {
            self.names.push(format!("{module}.bias"));
        }
    }

    fn norm(&mut self, module: &str) {
        self.product(module, self.shape.norm == NormKind::Layer);
    }

    fn layer(&mut self, layer: &str, has_experts: bool) {
        let (shape, parts) = (self.shape, &self.shape.names);
        let norms = [
            parts.attention_in_norm,
            parts.attention_out_norm,
            parts.mlp_in_norm,
            parts.mlp_out_norm,
        ];
        for norm in norms.into_iter().flatten() {
            self.norm(&format!("{layer}.{norm}"));
        }
        match parts.qkv {
            Qkv::Separate(three) => {
                for part in three {
                    self.product(&format!("{layer}.{part}"), shape.qkv_bias);
                }
            }
            Qkv::Stacked(one) | Qkv::ByHead(one) => {
                self.product(&format!("{layer}.{one}"), shape.qkv_bias);
            }
        }
        self.product(&format!("{layer}.{}", parts.output), shape.output_bias);
        if shape.query_norm != QueryKeyNorm::None {
            for norm in parts.query_key_norms {
                self.norm(&format!("{layer}.{norm}"));
            }
        }
        match shape.experts.filter(|_| has_experts) {
            Some(experts) => {
                self.weight(&format!("{layer}.{}", parts.router));
                for index in 0..experts.count {
                    for part in parts.expert {
                        self.weight(&format!("{layer}.{}.{index}.{part}", parts.experts));
                    }
                }
            }
            None => {
                let into: &[&str] = match &parts.mlp_in {
                    MlpIn::Gated(two) => two,
                    MlpIn::GatedStacked(one) | MlpIn::Plain(one) => &[one],
                };
                for part in into.iter().chain([&parts.mlp_out]) {
                    self.product(&format!("{layer}.{part}"), shape.mlp_bias);
                }
            }
        }
    }
}
