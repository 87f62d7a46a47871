//! The description of a component. Its name is part of the run's folder, and it is recorded and printed.

use crate::{
    Error, Result,
    bindings::{
        description::{Clocks, DatasetInput, Parameter},
        types,
    },
    input_value::InputValue,
};
use std::collections::BTreeSet;

/// The most bytes of a description that the host stores. A valid description is smaller.
pub(crate) const MEMORY: usize = 16 << 20;

/// The most bytes of the name of an experiment, parameter or dataset.
const NAME: usize = 64;
/// The most bytes of a version.
const VERSION: usize = 64;
/// The most bytes of a summary.
const SUMMARY: usize = 1_000;
/// The most bytes of a parameter's default text.
const TEXT: usize = 10_000;
/// The most parameters of a component.
const PARAMETERS: usize = 1_000;
/// The most datasets of a component.
const DATASETS: usize = 100;

/// The description of an experiment or a policy.
#[derive(Clone, Debug)]
pub struct About {
    /// The name, in kebab case.
    pub name: String,
    /// The version of the component itself.
    pub version: String,
    /// One line about what it does.
    pub summary: String,
    /// The parameters that can be set.
    pub parameters: Vec<Parameter>,
    /// The datasets that can be granted.
    pub datasets: Vec<DatasetInput>,
    /// Which clock WASI shows.
    pub clocks: Clocks,
    /// The bytes of all parameters and datasets.
    added: usize,
}

impl About {
    /// Creates a description without parameters and datasets.
    pub fn new(name: String, version: String, summary: String) -> Self {
        let (parameters, datasets) = (Vec::new(), Vec::new());
        Self { name, version, summary, parameters, datasets, clocks: Clocks::Seeded, added: 0 }
    }

    /// Declares a parameter.
    pub fn add_parameter(&mut self, parameter: Parameter) {
        let text = if let types::Value::Text(text) = &parameter.default { text.len() } else { 0 };
        self.added +=
            size_of::<Parameter>() + parameter.name.len() + parameter.summary.len() + text;
        self.parameters.push(parameter);
    }

    /// Declares a dataset.
    pub fn add_dataset(&mut self, dataset: DatasetInput) {
        self.added += size_of::<DatasetInput>() + dataset.name.len() + dataset.summary.len();
        self.datasets.push(dataset);
    }

    /// The bytes that the description takes in memory.
    pub fn bytes(&self) -> usize {
        self.name.len() + self.version.len() + self.summary.len() + self.added
    }
}

/// Refuses a description that breaks the rules of `wit/description.wit`.
pub(crate) fn check(file: &str, about: &About) -> Result<()> {
    find_problem(about).map_or(Ok(()), |reason| {
        Err(Error::Input(format!("{file} describes itself wrongly: {reason}; mend its describe")))
    })
}

fn find_problem(about: &About) -> Option<String> {
    let About { name, version, summary, parameters, datasets, .. } = about;
    if parameters.len() > PARAMETERS || datasets.len() > DATASETS {
        return Some(format!(
            "it declares {} parameters and {} datasets, and may {PARAMETERS} and {DATASETS}",
            parameters.len(),
            datasets.len()
        ));
    }
    if version.len() > VERSION || version.contains(char::is_control) {
        return Some(format!("its version is no text of at most {VERSION} bytes"));
    }
    let own = [("its", name, summary)].into_iter();
    let own = own.chain(parameters.iter().map(|one| ("a parameter's", &one.name, &one.summary)));
    let all = own.chain(datasets.iter().map(|one| ("a dataset's", &one.name, &one.summary)));
    for (whose, name, summary) in all {
        if !is_kebab_case(name) {
            let name: String = name.chars().take(NAME).flat_map(char::escape_debug).collect();
            return Some(format!(
                "{whose} name '{name}' is not kebab case (words of a-z and 0-9 with single hyphens between) of at most {NAME} bytes"
            ));
        }
        if summary.len() > SUMMARY || summary.contains(char::is_control) {
            return Some(format!("the summary of '{name}' is no line of at most {SUMMARY} bytes"));
        }
    }
    for parameter in parameters {
        let is_fit = match InputValue::from(parameter.default.clone()) {
            InputValue::Text(text) => text.len() <= TEXT,
            InputValue::Number(number) => number.is_finite(),
            InputValue::Integer(_) | InputValue::Boolean(_) => true,
        };
        if !is_fit {
            let name = &parameter.name;
            return Some(format!(
                "the default of '{name}' is no finite number or text of at most {TEXT} bytes"
            ));
        }
    }
    let parameters = find_repeated(parameters.iter().map(|one| &one.name));
    let repeated = parameters.or_else(|| find_repeated(datasets.iter().map(|one| &one.name)));
    repeated.map(|name| format!("it declares '{name}' twice"))
}

/// Returns true if a name consists of words of `a` to `z` and digits, separated by single hyphens, of at most 64 bytes.
pub(crate) fn is_kebab_case(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_word = |word: &str| !word.is_empty() && word.chars().all(is_plain);
    name.len() <= NAME && name.split('-').all(is_word)
}

fn find_repeated<'a>(mut names: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    let mut seen = BTreeSet::new();
    names.find(|name| !seen.insert(*name))
}

/// Refuses policies that declare one parameter with different defaults. `whole` is the description of the runner and
/// the policies together, which declares each name once. Each policy comes with its name for messages.
pub(crate) fn check_agreement(whole: &About, policies: &[(String, &About)]) -> Result<()> {
    for parameter in &whole.parameters {
        let default = json(&parameter.default);
        let declaring = policies.iter().filter_map(|(policy, about)| {
            let same = about.parameters.iter().find(|one| one.name == parameter.name)?;
            Some((policy, json(&same.default)))
        });
        let Some((other, value)) = declaring.clone().find(|(_, value)| *value != default) else {
            continue;
        };
        let mut agreeing = declaring.filter(|(_, value)| *value == default);
        let first = agreeing.next().map_or("the runner", |(policy, _)| policy);
        return Err(Error::Input(format!(
            "{first} and {other} both declare the parameter '{}', with the defaults {default} and {value}: give both one default, or rename one",
            parameter.name
        )));
    }
    Ok(())
}

fn json(value: &types::Value) -> serde_json::Value {
    InputValue::from(value.clone()).to_json()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kebab_case_is_words_and_single_hyphens() {
        let long = "a".repeat(NAME);
        for name in ["a", "new-tokens", "2x", "top-1-of-5", &long] {
            assert!(is_kebab_case(name), "{name}");
        }
        let long = "a".repeat(NAME + 1);
        for name in ["", "-a", "a-", "a--b", "A", "a_b", "a b", "é", "../x", "a\n", &long] {
            assert!(!is_kebab_case(name), "{name}");
        }
    }
}
