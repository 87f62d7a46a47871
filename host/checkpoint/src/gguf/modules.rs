//! What transformers calls the places that adapters change.

use crate::families::{MlpIn, Names, Qkv};

/// Names of places within a model as llama.cpp and as transformers write them.
#[derive(Default)]
pub struct ModuleNames(Vec<(&'static str, String)>);

impl ModuleNames {
    /// llama.cpp's names `theirs` beside transformers' names `ours`. What is kept otherwise than in transformers
    /// (GPT-NeoX's QKV in another order, norms that have `plus_one`, the one added) keeps llama.cpp's name, so that
    /// no adapter finds it.
    pub fn new(theirs: &Names, ours: &Names, plus_one: bool) -> Self {
        let at_base = |name: &str| format!("{}.{name}", ours.base);
        let mut names = vec![
            (theirs.embedding, at_base(ours.embedding)),
            (theirs.layers, at_base(ours.layers)),
            (theirs.head, ours.head.to_owned()),
            (theirs.output, ours.output.to_owned()),
            (theirs.mlp_out, ours.mlp_out.to_owned()),
            (theirs.router, ours.router.to_owned()),
            (theirs.experts, ours.experts.to_owned()),
        ];
        let mut add = |theirs: &[&'static str], ours: &[&'static str]| {
            names.extend(theirs.iter().zip(ours).map(|(&theirs, &ours)| (theirs, ours.to_owned())));
        };
        add(&theirs.expert, &ours.expert);
        if !plus_one {
            for (theirs, ours) in [
                (theirs.attention_in_norm, ours.attention_in_norm),
                (theirs.attention_out_norm, ours.attention_out_norm),
                (theirs.mlp_in_norm, ours.mlp_in_norm),
                (theirs.mlp_out_norm, ours.mlp_out_norm),
            ] {
                add(theirs.as_slice(), ours.as_slice());
            }
        }
        match (&theirs.qkv, &ours.qkv) {
            (Qkv::Separate(theirs), Qkv::Separate(ours)) => add(theirs, ours),
            (Qkv::Stacked(theirs), Qkv::Stacked(ours)) => add(&[*theirs], &[*ours]),
            _ => {}
        }
        match (&theirs.mlp_in, &ours.mlp_in) {
            (MlpIn::Gated(theirs), MlpIn::Gated(ours)) => add(theirs, ours),
            (MlpIn::GatedStacked(theirs), MlpIn::GatedStacked(ours))
            | (MlpIn::Plain(theirs), MlpIn::Plain(ours)) => add(&[*theirs], &[*ours]),
            _ => {}
        }
        if let (Some(theirs), Some(ours)) = (theirs.positions, ours.positions) {
            names.push((theirs, at_base(ours)));
        }
        if !plus_one {
            names.push((theirs.norm, at_base(ours.norm)));
        }
        Self(names)
    }

    /// transformers' name for a place: each of llama.cpp's names within it is replaced.
    pub fn translate(&self, place: &str) -> String {
        let name = |part: &str| {
            let known = self.0.iter().find(|(theirs, _)| *theirs == part);
            known.map_or_else(|| part.to_owned(), |(_, ours)| ours.clone())
        };
        place.split('.').map(name).collect::<Vec<_>>().join(".")
    }
}
