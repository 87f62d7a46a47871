//! Warns of tensors that are in the files and that the model does not use.

use super::{SafetensorsFiles, and_others};
use crate::families::Shape;
use std::collections::HashSet;

/// Endings of the names of buffers that older versions of transformers saved and that are computed here: rotary
/// frequencies, causal masks (GPT-2, GPT-NeoX), positions.
const BUFFER_ENDINGS: [&str; 10] = [
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

/// Parts of tensor names that belong to the image or sound part of a model.
const MULTIMODAL_PARTS: [&str; 10] = [
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
    /// Returns a warning for each group of tensors that are not read. transformers reports the same tensors as
    /// unexpected.
    ///
    /// `root` is what the files write before the decoder's names, as in
    /// [`super::canonical_names::CanonicalNames::root`].
    pub(super) fn warn_of_unread(
        &self,
        expected: &[String],
        shape: &Shape,
        root: Option<&str>,
    ) -> Vec<String> {
        let expected: HashSet<&str> = expected.iter().map(String::as_str).collect();
        let mut unread: Vec<&str> =
            self.names().filter(|name| !expected.contains(name) && !is_buffer(name)).collect();
        unread.sort_unstable();
        let base = format!("{}.", shape.names.base);
        let is_further =
            |name: &&str| layer(name, shape).is_some_and(|layer| layer >= shape.layers);
        let (further_layers, rest): (Vec<&str>, Vec<&str>) =
            unread.into_iter().partition(is_further);
        // If the decoder is part of a larger model, the other parts of that model are not read either.
        let is_within = root.is_some_and(|root| !["", &base[..]].contains(&root));
        let is_other_part = |name: &&str| {
            let is_beside = is_within && !name.starts_with(&base);
            is_beside || name.split('.').any(|part| MULTIMODAL_PARTS.contains(&part))
        };
        let (other_parts, rest): (Vec<&str>, Vec<&str>) = rest.into_iter().partition(is_other_part);
        let layer_count = format!("num_hidden_layers in config.json is {}", shape.layers);
        let groups = [
            (further_layers, &layer_count[..]),
            (other_parts, "only the text model is run"),
            (rest, "the model that config.json describes has none of them"),
        ];
        let warnings = groups.into_iter().filter_map(|(names, reason)| {
            let (first, others) = (names.first()?, and_others(names.len()));
            let verb = if names.len() == 1 { "is" } else { "are" };
            Some(format!("tensor {first}{others} {verb} not read, as in transformers: {reason}"))
        });
        warnings.collect()
    }
}

fn is_buffer(name: &str) -> bool {
    let dotted = format!(".{name}");
    BUFFER_ENDINGS.iter().any(|ending| dotted.ends_with(ending))
}

/// Returns the number of the layer to which a tensor belongs.
fn layer(name: &str, shape: &Shape) -> Option<usize> {
    let within = name.strip_prefix(shape.names.base)?.strip_prefix('.')?;
    within.strip_prefix(shape.names.layers)?.strip_prefix('.')?.split('.').next()?.parse().ok()
}
