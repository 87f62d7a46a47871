//! Tensors that are there and that the model has no use for.

use super::{SafetensorsFiles, and_others};
use crate::families::Shape;
use std::collections::HashSet;

/// How the names of buffers end that older versions saved and that are made anew: rotary frequencies, causal masks
/// (GPT-2, GPT-NeoX), positions.
const BUFFERS: [&str; 10] = [
    ".rotary_emb.inv_freq",
    ".rotary_emb.cos_cached",
    ".rotary_emb.sin_cached",
    ".attn.bias",
    ".attn.masked_bias",
    ".crossattention.bias",
    ".crossattention.masked_bias",
    ".attention.bias",
    ".attention.masked_bias",
    ".position_ids",
];

/// Parts of models that see and hear.
const TOWERS: [&str; 10] = [
    "vision_tower",
    "vision_model",
    "visual",
    "multi_modal_projector",
    "mm_projector",
    "audio_tower",
    "audio_projector",
    "image_newline",
    "vision_embed_tokens",
    "img_processor",
];

impl SafetensorsFiles {
    /// Says which tensors are not read, as transformers does in its report of what it did not expect.
    pub(super) fn unread(
        &self,
        wanted: &[String],
        shape: &Shape,
        root: Option<&str>,
    ) -> Vec<String> {
        let wanted: HashSet<&str> = wanted.iter().map(String::as_str).collect();
        let mut unread: Vec<&str> =
            self.names().filter(|name| !wanted.contains(name) && !is_buffer(name)).collect();
        unread.sort_unstable();
        let base = format!("{}.", shape.names.base);
        let is_further =
            |name: &&str| layer(name, shape).is_some_and(|layer| layer >= shape.layers);
        let (further, rest): (Vec<&str>, Vec<&str>) = unread.into_iter().partition(is_further);
        // A decoder within something larger has that one's other parts beside it.
        let is_within = root.is_some_and(|root| !["", &base[..]].contains(&root));
        let is_other_part = |name: &&str| {
            let is_beside = is_within && !name.starts_with(&base);
            is_beside || name.split('.').any(|part| TOWERS.contains(&part))
        };
        let (towers, rest): (Vec<&str>, Vec<&str>) = rest.into_iter().partition(is_other_part);
        let fewer = format!("num_hidden_layers in config.json is {}", shape.layers);
        let groups = [
            (further, &fewer[..]),
            (towers, "only the text model is run"),
            (rest, "the model that config.json describes has none of them"),
        ];
        let said = groups.into_iter().filter_map(|(names, reason)| {
            let (first, others) = (names.first()?, and_others(names.len()));
            let verb = if names.len() == 1 { "is" } else { "are" };
            Some(format!("tensor {first}{others} {verb} not read, as in transformers: {reason}"))
        });
        said.collect()
    }
}

fn is_buffer(name: &str) -> bool {
    let dotted = format!(".{name}");
    BUFFERS.iter().any(|ending| dotted.ends_with(ending))
}

/// The layer that a tensor is of.
fn layer(name: &str, shape: &Shape) -> Option<usize> {
    let within = name.strip_prefix(shape.names.base)?.strip_prefix('.')?;
    within.strip_prefix(shape.names.layers)?.strip_prefix('.')?.split('.').next()?.parse().ok()
}
