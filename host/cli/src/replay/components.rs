//! Checks the components of a replay: as built, and as they ship with this llem.

use super::{
    ChangedInput, FileKind, RecordedFile, RecordedFiles, Replacements, ReplayError,
    recorded_files::digest_of,
};
use llem_compare::is_same_source;
use llem_record::{ComponentRecord, RunPlan};
use llem_runtime::{ExecOptions, RunComponent};
use std::fs;

/// Compares the components that will run with those of the record. A component that ships with another llem is taken from
/// `files`, if it is there. Returns the options with it.
///
/// # Errors
/// A component differs and may not.
pub(crate) fn check_components(
    mut options: ExecOptions,
    plan: &RunPlan,
    given: &Replacements,
    files: &dyn RecordedFiles,
) -> anyhow::Result<ExecOptions> {
    for recorded in plan.components.iter().filter(|component| component.is_shipped) {
        let is_same = |part: &RunComponent| part.digest() == recorded.digest;
        if options.components()?.iter().any(is_same) {
            continue;
        }
        let digest = Some(recorded.digest.as_str());
        let (kind, name, path) =
            (FileKind::Component, recorded.file.as_str(), recorded.file.as_str());
        if let Some(path) = files.find(RecordedFile { kind, name, path, digest })
            && digest_of(&path).is_ok_and(|found| found == recorded.digest)
        {
            let bytes = fs::read(&path).map_err(|cause| ReplayError::Unreadable { path, cause })?;
            options = options.shipped(name, bytes);
        }
    }
    let parts = options.components()?;
    for recorded in &plan.components {
        let part = parts.iter().find(|part| part.role_names() == recorded.role);
        let is_allowed = || names(recorded).any(|name| given.changed.contains(name));
        if !part.is_some_and(|part| is_same(part, recorded)) && !is_allowed() {
            return Err(changed(part, recorded, &plan.llem_version).into());
        }
    }
    Ok(options)
}

/// The names by which a component is allowed to change: its roles, and the name of a shipped one.
fn names(component: &ComponentRecord) -> impl Iterator<Item = &str> {
    let shipped = component.is_shipped.then_some(component.file.as_str());
    component.role.split('+').chain(shipped)
}

fn is_same(part: &RunComponent, recorded: &ComponentRecord) -> bool {
    let sources = part.source.as_ref().zip(recorded.source.as_ref());
    part.digest() == recorded.digest
        || sources.is_some_and(|(source, recorded)| is_same_source(source, recorded))
}

fn changed(part: Option<&RunComponent>, recorded: &ComponentRecord, version: &str) -> ReplayError {
    let role = recorded.role.split('+').next().unwrap_or_default();
    let sources = part.and_then(|part| part.source.as_ref()).zip(recorded.source.as_ref());
    let file = || format!("give the component of the record with --component {role}=FILE");
    let (mut found, mut of_record) =
        (part.map_or("none".to_owned(), RunComponent::digest), recorded.digest.clone());
    let remedy = match sources {
        _ if recorded.is_shipped => {
            format!("use llem {version} as the record did, or a bundle of the run")
        }
        Some((now, then)) if now.digest != then.digest => {
            (found, of_record) = (now.digest.clone(), then.digest.clone());
            "give the source code of the record with --component ".to_owned() + role + "=FILE"
        }
        Some((now, then)) if now.sdk != then.sdk => {
            format!(
                "its source code is the same, and the SDK is another: use llem {version} as the record did"
            )
        }
        Some((now, then)) if now.tools != then.tools => {
            let tools = then.tools.iter().map(|(name, version)| format!("{name} {version}"));
            let tools = tools.collect::<Vec<_>>().join(", ");
            format!("its source code is the same, and what builds it is not: use {tools}")
        }
        Some(_) => format!("its source code is the same, and its build is not: {}", file()),
        None => file(),
    };
    let changed = ChangedInput {
        what: "component",
        name: role.to_owned(),
        file: part.map_or_else(|| recorded.file.clone(), |part| part.file.clone()),
        found,
        recorded: of_record,
        remedy,
    };
    changed.into()
}
