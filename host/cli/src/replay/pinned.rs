//! Sets the options of a replay that the fields of the record decide.

use super::{RecordedCommand, Replacements, ReplayError, recorded_command::NOT_RECORDED};
use llem_compare::ComparedRun;
use llem_record::{RunPlan, RunRecord};
use serde_json::Value;

/// The options that belong to one run alone.
const OF_ONE_RUN: [&str; 5] = ["out", "json", "live", "serve-metrics", "otlp-endpoint"];

/// The limits of a record, with the options that set them and the unit of these, in the limit's own.
const LIMITS: [(&str, &str, u64); 6] = [
    ("deadline_s", "deadline", 1),
    ("memory_bytes", "max-memory", 1 << 20),
    ("resources", "max-resources", 1),
    ("models", "max-models", 1),
    ("output_bytes", "max-output", 1 << 20),
    ("call_bytes", "max-call", 1 << 20),
];

/// Refuses a record that does not say how its run was started. Returns what a reader of the replay must know about records
/// that do not say everything.
pub(crate) fn check_replayable(run: &ComparedRun) -> Result<Vec<String>, ReplayError> {
    let record = run.record();
    if record.recovered.as_ref().is_some_and(|recovery| !recovery.plan_known) {
        return Err(ReplayError::NoPlan(run.folder().to_path_buf()));
    }
    let mut notes = Vec::new();
    if record.plan.date.is_none() {
        notes.push(format!(
            "the record, of schema {}, does not have the date that chat templates saw: the replay has the present one unless --date gives it",
            record.schema_version
        ));
    }
    if let Some(processes) = processes(&record.plan) {
        notes.push(format!(
            "the run had {processes} processes: the replay has the same ranks in one process, unless it is launched as several"
        ));
    }
    Ok(notes)
}

/// Returns the number of processes that a launcher started for the run, if there were several.
fn processes(plan: &RunPlan) -> Option<u64> {
    let variables = ["WORLD_SIZE", "SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE"];
    let counts = variables.iter().filter_map(|name| plan.environment.get(*name)?.parse().ok());
    counts.max().filter(|count| *count > 1)
}

/// Sets seed, date, parameters, limits and the meter's period as the record has them, and the options that are given anew.
///
/// # Errors
/// The value of a parameter is not recorded and not given again.
pub(crate) fn pin(
    command: &mut RecordedCommand,
    record: &RunRecord,
    given: &Replacements,
) -> Result<(), ReplayError> {
    let plan = &record.plan;
    OF_ONE_RUN.iter().for_each(|name| command.remove(name));
    set(command, "seed", plan.seed.to_string());
    if let Some(date) = &plan.date {
        set(command, "date", date.clone());
    }
    // The command has what a limit's field rounds. Without it, the default of this version may be another.
    for (field, option, unit) in LIMITS {
        if let Some(limit) = plan.limits.get(field).filter(|_| !command.has(option)) {
            command.add(option, (limit / unit).to_string());
        }
    }
    if let Some(metering) = plan.metering.as_ref().filter(|_| !command.has("sample-period")) {
        command.add("sample-period", (metering.sample_period_ns as f64 * 1e-6).to_string());
    }
    pin_parameters(command, plan, given)?;
    for (name, values) in &given.options {
        command.remove(name);
        values.iter().for_each(|value| command.add(name, value.clone()));
    }
    Ok(())
}

fn set(command: &mut RecordedCommand, option: &str, value: String) {
    command.remove(option);
    command.add(option, value);
}

fn pin_parameters(
    command: &mut RecordedCommand,
    plan: &RunPlan,
    given: &Replacements,
) -> Result<(), ReplayError> {
    let names = command.values("param").filter_map(|pair| pair.split_once('='));
    let on_command_line: Vec<String> = names.map(|(name, _)| name.to_owned()).collect();
    command.remove("param");
    // It sets a parameter of the runner, which the record has.
    command.remove("baseline");
    for (name, value) in &plan.parameters {
        let text = match value {
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        let value = match given.parameters.get(name) {
            Some(value) => value.clone(),
            None if !text.contains(NOT_RECORDED) => text,
            None if on_command_line.contains(name) => {
                return Err(ReplayError::Secret(name.clone()));
            }
            // The component's own default is hidden, because its name may be that of a secret.
            None => continue,
        };
        command.add("param", format!("{name}={value}"));
    }
    // A name that the component does not declare is refused as by llem exec.
    let unknown = given.parameters.iter().filter(|(name, _)| !plan.parameters.contains_key(*name));
    unknown.for_each(|(name, value)| command.add("param", format!("{name}={value}")));
    Ok(())
}
