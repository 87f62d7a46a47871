//! Resolves the parameters and datasets of the command line into the inputs of a script.

use crate::{Error, Result, about::About, input_value::InputValue};
use std::{collections::BTreeMap, path::PathBuf};

/// The values of `-p` and the files of `--dataset`, by name.
#[derive(Clone, Debug, Default)]
pub struct GivenInputs {
    /// The parameters' values as text.
    pub parameters: BTreeMap<String, String>,
    /// The files of the datasets.
    pub datasets: BTreeMap<String, PathBuf>,
}

/// The inputs that a component may read.
#[derive(Clone, Default)]
pub(crate) struct ResolvedInputs {
    /// The declared parameters with their values.
    pub parameters: BTreeMap<String, InputValue>,
    /// The granted datasets with their files.
    pub datasets: BTreeMap<String, PathBuf>,
}

/// Matches the given inputs with those that the component declares. Refuses inputs that it does not declare, and values
/// of another type.
pub(crate) fn resolve(given: &GivenInputs, about: &About) -> Result<ResolvedInputs> {
    let declared = about.parameters.iter().map(|parameter| parameter.name.as_str());
    refuse_unknown("parameter", given.parameters.keys(), declared.collect())?;
    let declared = about.datasets.iter().map(|dataset| dataset.name.as_str());
    refuse_unknown("dataset", given.datasets.keys(), declared.collect())?;
    let mut inputs = ResolvedInputs::default();
    for parameter in &about.parameters {
        let default = InputValue::from(parameter.default.clone());
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

fn parse(name: &str, text: &str, default: &InputValue) -> Result<InputValue> {
    default
        .parse(text)
        .map_err(|kind| Error::Input(format!("parameter '{name}' must be {kind}, not '{text}'")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::{
        description::{DatasetInput, Parameter},
        types,
    };

    /// A component with the parameters `rounds` (2) and `label` ("a"), a required dataset and an optional one.
    fn about() -> About {
        let mut about = About::new("test".to_owned(), "1.0".to_owned(), "A test".to_owned());
        for (name, default) in
            [("rounds", types::Value::Integer(2)), ("label", types::Value::Text("a".to_owned()))]
        {
            let (name, summary) = (name.to_owned(), String::new());
            about.add_parameter(Parameter { name, summary, default });
        }
        for (name, required) in [("prompts", true), ("more", false)] {
            let (name, summary) = (name.to_owned(), "texts".to_owned());
            about.add_dataset(DatasetInput { name, summary, required });
        }
        about
    }

    fn given(parameters: &[(&str, &str)], datasets: &[(&str, &str)]) -> GivenInputs {
        let text = |text: &str| text.to_owned();
        GivenInputs {
            parameters: parameters.iter().map(|(name, value)| (text(name), text(value))).collect(),
            datasets: datasets.iter().map(|(name, file)| (text(name), file.into())).collect(),
        }
    }

    fn refusal(given: &GivenInputs) -> String {
        resolve(given, &about()).err().expect("a refusal").to_string()
    }

    #[test]
    fn a_value_that_is_not_given_has_its_default() {
        let given = given(&[("rounds", "5")], &[("prompts", "prompts.csv")]);
        let inputs = resolve(&given, &about()).expect("all is given");
        assert_eq!(inputs.parameters["rounds"], InputValue::Integer(5));
        assert_eq!(inputs.parameters["label"], InputValue::Text("a".to_owned()));
        assert_eq!(inputs.datasets.len(), 1);
    }

    #[test]
    fn an_input_that_is_not_declared_is_refused() {
        let refused = refusal(&given(&[("round", "5")], &[("prompts", "prompts.csv")]));
        assert_eq!(refused, "unknown parameter 'round': this experiment declares label, rounds");
        let refused = refusal(&given(&[], &[("prompts", "a"), ("text", "b")]));
        assert_eq!(refused, "unknown dataset 'text': this experiment declares more, prompts");
    }

    #[test]
    fn a_value_of_another_type_is_refused() {
        let refused = refusal(&given(&[("rounds", "x")], &[("prompts", "prompts.csv")]));
        assert_eq!(refused, "parameter 'rounds' must be a whole number, not 'x'");
    }

    #[test]
    fn a_required_dataset_must_be_given() {
        let refused = refusal(&given(&[], &[]));
        let expected =
            "test needs the dataset 'prompts' (texts): grant it with --dataset prompts=FILE";
        assert_eq!(refused, expected);
    }
}
