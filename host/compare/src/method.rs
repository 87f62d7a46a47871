//! Compares the method of two runs: everything that a person chose, and that decides what is measured.

use crate::{
    difference::{Difference, Facts},
    run::ComparedRun,
};
use llem_record::{ComponentRecord, ComponentSource, RunRecord};

/// The languages whose components differ from build to build although nothing else does.
const NOT_REPRODUCIBLE: [&str; 3] = ["python", "javascript", "typescript"];

/// The settings of the meter that a person chooses.
const METER_SETTINGS: [&str; 4] =
    ["sample_period_ns", "aligns_windows", "keeps_timeline", "power_model"];

/// The fields of a loaded model that belong to the method. The others follow from them, say where it was read from, or
/// were measured.
const MODEL_FIELDS: [&str; 9] = [
    "architecture",
    "digest",
    "seed",
    "dtype",
    "kv_dtype",
    "quantization",
    "device",
    "stands_in",
    "parallelism",
];

/// Returns true if two components were built from the same code with the same tools and SDK, in a language whose builds do not
/// give equal bytes. Then their digests may differ.
pub fn is_same_source(first: &ComponentSource, second: &ComponentSource) -> bool {
    NOT_REPRODUCIBLE.contains(&first.language.as_str())
        && first.language == second.language
        && first.digest == second.digest
        && first.tools == second.tools
        && first.sdk == second.sdk
}

/// Returns what two runs do not have in common, by name.
pub(crate) fn differences(first: &ComparedRun, second: &ComparedRun) -> Vec<Difference> {
    let (one, other) = (first.record(), second.record());
    let [mut facts, mut others] =
        [(one, other), (other, one)].map(|(record, other)| facts(record, other));
    if !(first.is_complete() && second.is_complete()) {
        // A run that was cut short may have loaded less.
        let loaded = |name: &str| name.starts_with("model ") || name.starts_with("adapter ");
        let [before, after] = [facts.names(loaded), others.names(loaded)];
        facts.remove(|name| loaded(name) && !after.contains(name));
        others.remove(|name| loaded(name) && !before.contains(name));
    }
    Facts::differences(&facts, &others)
}

/// Returns the roles of the components whose bytes differ although they were built from the same code.
pub(crate) fn rebuilt(first: &RunRecord, second: &RunRecord) -> Vec<String> {
    let components = first.plan.components.iter();
    let rebuilt = components.filter(|component| {
        is_rebuilt(component, second)
            && !second.plan.components.iter().any(|other| other.digest == component.digest)
    });
    rebuilt.map(|component| component.role.clone()).collect()
}

/// Returns true if the other run has this component, built from the same code in a language whose builds differ.
fn is_rebuilt(component: &ComponentRecord, other: &RunRecord) -> bool {
    let same_role = other.plan.components.iter().find(|other| other.role == component.role);
    let sources = same_role.and_then(|other| component.source.as_ref().zip(other.source.as_ref()));
    sources.is_some_and(|(one, other)| is_same_source(one, other))
}

fn facts(record: &RunRecord, other: &RunRecord) -> Facts {
    let mut facts = Facts::default();
    let plan = &record.plan;
    for component in &plan.components {
        let name = |field| format!("{}: {field}", component.role);
        facts.add(name("name"), &component.name);
        facts.add(name("version"), &component.version);
        match &component.source {
            Some(source) if is_rebuilt(component, other) => {
                facts.add(name("digest of the sources"), &source.digest);
            }
            _ => facts.add(name("digest"), &component.digest),
        }
    }
    for (name, value) in &plan.parameters {
        facts.add_fields(&format!("parameter {name}"), value);
    }
    facts.add("seed", plan.seed);
    for dataset in &plan.grants.datasets {
        facts.add(format!("dataset {}: digest", dataset.name), &dataset.digest);
    }
    // Records of older schemas lack some limits, the meter's settings and the format of keys and values.
    let limits = plan.limits.iter().filter(|(name, _)| other.plan.limits.contains_key(*name));
    for (name, value) in limits {
        facts.add(format!("limit {name}"), value);
    }
    if let Some(metering) = plan.metering.as_ref().filter(|_| other.plan.metering.is_some()) {
        facts.add_chosen_fields("meter: ", metering, &METER_SETTINGS);
    }
    if let Some(host) = &plan.synthetic_host {
        facts.add("synthetic host: seed", host.seed);
        for (name, figure) in &host.figures {
            facts.add(format!("synthetic host: {name}"), figure.value);
        }
    }
    for (place, model) in record.models.iter().enumerate() {
        facts.add_chosen_fields(&format!("model {place}: "), model, &MODEL_FIELDS);
        if other.models.get(place).is_some_and(|other| other.kv_dtype.is_none()) {
            facts.remove(|name| name == format!("model {place}: kv_dtype"));
        }
    }
    for (place, adapter) in record.adapters.iter().enumerate() {
        let name = |field| format!("adapter change {place}: {field}");
        facts.add(name("name"), &adapter.name);
        facts.add_fields(&name("change"), &adapter.change);
        facts.add(name("digest"), &adapter.digest);
    }
    facts
}
