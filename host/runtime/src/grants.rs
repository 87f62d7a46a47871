//! The grants and settings of a run: the models and adapters that it may load, its limits, its seed, its meter and what
//! it records.

use crate::{Error, ExpectedDigests, Limits, MeterSetup, SyntheticHost, about::is_kebab_case};
use llem_engine::{
    AdapterSource, DType, DeviceId, DigestOptions, ModelSource, RANK_TIMEOUT, Split,
    SyntheticPasses, World,
    chat::{self, DateTime},
};
use std::{str::FromStr, sync::Arc, time::Duration};

/// The name of a model that was given without one.
pub const DEFAULT_MODEL: &str = "default";

/// The settings that the person who starts a run chooses.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunSettings {
    /// The models that a script may load.
    pub models: ModelGrants,
    /// The seed of all random numbers.
    pub seed: u64,
    /// The date and time for chat templates.
    pub date: DateTime,
    /// The limits on the components.
    pub limits: Limits,
    /// How the run is metered.
    pub meter: MeterSetup,
    /// Whether the text of prompts is recorded. Otherwise only their digests are.
    pub keep_prompts: bool,
    /// The digests that models and adapters must have, in a replay.
    pub expected: ExpectedDigests,
    /// The synthetic host that the run is on, with its passes. `None` means this machine.
    pub(crate) synthetic: Option<(SyntheticHost, SyntheticPasses)>,
}

impl RunSettings {
    /// Creates settings that grant these models. The seed is 0, the date is now, limits and meter have their defaults,
    /// and the text of prompts is not recorded.
    pub fn new(models: ModelGrants) -> Self {
        Self {
            models,
            seed: 0,
            date: chat::local_now(),
            limits: Limits::default(),
            meter: MeterSetup::default(),
            keep_prompts: false,
            expected: ExpectedDigests::default(),
            synthetic: None,
        }
    }

    /// Puts the run on a synthetic host: its meter and its passes are replaced, and the process uses a virtual clock from
    /// now on. It is called before the run's clock is started, after all other settings. The host is one CPU, and keeps
    /// nothing for later runs.
    ///
    /// # Errors
    /// Fails if a model is on another device or may be split over ranks, or if the meter is told to do what a synthetic
    /// host cannot.
    #[must_use = "the settings are returned"]
    pub fn on_synthetic_host(mut self, host: SyntheticHost) -> crate::Result<Self> {
        let refused = |flag: &str, why: &str| {
            Err(Error::Input(format!("--synthetic-host {why}: leave out {flag}")))
        };
        for grant in self.models.all() {
            if grant.device != DeviceId::Cpu {
                return refused("--device", "has one device, the CPU");
            }
            if grant.world.is_some() || grant.split.ranks() > 1 || grant.max_ranks > 1 {
                return refused("--tp, --pp, --dp, --max-ranks and the launcher", "has one rank");
            }
        }
        if self.meter.options.power_model.is_some() {
            return refused("--power-model", "has a power of its own, idle_watts");
        }
        if self.meter.options.align {
            return refused("--align-windows", "has no counters that tick");
        }
        let (passes, power) = host.start();
        self.meter.options.synthetic = Some(power);
        self.meter.kept = None;
        self.synthetic = Some((host, passes));
        Ok(self)
    }
}

/// The models that a script may load. There is at least one.
///
/// ```
/// use llem_runtime::{ModelGrant, ModelGrants};
///
/// let grant = |name: &str, source: &str| Ok::<_, llem_engine::Error>(ModelGrant::new(name, source.parse()?));
/// let models = ModelGrants::new(vec![grant("big", "org/big")?, grant("draft", "synthetic:tiny")?])?;
/// assert_eq!(models.default_model().name, "big");
/// assert_eq!(models.get("draft").expect("by its name").name, "draft");
/// assert_eq!(models.get("org/big").expect("by its source").name, "big");
/// assert!(models.get("other").is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ModelGrants(Vec<Arc<ModelGrant>>);

impl ModelGrants {
    /// Creates the list. The first model is the default.
    ///
    /// # Errors
    /// Fails if there is no model, if a name is not kebab case, or if two models have one name.
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

    /// The first model that was given, which is loaded if a script names none.
    pub fn default_model(&self) -> &Arc<ModelGrant> {
        &self.0[0]
    }

