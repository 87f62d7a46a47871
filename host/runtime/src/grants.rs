//! What a run may do: the models and adapters that it may load, its limits, its seed, how it meters and what it keeps.

use crate::{Error, Limits, Metering, about::is_kebab_case};
use llem_engine::{
    AdapterSource, DType, Device, DigestOptions, ModelSource, Split, chat::DateTime,
    parallel::World,
};
use std::{str::FromStr, sync::Arc, time::Duration};

/// What the default model is called if it was given without a name.
pub const DEFAULT: &str = "default";

/// What the person who starts a run has decided of it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The models that may be loaded.
    pub models: Models,
    /// The seed of everything random.
    pub seed: u64,
    /// The date and time that chat templates are told.
    pub date: DateTime,
    /// What the components may use.
    pub limits: Limits,
    /// How to meter.
    pub metering: Metering,
    /// Whether prompts themselves are recorded, rather than their digests alone.
    pub keep_prompts: bool,
}

/// The models that a script may load. There is at least one.
#[derive(Clone, Debug)]
pub struct Models(Vec<Arc<ModelGrant>>);

impl Models {
    /// Models, of which the first is the default.
    ///
    /// # Errors
    /// There is none, a name is not kebab case, or two have one name.
    pub fn new(grants: Vec<ModelGrant>) -> crate::Result<Self> {
        if grants.is_empty() {
            return Err(Error::Input("no model is granted: add --model SOURCE".to_owned()));
        }
        for (index, ModelGrant { name, .. }) in grants.iter().enumerate() {
            if !is_kebab_case(name) {
                return Err(Error::Input(format!(
                    "the model name '{name}' is not kebab case (words of a-z and 0-9 with single hyphens between)"
                )));
            }
            if grants[..index].iter().any(|other| other.name == *name) {
                return Err(Error::Input(format!(
                    "a model '{name}' is given twice: write --model NAME=SOURCE with a name of its own for each"
                )));
            }
        }
        Ok(Self(grants.into_iter().map(Arc::new).collect()))
    }

    /// The model that is loaded where a script names none: the first that was given.
    pub fn default(&self) -> &Arc<ModelGrant> {
        &self.0[0]
    }

    /// The model of that name, otherwise the first of that source; `None` if neither was granted.
    pub fn get(&self, name: &str) -> Option<&Arc<ModelGrant>> {
        let named = self.0.iter().find(|grant| grant.name == name);
        named.or_else(|| self.0.iter().find(|grant| grant.source.is_called(name)))
    }

    /// All of them, in the order in which they were given.
    pub fn all(&self) -> &[Arc<ModelGrant>] {
        &self.0
    }
}

/// A model that a script may load.
#[derive(Clone, Debug)]
pub struct ModelGrant {
    /// What scripts call it: kebab case.
    pub name: String,
    /// Which.
    pub source: ModelSource,
    /// Number format, where one was given.
    pub dtype: Option<DType>,
    /// Where.
    pub device: Device,
    /// How it is split unless the script says otherwise.
    pub split: Split,
    /// Ranks that a script may split it over.
    pub max_ranks: usize,
    /// How long ranks wait for one another.
    pub rank_timeout: Duration,
    /// The processes that are its ranks; none means that they are threads.
    pub world: Option<Arc<World>>,
    /// How models and adapters are identified.
    pub digests: DigestOptions,
    /// The adapters that come with it, the first of which requests run with.
    pub adapters: Vec<AdapterGrant>,
    /// Whether the first is merged into the weights.
    pub merge: bool,
}

/// An adapter that a script may attach.
#[derive(Clone, Debug)]
pub struct AdapterGrant {
    /// The model that it is for; the default one where none was named.
    pub model: Option<String>,
    /// What it is called, where it was given a name.
    pub name: Option<String>,
    /// Which.
    pub source: AdapterSource,
}

impl AdapterGrant {
    /// What requests call it.
    pub fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.source.name())
    }
}

impl FromStr for AdapterGrant {
    type Err = llem_engine::Error;

    /// `[MODEL:][NAME=]SOURCE`, both names being of letters, digits, `-` and `_`. `synthetic:` begins a source.
    fn from_str(text: &str) -> llem_engine::Result<Self> {
        let model = text.split_once(':').filter(|(name, _)| is_name(name) && *name != "synthetic");
        let (model, rest) =
            model.map_or((None, text), |(name, rest)| (Some(name.to_owned()), rest));
        let (name, source) = named(rest);
        Ok(Self { model, name, source: source.parse()? })
    }
}

/// The name before the first `=`, if what stands there can be one, and the rest.
pub fn named(text: &str) -> (Option<String>, &str) {
    match text.split_once('=').filter(|(name, _)| is_name(name)) {
        Some((name, rest)) => (Some(name.to_owned()), rest),
        None => (None, text),
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(name: &str, source: &str) -> ModelGrant {
        ModelGrant {
            name: name.to_owned(),
            source: source.parse().expect("a source"),
            dtype: None,
            device: Device::Cpu,
            split: Split::default(),
            max_ranks: 1,
            rank_timeout: Duration::from_secs(1),
            world: None,
            digests: DigestOptions::default(),
            adapters: Vec::new(),
            merge: false,
        }
    }

    #[test]
    fn a_model_is_found_by_its_name_and_then_by_its_source() {
        let models = Models::new(vec![
            grant("big", "org/big"),
            grant("draft", "synthetic:tiny"),
            grant("other", "synthetic:tiny"),
        ])
        .expect("models");
        let found = |name: &str| models.get(name).map(|grant| grant.name.as_str());
        assert_eq!(models.default().name, "big");
        assert_eq!(found("other"), Some("other"));
        assert_eq!(found("org/big"), Some("big"));
        assert_eq!(found("synthetic:tiny"), Some("draft"));
        assert_eq!(found("default"), None);
        assert!(Models::new(Vec::new()).is_err());
    }

    #[test]
    fn an_adapter_names_its_model_and_itself() {
        let read = |text: &str| {
            let grant: AdapterGrant = text.parse().expect("an adapter");
            (grant.model, grant.name, grant.source.to_string())
        };
        let text = |text: &str| Some(text.to_owned());
        let source = || "synthetic:rank=8,targets=all-linear".to_owned();
        assert_eq!(read("synthetic:rank=8"), (None, None, source()));
        assert_eq!(read("math=synthetic:rank=8"), (None, text("math"), source()));
        assert_eq!(read("big:synthetic:rank=8"), (text("big"), None, source()));
        assert_eq!(read("big:math=synthetic:rank=8"), (text("big"), text("math"), source()));
        assert_eq!(named("./a=b/model"), (None, "./a=b/model"));
    }
}
