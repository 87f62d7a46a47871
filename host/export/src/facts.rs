//! What a run was made of, in groups: what MLflow calls parameters and W&B calls the config.

use crate::run::ExportedRun;
use llem_record::{RunPlan, RunRecord};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The facts of a run by group and name. Both are texts that a script may have chosen.
pub(crate) type Facts = BTreeMap<&'static str, BTreeMap<String, Value>>;

/// Collects the facts of a run.
pub(crate) fn facts(run: &ExportedRun) -> Facts {
    let record = run.record();
    let plan = &record.plan;
    let mut facts = Facts::from([
        ("parameters", plan.parameters.clone()),
        ("grants", grants(plan)),
        ("run", of_run(run)),
        ("models", models(record)),
        ("host", host(record)),
    ]);
    let components = plan.components.iter().map(|component| {
        let told = json!({
            "name": component.name,
            "version": component.version,
            "digest": component.digest,
            "file": component.file,
        });
        (component.role.clone(), told)
    });
    facts.insert("components", components.collect());
    if let Some(host) = &plan.synthetic_host {
        let figures = host.figures.iter().map(|(name, figure)| (name.clone(), json!(figure)));
        facts.insert("synthetic_host", figures.collect());
    }
    facts.retain(|_, of| !of.is_empty());
    facts
}

fn of_run(run: &ExportedRun) -> BTreeMap<String, Value> {
    let record = run.record();
    let (plan, build) = (&record.plan, &record.plan.build);
    let all = [
        ("id", json!(record.id)),
        ("status", json!(record.status)),
        ("simulated", json!(run.is_simulated())),
        ("started_at", json!(record.started_at)),
        ("seed", json!(plan.seed)),
        ("date", json!(plan.date)),
        ("llem_version", json!(plan.llem_version)),
        ("llem_revision", json!(build.revision)),
        ("schema_version", json!(record.schema_version)),
    ];
    known(all)
}

fn grants(plan: &RunPlan) -> BTreeMap<String, Value> {
    let grants = &plan.grants;
    let mut all = known([
        ("model", json!(grants.model)),
        ("device", json!(grants.device)),
        ("dtype", json!(grants.dtype)),
    ]);
    if !grants.adapters.is_empty() {
        all.insert("adapters".to_owned(), json!(grants.adapters));
    }
    let further = grants.models.iter().skip(1);
    all.extend(further.map(|model| (format!("model {}", model.name), json!(model))));
    let datasets = grants.datasets.iter();
    all.extend(datasets.map(|dataset| {
        let told = json!({ "file": dataset.file, "digest": dataset.digest });
        (format!("dataset {}", dataset.name), told)
    }));
    all
}

fn models(record: &RunRecord) -> BTreeMap<String, Value> {
    let models = record.models.iter().enumerate().flat_map(|(place, model)| {
        let number = model.number.unwrap_or(place as u64);
        let told = known([
            ("source", json!(model.source)),
            ("architecture", json!(model.architecture)),
            ("digest", json!(model.digest)),
            ("parameters", json!(model.parameters)),
            ("weight_bytes", json!(model.weight_bytes)),
            ("dtype", json!(model.dtype)),
            ("kv_dtype", json!(model.kv_dtype)),
            ("quantization", json!(model.quantization)),
            ("device", json!(model.device)),
            ("tensor_parallel", json!(model.parallelism.tensor)),
            ("pipeline_parallel", json!(model.parallelism.pipeline)),
            ("data_parallel", json!(model.parallelism.data)),
        ]);
        told.into_iter().map(move |(name, value)| (format!("{number} {name}"), value))
    });
    models.collect()
}

fn host(record: &RunRecord) -> BTreeMap<String, Value> {
    let host = &record.plan.host;
    let mut all = known([
        ("system", json!(host.system)),
        ("cpu", json!(host.cpu)),
        ("memory_bytes", json!(host.memory_bytes)),
        ("threads", json!(host.threads)),
        ("simd", json!(host.simd)),
    ]);
    let devices = record.devices.iter();
    all.extend(devices.map(|device| (format!("device {}", device.id), json!(device.name))));
    all
}

/// Leaves out what is `null`.
fn known<const N: usize>(all: [(&str, Value); N]) -> BTreeMap<String, Value> {
    let known = all.into_iter().filter(|(_, value)| !value.is_null());
    known.map(|(name, value)| (name.to_owned(), value)).collect()
}
