//! The configurations that a report compares: groups of requests with one label, phase and model of one run.

use crate::{
    requests::{GroupSamples, Key},
    run::LoadedRun,
    visible::visible_part,
};
use llem_record::{DomainRecord, ModelRecord, RequestGroup};
use std::collections::BTreeMap;

/// The most characters of a label or phase in a name. Charts and tables repeat it often.
const LONGEST: usize = 60;

/// A group of requests of a run.
pub(crate) struct Configuration<'a> {
    pub loaded: &'a LoadedRun,
    pub group: &'a RequestGroup,
    /// The name in charts and tables, unique in a report.
    pub name: String,
    /// The place of the run in the report, and its name.
    pub run: (usize, String),
    /// What tells the group from others of its run: label, and phase and model if they differ. Groups of several runs may have
    /// the same.
    pub part: String,
    pub samples: Option<&'a GroupSamples>,
}

/// Returns the measured configurations of all runs. Groups of warm-up phases are left out, unless a run has no other.
pub(crate) fn configurations<'a>(
    runs: &'a [LoadedRun],
    names: &[String],
) -> Vec<Configuration<'a>> {
    let mut all = Vec::new();
    let mut used = UsedNames::new();
    for (run, loaded) in runs.iter().enumerate() {
        let groups = &loaded.record.groups;
        let is_warmup = |group: &&RequestGroup| group.phase.split('/').any(|part| part == "warmup");
        let mut measured: Vec<&RequestGroup> =
            groups.iter().filter(|group| !is_warmup(group)).collect();
        if measured.is_empty() {
            measured = groups.iter().collect();
        }
        let has_phases = measured.iter().any(|group| group.phase != measured[0].phase);
        let has_models = measured.iter().any(|group| group.model != measured[0].model);
        let is_alone = measured.len() == 1;
        for group in measured {
            let label = if group.label.is_empty() { "requests" } else { &group.label };
            let mut parts = vec![visible_part(label, LONGEST)];
            if has_phases && !group.phase.is_empty() {
                parts.push(visible_part(&group.phase, LONGEST));
            }
            if let Some(model) = group.model.filter(|_| has_models) {
                parts.push(format!("model {model}"));
            }
            let part = parts.join(" · ");
            let name = match (runs.len() > 1, is_alone) {
                (true, true) => names[run].clone(),
                (true, false) => format!("{} · {part}", names[run]),
                (false, _) => part.clone(),
            };
            let name = unique(name, &mut used);
            let key: Key = (group.model, group.phase.clone(), group.label.clone());
            let samples = loaded.requests.group(&key);
            let run = (run, names[run].clone());
            all.push(Configuration { loaded, group, name, run, part, samples });
        }
    }
    all
}

/// Names that are in use, each with how often it was asked for.
pub(crate) type UsedNames = BTreeMap<String, usize>;

/// Returns the name, with a number if it is in use. Long labels that differ only at their end are cut to the same name.
pub(crate) fn unique(name: String, used: &mut UsedNames) -> String {
    let mut free = name.clone();
    while used.contains_key(&free) {
        let count = used.entry(name.clone()).or_default();
        *count += 1;
        free = format!("{name} ({})", *count + 1);
    }
    used.insert(free.clone(), 0);
    free
}

impl Configuration<'_> {
    /// Returns the model that served the group, if the record tells.
    pub(crate) fn model(&self) -> Option<&ModelRecord> {
        let models = &self.loaded.record.models;
        match self.group.model {
            Some(number) => models.iter().find(|model| model.number == Some(number)),
            None => models.first(),
        }
    }
}

/// Returns the domains that an energy covers, as text.
pub(crate) fn covered(domains: &[DomainRecord]) -> String {
    let names = domains.iter().map(|domain| format!("{} {}", domain.device, domain.domain));
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_get_numbers() {
        let mut used = UsedNames::new();
        let names = ["a", "a", "a (2)", "a", "b"].map(|name| unique(name.to_owned(), &mut used));
        assert_eq!(names, ["a", "a (2)", "a (2) (2)", "a (3)", "b"]);
    }
}
