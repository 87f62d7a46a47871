//! The configurations that a report compares: groups of requests with one label, phase and model of one run.

use crate::{
    requests::{GroupSamples, Key},
    run::LoadedRun,
    visible::visible,
};
use llem_record::{DomainRecord, ModelRecord, RequestGroup};

/// A group of requests of a run.
pub(crate) struct Configuration<'a> {
    pub loaded: &'a LoadedRun,
    pub group: &'a RequestGroup,
    /// The name in charts and tables, unique in a report.
    pub name: String,
    pub samples: Option<&'a GroupSamples>,
}

/// Returns the measured configurations of all runs. Groups of warm-up phases are left out, unless a run has no other.
pub(crate) fn configurations<'a>(
    runs: &'a [LoadedRun],
    names: &[String],
) -> Vec<Configuration<'a>> {
    let mut all = Vec::new();
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
            let mut parts = Vec::new();
            if runs.len() > 1 {
                parts.push(names[run].clone());
            }
            if !(is_alone && runs.len() > 1) {
                let label = if group.label.is_empty() { "requests" } else { &group.label };
                parts.push(visible(label));
            }
            if has_phases && !group.phase.is_empty() {
                parts.push(visible(&group.phase));
            }
            if let Some(model) = group.model.filter(|_| has_models) {
                parts.push(format!("model {model}"));
            }
            let key: Key = (group.model, group.phase.clone(), group.label.clone());
            let samples = loaded.requests.group(&key);
            all.push(Configuration { loaded, group, name: parts.join(" · "), samples });
        }
    }
    all
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
