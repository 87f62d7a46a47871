//! What a run may do: the model and adapters that it may load, its limits, its seed, how it meters and what it keeps.

use crate::{Limits, Metering};
use llem_engine::{
    AdapterSource, DType, Device, DigestOptions, ModelSource, Split, parallel::World,
};
use std::{str::FromStr, sync::Arc, time::Duration};

/// What the person who starts a run has decided of it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The model that may be loaded.
    pub model: ModelGrant,
    /// The seed of everything random.
    pub seed: u64,
    /// What the components may use.
    pub limits: Limits,
    /// How to meter.
    pub metering: Metering,
    /// Whether prompts themselves are recorded, rather than their digests alone.
    pub keep_prompts: bool,
}

/// The model that a script may load.
#[derive(Clone, Debug)]
pub struct ModelGrant {
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

    /// `SOURCE` or `NAME=SOURCE`, a name being of letters, digits, `-` and `_`.
    fn from_str(text: &str) -> llem_engine::Result<Self> {
        let is_name = |name: &str| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        };
        let (name, source) = match text.split_once('=').filter(|(name, _)| is_name(name)) {
            Some((name, source)) => (Some(name.to_owned()), source),
            None => (None, text),
        };
        Ok(Self { name, source: source.parse()? })
    }
}