    /// Returns the model with that name, otherwise the first with that source. Returns `None` if neither was granted.
    pub fn get(&self, name: &str) -> Option<&Arc<ModelGrant>> {
        let named = self.0.iter().find(|grant| grant.name == name);
        named.or_else(|| self.0.iter().find(|grant| grant.source.is_called(name)))
    }

    /// All models, in the order in which they were given.
    pub fn all(&self) -> &[Arc<ModelGrant>] {
        &self.0
    }
}

/// A model that a script may load, and how.
#[derive(Clone, Debug)]
pub struct ModelGrant {
    /// The name that scripts use, in kebab case.
    pub name: String,
    /// Where the model is read from.
    pub source: ModelSource,
    /// The number format of the weights, or `None` for the checkpoint's own.
    pub dtype: Option<DType>,
    /// The device that the model is loaded on.
    pub device: DeviceId,
    /// How the model is split over ranks, unless the script chooses.
    pub split: Split,
    /// The most ranks that a script may split the model over.
    pub max_ranks: usize,
    /// How long ranks wait for one another.
    pub rank_timeout: Duration,
    /// The processes that are the model's ranks. `None` means that ranks are threads.
    pub world: Option<Arc<World>>,
    /// How files are hashed to identify models and adapters.
    pub digests: DigestOptions,
    /// The adapters that are attached after loading. Requests run with the first unless they name another.
    pub adapters: Vec<AdapterGrant>,
    /// Whether the first adapter is merged into the weights.
    pub merge: bool,
}

impl ModelGrant {
    /// Grants a model under a name, on the CPU, on one rank, in the number format of its checkpoint, without adapters.
    pub fn new(name: impl Into<String>, source: ModelSource) -> Self {
        Self {
            name: name.into(),
            source,
            dtype: None,
            device: DeviceId::Cpu,
            split: Split::default(),
            max_ranks: 1,
            rank_timeout: RANK_TIMEOUT,
            world: None,
            digests: DigestOptions::default(),
            adapters: Vec::new(),
            merge: false,
        }
    }
}

/// An adapter that a script may attach.
#[derive(Clone, Debug)]
pub struct AdapterGrant {
    /// The name of the model that it belongs to, or `None` for the default model.
    pub model: Option<String>,
    /// The name that was given to it, if any.
    pub name: Option<String>,
    /// Where the adapter is read from.
    pub source: AdapterSource,
}

impl AdapterGrant {
    /// The name that requests use: the given one, otherwise one made from the source.
    pub fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.source.name())
    }
}

impl FromStr for AdapterGrant {
    type Err = llem_engine::Error;

    /// Parses `[MODEL:][NAME=]SOURCE`. Both names consist of letters, digits, `-` and `_`. `synthetic:` begins a
    /// source.
    fn from_str(text: &str) -> llem_engine::Result<Self> {
        let model = text.split_once(':').filter(|(name, _)| is_name(name) && *name != "synthetic");
        let (model, rest) =
            model.map_or((None, text), |(name, rest)| (Some(name.to_owned()), rest));
        let (name, source) = split_name(rest);
        Ok(Self { model, name, source: source.parse()? })
    }
}

/// Splits a text at the first `=`, if what comes before can be a name.
pub fn split_name(text: &str) -> (Option<String>, &str) {
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
        ModelGrant::new(name, source.parse().expect("a source"))
    }

    #[test]
    fn a_model_is_found_by_its_name_and_then_by_its_source() {
        let models = ModelGrants::new(vec![
            grant("big", "org/big"),
            grant("draft", "synthetic:tiny"),
            grant("other", "synthetic:tiny"),
        ])
        .expect("models");
        let found = |name: &str| models.get(name).map(|grant| grant.name.as_str());
        assert_eq!(models.default_model().name, "big");
        assert_eq!(found("other"), Some("other"));
        assert_eq!(found("org/big"), Some("big"));
        assert_eq!(found("synthetic:tiny"), Some("draft"));
        assert_eq!(found("default"), None);
        assert!(ModelGrants::new(Vec::new()).is_err());
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
        assert_eq!(split_name("./a=b/model"), (None, "./a=b/model"));
    }
}
