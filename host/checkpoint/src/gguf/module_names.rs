//! Translates the names of modules from llama.cpp's to transformers' names, which adapters use.

use crate::families::{MlpIn, NamingScheme, Qkv};

/// A table of module names: llama.cpp's name and transformers' name.
#[derive(Default)]
pub(super) struct ModuleNames(Vec<(&'static str, String)>);

impl ModuleNames {
    /// Builds the table from llama.cpp's and transformers' names.
    ///
    /// Some tensors have other numbers than in transformers: GPT-NeoX's QKV has another order of rows, and norms may
    /// already include the 1 of "1 + weight" (`plus_one`). They are not in the table, so that no adapter changes them.
    pub(super) fn new(
        llama_cpp: &NamingScheme,
        transformers: &NamingScheme,
        plus_one: bool,
    ) -> Self {
        let at_base = |name: &str| format!("{}.{name}", transformers.base);
        let mut names = vec![
            (llama_cpp.embedding, at_base(transformers.embedding)),
            (llama_cpp.layers, at_base(transformers.layers)),
            (llama_cpp.head, transformers.head.to_owned()),
            (llama_cpp.output, transformers.output.to_owned()),
            (llama_cpp.mlp_out, transformers.mlp_out.to_owned()),
            (llama_cpp.router, transformers.router.to_owned()),
            (llama_cpp.experts, transformers.experts.to_owned()),
        ];
        let mut add = |llama_cpp: &[&'static str], transformers: &[&'static str]| {
            names.extend(
                llama_cpp
                    .iter()
                    .zip(transformers)
                    .map(|(&llama_cpp, &transformers)| (llama_cpp, transformers.to_owned())),
            );
        };
        add(&llama_cpp.expert, &transformers.expert);
        if !plus_one {
            for (llama_cpp, transformers) in [
                (llama_cpp.attention_in_norm, transformers.attention_in_norm),
                (llama_cpp.attention_out_norm, transformers.attention_out_norm),
                (llama_cpp.mlp_in_norm, transformers.mlp_in_norm),
                (llama_cpp.mlp_out_norm, transformers.mlp_out_norm),
            ] {
                add(llama_cpp.as_slice(), transformers.as_slice());
            }
        }
        match (&llama_cpp.qkv, &transformers.qkv) {
            (Qkv::Separate(llama_cpp), Qkv::Separate(transformers)) => add(llama_cpp, transformers),
            (Qkv::Stacked(llama_cpp), Qkv::Stacked(transformers)) => {
                add(&[*llama_cpp], &[*transformers])
            }
            _ => {}
        }
        match (&llama_cpp.mlp_in, &transformers.mlp_in) {
            (MlpIn::Gated(llama_cpp), MlpIn::Gated(transformers)) => add(llama_cpp, transformers),
            (MlpIn::GatedStacked(llama_cpp), MlpIn::GatedStacked(transformers))
            | (MlpIn::Plain(llama_cpp), MlpIn::Plain(transformers)) => {
                add(&[*llama_cpp], &[*transformers])
            }
            _ => {}
        }
        if let (Some(llama_cpp), Some(transformers)) = (llama_cpp.positions, transformers.positions)
        {
            names.push((llama_cpp, at_base(transformers)));
        }
        if !plus_one {
            names.push((llama_cpp.norm, at_base(transformers.norm)));
        }
        Self(names)
    }

    /// Replaces each of llama.cpp's names in a module's name by transformers' name.
    pub(super) fn translate(&self, module: &str) -> String {
        let name = |part: &str| {
            let known = self.0.iter().find(|(llama_cpp, _)| *llama_cpp == part);
            known.map_or_else(|| part.to_owned(), |(_, transformers)| transformers.clone())
        };
        module.split('.').map(name).collect::<Vec<_>>().join(".")
    }
}
