//! The description of a family's config class in transformers, and how a `config.json` is read by it.
//!
//! ```text
//! config.json ─► ConfigClass::read ─► one value per field, under this crate's names ─► Config
//!                      │   spelling that wins, type of the value, the class's default
//!                      └─► warnings: fields that are unknown
//! ```

use super::{
    ConfigError, RopeRule, common_fields,
    field::{Field, RefusedField},
};
use serde_json::{Map, Value};

/// A config class of transformers 5, as far as this crate needs it.
#[derive(Debug)]
pub(crate) struct ConfigClass {
    /// The value of `model_type` in the class's files.
    pub model_type: &'static str,
    /// The name of the config class, such as `LlamaConfig`.
    pub name: &'static str,
    /// The name of the language model's class, such as `LlamaForCausalLM`.
    pub architecture: &'static str,
    /// The fields that decide what the model computes.
    pub fields: &'static [Field],
    /// The fields with a value that this version cannot compute.
    pub refused: &'static [RefusedField],
    /// Other fields of the class and of published files. They do not change what the model computes.
    pub inert: &'static [&'static str],
    /// Where the class keeps the parameters of its rotary embeddings.
    pub rope: RopeRule,
}

impl ConfigClass {
    /// Reads the fields of a file. The result has the names of [`super::Config`].
    ///
    /// # Errors
    /// Returns an error if a value has the wrong type, or requests what this version cannot compute.
    pub(crate) fn read(
        &self,
        json: &Map<String, Value>,
    ) -> Result<Map<String, Value>, ConfigError> {
        for refused in common_fields::REFUSED.iter().chain(self.refused) {
            refused.check(json)?;
        }
        let value = |field: &Field| Ok((field.target.to_owned(), field.read(json)?));
        self.fields.iter().map(value).collect()
    }

    /// Returns a warning for each field of a file that is unknown for this class and for the published files of its
    /// family.
    pub(crate) fn warnings(&self, json: &Map<String, Value>) -> Vec<String> {
        let unknown = json.keys().filter(|name| !self.knows(name));
        let sentence = |name: &String| {
            format!("config.json: {} has no field {name}, which has no effect here", self.name)
        };
        unknown.map(sentence).collect()
    }

    fn knows(&self, name: &str) -> bool {
        let mut refused = common_fields::REFUSED.iter().chain(self.refused);
        self.fields.iter().flat_map(Field::spellings).any(|known| known == name)
            || refused.any(|refused| refused.name == name)
            || self.inert.contains(&name)
            || self.rope.names().contains(&name)
            || common_fields::is_inert(name)
    }

    /// Returns the class's name of a field of [`super::Config`].
    pub(crate) fn name_of(&self, target: &'static str) -> &'static str {
        self.fields.iter().find(|field| field.target == target).map_or(target, |field| field.name)
    }
}
