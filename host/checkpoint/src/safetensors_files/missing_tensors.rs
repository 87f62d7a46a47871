//! Refuses a checkpoint that lacks tensors of its model, and explains why they may be missing.

use super::{INDEX_FILE, SafetensorsFiles, WeightIndex, and_others};
use crate::{Error, Result, families::Shape};
use std::collections::BTreeSet;

/// Parts of tensor names which show that an adapter was saved with its model.
const ADAPTER_PARTS: [&str; 3] = ["lora_A", "lora_B", "base_layer"];

impl SafetensorsFiles {
    /// Checks that the files have all `expected` tensors.
    ///
    /// # Errors
    /// Returns an error that names the first missing tensor and the likely reason.
    pub(super) fn check_missing(&self, expected: &[String], shape: &Shape) -> Result<()> {
        let missing: Vec<&String> =
            expected.iter().filter(|name| !self.locations.contains_key(*name)).collect();
        let Some(first) = missing.first() else { return Ok(()) };
        let reason = format!(
            "tensor {first}{} {} missing from its safetensors files: {}",
            and_others(missing.len()),
            if missing.len() == 1 { "is" } else { "are" },
            self.explain_missing(&missing, shape)
        );
        Err(Error::file(&self.folder, reason))
    }

    fn explain_missing(&self, missing: &[&String], shape: &Shape) -> String {
        let is_adapted = |name: &str| name.split('.').any(|part| ADAPTER_PARTS.contains(&part));
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
        if let Some(reason) = self.index.as_ref().and_then(|index| explain_by_index(index, missing))
        {
            return reason;
        }
        let layers = format!("{}.{}.", shape.names.base, shape.names.layers);
        let found_layers: BTreeSet<&str> = (self.names())
            .filter_map(|name| Some(name.strip_prefix(&layers)?.split_once('.')?.0))
            .collect();
        match found_layers.len() {
            0 => {
                let mut names: Vec<&str> = self.names().collect();
                names.sort_unstable();
                names.truncate(3);
                format!(
                    "theirs are called '{}' and the like, which is not how this model's family names them; see \
                     whether config.json is this model's",
                    names.join("', '")
                )
            }
            count if count < shape.layers => format!(
                "they hold {count} layers and num_hidden_layers in config.json is {}; fetch them again, or mend \
                 config.json",
                shape.layers
            ),
            _ => "fetch them again, or see whether config.json is this model's".to_owned(),
        }
    }
}

/// Explains missing tensors by the index: a damaged file, or a file that the index does not list.
fn explain_by_index(index: &WeightIndex, missing: &[&String]) -> Option<String> {
    if let Some(file) = missing.iter().find_map(|name| index.file_of(name)) {
        return Some(format!("by {INDEX_FILE} it is in {file}, which lacks it; fetch both again"));
    }
    let file = index.find_unlisted_file()?;
    Some(format!("{file} is there and {INDEX_FILE} does not name it; fetch {INDEX_FILE} again"))
}
