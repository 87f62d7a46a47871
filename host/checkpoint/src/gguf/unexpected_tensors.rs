//! Refuses GGUF models with tensors that the decoder does not read. If such a tensor were ignored, the model's results
//! would be wrong.

use super::Gguf;
use crate::{
    Error, Result,
    families::{MlpIn, NormKind, Qkv, QueryKeyNorm, Shape},
};
use std::collections::HashSet;

/// Beginnings of the names of tensors that belong to the image part. Ollama stores it in the language model's file.
const IMAGE_PARTS: [&str; 2] = ["v.", "mm."];

/// Checks that all tensors are read. `shape` must have llama.cpp's names. `read` has the names of tensors that were
/// read to build the shape. Returns a warning if tensors of an image part are ignored.
///
/// # Errors
/// Returns an error if there is a tensor that the decoder does not read.
pub(super) fn check_tensors(gguf: &Gguf, shape: &Shape, read: &[&str]) -> Result<Option<String>> {
    let mut expected = decoder_tensors(gguf, shape);
    expected.extend(read.iter().map(|&name| name.to_owned()));
    let mut image_parts = 0;
    for name in gguf.tensor_names() {
        if IMAGE_PARTS.iter().any(|part| name.starts_with(part)) {
            image_parts += 1;
        } else if !expected.contains(name) {
            return Err(Error::file(
                gguf.path(),
                format!(
                    "tensor {name} is not one that this version reads in a model of this kind: use a model without it"
                ),
            ));
        }
    }
    Ok((image_parts > 0).then(|| {
        format!(
            "{}: {image_parts} tensors of an image part were passed over; this version runs the language model alone",
            gguf.path().display()
        )
    }))
}

/// Returns the names in the file of all tensors that the decoder reads.
fn decoder_tensors(gguf: &Gguf, shape: &Shape) -> HashSet<String> {
    let names = &shape.names;
    let mut all = HashSet::new();
    let mut add = |module: &str, suffixes: &[&str]| {
        let names = suffixes.iter().map(|suffix| format!("{module}.{suffix}"));
        all.extend(names.map(|name| gguf.file_tensor_name(&name)));
    };
    let norm: &[&str] = match shape.norm {
        NormKind::Layer => &["weight", "bias"],
        NormKind::Rms | NormKind::RmsPlusOne => &["weight"],
    };
    let with = |has_bias: bool| if has_bias { &["weight", "bias"][..] } else { &["weight"] };
    add(names.embedding, &["weight"]);
    add(names.norm, norm);
    if !shape.tied_head {
        add(names.head, &["weight"]);
    }
    names.positions.iter().for_each(|positions| add(positions, &["weight"]));
    for (index, kind) in shape.layer_kinds.iter().enumerate() {
        let layer = |name: &str| format!("{}.{index}.{name}", names.layers);
        let norms = [
            names.attention_in_norm,
            names.attention_out_norm,
            names.mlp_in_norm,
            names.mlp_out_norm,
        ];
        norms.iter().flatten().for_each(|name| add(&layer(name), norm));
        let qkv: &[&str] = match &names.qkv {
            Qkv::Separate(parts) => parts,
            Qkv::Stacked(part) | Qkv::ByHead(part) => std::slice::from_ref(part),
        };
        qkv.iter().for_each(|part| add(&layer(part), with(shape.qkv_bias)));
        add(&layer(names.output), with(shape.output_bias));
        if shape.query_norm != QueryKeyNorm::None {
            names.query_key_norms.iter().for_each(|name| add(&layer(name), &["weight"]));
        }
        if let Some(experts) = shape.experts.filter(|_| kind.experts) {
            add(&layer(names.router), &["weight"]);
            for expert in 0..experts.count {
                let module = layer(&format!("{}.{expert}", names.experts));
                names.expert.iter().for_each(|part| add(&format!("{module}.{part}"), &["weight"]));
            }
            continue;
        }
        let into: &[&str] = match &names.mlp_in {
            MlpIn::Gated(parts) => parts,
            MlpIn::GatedStacked(part) | MlpIn::Plain(part) => std::slice::from_ref(part),
        };
        into.iter().for_each(|part| add(&layer(part), with(shape.mlp_bias)));
        add(&layer(names.mlp_out), with(shape.mlp_bias));
    }
    all
}
