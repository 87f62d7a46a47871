//! From a command line's words to what a script is given: parameters and datasets.

use crate::{Error, Result, about::About, state::Inputs, value::Value};
use std::{collections::BTreeMap, path::PathBuf};

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
        let default = Value::from(parameter.default.clone());
        let value = match given.parameters.get(&parameter.name) {
            Some(text) => parse(&parameter.name, text, &default)?,
            None => default,
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

fn parse(name: &str, text: &str, default: &Value) -> Result<Value> {
    default
        .parse(text)
        .map_err(|kind| Error::Input(format!("parameter '{name}' must be {kind}, not '{text}'")))
}
