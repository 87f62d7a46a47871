//! From a command line's words to what a run is given: parameters, datasets, the model.

use crate::{Error, Result, bindings::description::About, state::Inputs, value::Value};
use std::{collections::BTreeMap, path::PathBuf};

/// What was given with `-p` and `--dataset`, by name.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Parameter values, as text.
    pub parameters: BTreeMap<String, String>,
    /// Files.
    pub datasets: BTreeMap<String, PathBuf>,
}

/// Gives each component what it declared, and refuses what none of them did.
pub fn resolve(given: &Given, components: &[About]) -> Result<Vec<Inputs>> {
    refuse_unknown(
        "parameter",
        given.parameters.keys(),
        components
            .iter()
            .flat_map(|about| about.parameters.iter().map(|p| p.name.as_str()))
            .collect(),
    )?;
    refuse_unknown(
        "dataset",
        given.datasets.keys(),
        components
            .iter()
            .flat_map(|about| about.datasets.iter().map(|d| d.name.as_str()))
            .collect(),
    )?;
    components.iter().map(|about| inputs(given, about)).collect()
}

fn inputs(given: &Given, about: &About) -> Result<Inputs> {
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
    declared.dedup();
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
