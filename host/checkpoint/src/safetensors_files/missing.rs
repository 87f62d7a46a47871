//! Tensors that the model lacks.

use super::{INDEX, Index, SafetensorsFiles, and_others};
use crate::{Error, Result, families::Shape};
use std::collections::BTreeSet;

/// Names of an adapter's tensors that were saved with its model.
const ADAPTERS: [&str; 3] = ["lora_A", "lora_B", "base_layer"];

impl SafetensorsFiles {
    /// Refuses files that lack a tensor of the model.
    ///
    /// # Errors
    /// One is missing; the sentence says why that may be.
    pub(super) fn check_missing(&self, wanted: &[String], shape: &Shape) -> Result<()> {
        let missing: Vec<&String> =
            wanted.iter().filter(|name| !self.places.contains_key(*name)).collect();
        let Some(first) = missing.first() else { return Ok(()) };
        let reason = format!(
            "tensor {first}{} {} missing from its safetensors files: {}",
            and_others(missing.len()),
            if missing.len() == 1 { "is" } else { "are" },
            self.why_missing(&missing, shape)
        );
        Err(Error::file(&self.folder, reason))
    }

    fn why_missing(&self, missing: &[&String], shape: &Shape) -> String {
        let is_adapted = |name: &str| name.split('.').any(|part| ADAPTERS.contains(&part));
        if self.names().any(is_adapted) {
            return "an adapter is in them that is not merged; merge it with PEFT's merge_and_unload before saving, or \
                    give the base model and the adapter apart"
                .to_owned();
        }
        if missing == [&format!("{}.weight", shape.names.head)] {
            return "it is a base model without its LM head, or config.json should say \"tie_word_embeddings\": true; \
                    save it with transformers' AutoModelForCausalLM"
                .to_owned();
        }
        if let Some(reason) = self.index.as_ref().and_then(|index| why_by_index(index, missing)) {
            return reason;
        }
        let layers = format!("{}.{}.", shape.names.base, shape.names.layers);
        let of_layers: BTreeSet<&str> = (self.names())
            .filter_map(|name| Some(name.strip_prefix(&layers)?.split_once('.')?.0))
            .collect();
        match of_layers.len() {
            0 => {
                let mut theirs: Vec<&str> = self.names().collect();
                theirs.sort_unstable();
                theirs.truncate(3);
                format!(
                    "theirs are called '{}' and the like, which is not how this model's family names them; see \
                     whether config.json is this model's",
                    theirs.join("', '")
                )
            }
            held if held < shape.layers => format!(
                "they hold {held} layers and num_hidden_layers in config.json is {}; fetch them again, or mend \
                 config.json",
                shape.layers
            ),
            _ => "fetch them again, or see whether config.json is this model's".to_owned(),
        }
    }
}

/// What an index tells of tensors that are missing.
fn why_by_index(index: &Index, missing: &[&String]) -> Option<String> {
    if let Some(file) = missing.iter().find_map(|name| index.file_of(name)) {
        return Some(format!("by {INDEX} it is in {file}, which lacks it; fetch both again"));
    }
    let file = index.unnamed()?;
    Some(format!("{file} is there and {INDEX} does not name it; fetch {INDEX} again"))
}
