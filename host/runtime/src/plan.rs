//! From a command line's words to what a run is given: parameters, datasets, the model.

use crate::{
    Error, Result,
    bindings::{description::About, types::Value},
    secrets,
    state::Inputs,
};
use llem_engine::{
    AdapterSource, DType, Device, DigestOptions, ModelSource, Split, parallel::World,
};
use std::{collections::BTreeMap, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

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

/// What was given with `-p` and `--dataset`, by name.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Parameter values, as text.
    pub parameters: BTreeMap<String, String>,
    /// Files.
    pub datasets: BTreeMap<String, PathBuf>,
}

/// Gives a component what it declared, and refuses what it did not.
pub fn resolve(given: &Given, about: &About) -> Result<Inputs> {
    let declared = about.parameters.iter().map(|parameter| parameter.name.as_str());
    refuse_unknown("parameter", given.parameters.keys(), declared.collect())?;
    let declared = about.datasets.iter().map(|dataset| dataset.name.as_str());
    refuse_unknown("dataset", given.datasets.keys(), declared.collect())?;
    let mut inputs = Inputs::default();
    for parameter in &about.parameters {
        let value = match given.parameters.get(&parameter.name) {
            Some(text) => parse(&parameter.name, text, &parameter.default)?,
            None => parameter.default.clone(),
        };
        inputs.parameters.insert(parameter.name.clone(), value);
    }
    for dataset in &about.datasets {
        match given.datasets.get(&dataset.name) {
            Some(file) => {
                inputs.datasets.insert(dataset.name.clone(), file.clone());
            }
            None if dataset.required => {
                return Err(Error::Input(format!(
                    "{} needs the dataset '{}' ({}): grant it with --dataset {}=FILE",
                    about.name, dataset.name, dataset.summary, dataset.name
                )));
            }
            None => {}
        }
    }
    Ok(inputs)
}

fn refuse_unknown<'a>(
    what: &str,
    mut given: impl Iterator<Item = &'a String>,
    mut declared: Vec<&str>,
) -> Result<()> {
    declared.sort_unstable();
    given.find(|name| !declared.contains(&name.as_str())).map_or(Ok(()), |name| {
        let known = if declared.is_empty() { "none".to_owned() } else { declared.join(", ") };
        Err(Error::Input(format!("unknown {what} '{name}': this experiment declares {known}")))
    })
}

/// Reads a value of the same case as the default.
fn parse(name: &str, text: &str, default: &Value) -> Result<Value> {
    let refuse =
        |kind: &str| Error::Input(format!("parameter '{name}' must be {kind}, not '{text}'"));
    match default {
        Value::Text(_) => Ok(Value::Text(text.to_owned())),
        Value::Integer(_) => text.parse().map(Value::Integer).map_err(|_| refuse("a whole number")),
        Value::Number(_) => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Value::Number(number)),
            _ => Err(refuse("a number")),
        },
        Value::Boolean(_) => text.parse().map(Value::Boolean).map_err(|_| refuse("true or false")),
    }
}

/// A parameter's value as the record keeps it: a text without secrets.
pub fn recorded(name: &str, value: &Value) -> serde_json::Value {
    match value {
        Value::Text(text) => secrets::recorded(name, text).into(),
        value => to_json(value),
    }
}

/// A value as JSON.
pub fn to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Text(text) => text.as_str().into(),
        Value::Integer(integer) => (*integer).into(),
        Value::Number(number) => (*number).into(),
        Value::Boolean(boolean) => (*boolean).into(),
    }
}
