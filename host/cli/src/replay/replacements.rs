//! What a replay is given in place of what the record says.

use super::ReplayError;
use llem_record::RunPlan;
use std::collections::{BTreeMap, BTreeSet};

/// The values, files and names of the command line of a replay.
#[derive(Debug, Default)]
pub(crate) struct Replacements {
    /// Values of parameters.
    pub parameters: BTreeMap<String, String>,
    /// Files of datasets.
    pub datasets: BTreeMap<String, String>,
    /// Files of components, by role.
    pub components: BTreeMap<String, String>,
    /// Sources of models, by name.
    pub models: BTreeMap<String, String>,
    /// Sources of adapters, by name.
    pub adapters: BTreeMap<String, String>,
    /// The file of a synthetic host's figures.
    pub synthetic_host: Option<String>,
    /// Values of options that replace those of the record, by the option's name.
    pub options: BTreeMap<&'static str, Vec<String>>,
    /// Names of what may differ from the record.
    pub changed: BTreeSet<String>,
    /// Whether limits of the record may be higher than the defaults.
    pub allows_limits: bool,
}

/// The name by which the figures of a synthetic host are allowed to change.
pub(super) const SYNTHETIC_HOST: &str = "synthetic-host";

impl Replacements {
    /// Refuses names that the run does not have. `adapters` are the names of its adapters.
    ///
    /// # Errors
    /// Fails on the first such name, and lists those that the run has.
    pub(crate) fn check_names(
        &self,
        plan: &RunPlan,
        adapters: &[String],
    ) -> Result<(), ReplayError> {
        let roles = || plan.components.iter().flat_map(|component| component.role.split('+'));
        let datasets = || plan.grants.datasets.iter().map(|dataset| dataset.name.as_str());
        let models = || model_names(plan).into_iter();
        let adapters = || adapters.iter().map(String::as_str);
        let shipped = plan.components.iter().filter(|component| component.is_shipped);
        let shipped = shipped.map(|component| component.file.as_str());
        let host = plan.synthetic_host.iter().map(|_| SYNTHETIC_HOST);
        let all =
            roles().chain(shipped).chain(datasets()).chain(models()).chain(adapters()).chain(host);
        check("component", self.components.keys(), roles().collect())?;
        check("dataset", self.datasets.keys(), datasets().collect())?;
        check("model", self.models.keys(), models().collect())?;
        check("adapter", self.adapters.keys(), adapters().collect())?;
        check("allow-changed", self.changed.iter(), all.collect())
    }
}

/// Returns the names of the models that the script may load.
fn model_names(plan: &RunPlan) -> Vec<&str> {
    match &plan.grants.models[..] {
        // Records of llem 0.1 have one model without a name.
        [] => vec![llem_runtime::DEFAULT_MODEL],
        models => models.iter().map(|model| model.name.as_str()).collect(),
    }
}

fn check<'a>(
    option: &'static str,
    mut names: impl Iterator<Item = &'a String>,
    known: BTreeSet<&str>,
) -> Result<(), ReplayError> {
    names.find(|name| !known.contains(name.as_str())).map_or(Ok(()), |name| {
        let known = match known.is_empty() {
            true => "none".to_owned(),
            false => known.into_iter().collect::<Vec<_>>().join(", "),
        };
        Err(ReplayError::UnknownName { option, name: name.clone(), known })
    })
}
