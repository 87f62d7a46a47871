//! Puts the files of a record into its command line: where they are now, after their digests are checked.

use super::{
    ChangedInput, FileKind, RecordedCommand, RecordedFile, RecordedFiles, Replacements,
    ReplayError, recorded_files::digest_of, replacements::SYNTHETIC_HOST,
};
use llem_checkpoint::parse_hub_id;
use llem_record::RunPlan;
use llem_runtime::{DEFAULT_MODEL, split_name};
use std::path::{Path, PathBuf};

/// The options that give components, besides the positional arguments.
const COMPONENTS: [Option<&str>; 4] = [None, Some("warmup"), Some("workload"), Some("metrics")];

/// The experiment that ships with llem, by its name.
const SHIPPED: &str = "quickstart";

/// Replaces the paths of the command line, and checks the digests of datasets and of a synthetic host's figures. Digests of
/// components are checked when they are built, and those of models and adapters when they are loaded.
///
/// # Errors
/// A file is not there, or has changed and may not.
pub(crate) fn locate(
    command: &mut RecordedCommand,
    plan: &RunPlan,
    given: &Replacements,
    files: &dyn RecordedFiles,
) -> Result<(), ReplayError> {
    let search = Search { plan, given, files };
    for option in COMPONENTS {
        command.replace(option, |file| search.component(file))?;
    }
    command.replace(Some("dataset"), |pair| search.dataset(pair))?;
    command.replace(Some("model"), |model| search.model(model))?;
    command.replace(Some("adapter"), |adapter| search.adapter(adapter))?;
    command.replace(Some("synthetic-host"), |file| search.synthetic_host(file))
}

/// Where files are looked for.
struct Search<'a> {
    plan: &'a RunPlan,
    given: &'a Replacements,
    files: &'a dyn RecordedFiles,
}

impl Search<'_> {
    fn component(&self, file: &str) -> Result<String, ReplayError> {
        let mut components = self.plan.components.iter();
        let Some(component) = components.find(|one| one.file == file && !one.is_shipped) else {
            return Ok(file.to_owned());
        };
        let roles = || component.role.split('+');
        if let Some(file) = roles().find_map(|role| self.given.components.get(role)) {
            return Ok(file.clone());
        }
        let role = roles().next().unwrap_or_default();
        let kind = match component.source {
            Some(_) => FileKind::Source,
            None => FileKind::Component,
        };
        let digest = Some(component.digest.as_str());
        let found = self.files.find(RecordedFile { kind, name: role, path: file, digest });
        let is_same =
            |path: &PathBuf| digest_of(path).is_ok_and(|found| Some(found.as_str()) == digest);
        match found {
            // The name of a component that ships with llem, unless the record is of another that is there.
            found if file == SHIPPED && !found.as_ref().is_some_and(is_same) => Ok(file.to_owned()),
            Some(path) => Ok(shown(&path)),
            None => Err(missing("component", role, file, format!("--component {role}=FILE"))),
        }
    }

    fn dataset(&self, pair: &str) -> Result<String, ReplayError> {
        let (name, file) = pair.split_once('=').unwrap_or((pair, ""));
        let recorded = self.plan.grants.datasets.iter().find(|dataset| dataset.name == name);
        let digest = recorded.map(|dataset| dataset.digest.as_str());
        let option = format!("--dataset {name}=FILE");
        let path = match self.given.datasets.get(name) {
            Some(file) => PathBuf::from(file),
            None => {
                let kind = FileKind::Dataset;
                let found = self.files.find(RecordedFile { kind, name, path: file, digest });
                found.ok_or_else(|| missing("dataset", name, file, option.clone()))?
            }
        };
        let remedy = format!("give the file of the record with {option}");
        self.check("dataset", name, &path, digest, remedy)?;
        Ok(format!("{name}={}", shown(&path)))
    }

    fn synthetic_host(&self, file: &str) -> Result<String, ReplayError> {
        let recorded = self.plan.synthetic_host.as_ref();
        let digest = recorded.and_then(|host| host.digest.as_deref());
        let (what, name) = ("file of figures", SYNTHETIC_HOST);
        let option = "--synthetic-host FILE".to_owned();
        let path = match &self.given.synthetic_host {
            Some(file) => PathBuf::from(file),
            None => {
                let kind = FileKind::SyntheticHost;
                let found = self.files.find(RecordedFile { kind, name, path: file, digest });
                found.ok_or_else(|| missing(what, name, file, option.clone()))?
            }
        };
        self.check(
            what,
            name,
            &path,
            digest,
            format!("give the file of the record with {option}"),
        )?;
        Ok(shown(&path))
    }

    /// Replaces the source in `[NAME=]SOURCE`.
    fn model(&self, model: &str) -> Result<String, ReplayError> {
        let (name, source) = split_name(model);
        let called = name.as_deref().unwrap_or(DEFAULT_MODEL);
        let is_recorded = |source: &str| {
            let grants = &self.plan.grants;
            grants.model == source || grants.models.iter().any(|model| model.source == source)
        };
        let source = match self.given.models.get(called) {
            Some(source) => source.clone(),
            None if is_reference(source, is_recorded) => source.to_owned(),
            None => {
                let kind = FileKind::Model;
                let file = RecordedFile { kind, name: called, path: source, digest: None };
                let option = format!("--model {called}=SOURCE");
                let found = self.files.find(file);
                shown(&found.ok_or_else(|| missing("model", called, source, option))?)
            }
        };
        // With its name, a source that contains `=` cannot be mistaken.
        Ok(format!("{called}={source}"))
    }

    /// Replaces the source in `[MODEL:][NAME=]SOURCE`.
    fn adapter(&self, adapter: &str) -> Result<String, ReplayError> {
        let AdapterWords { model, name, source } = AdapterWords::split(adapter);
        let is_recorded = |source: &str| {
            let grants = &self.plan.grants;
            let of_models = grants.models.iter().flat_map(|model| &model.adapters);
            grants.adapters.iter().chain(of_models).any(|adapter| adapter == source)
        };
        let source = match self.given.adapters.get(&name) {
            Some(source) => source.clone(),
            None if is_reference(source, is_recorded) => return Ok(adapter.to_owned()),
            None => {
                let kind = FileKind::Adapter;
                let file = RecordedFile { kind, name: &name, path: source, digest: None };
                let option = format!("--adapter {name}=SOURCE");
                let found = self.files.find(file);
                shown(&found.ok_or_else(|| missing("adapter", &name, source, option))?)
            }
        };
        Ok(format!("{model}{name}={source}"))
    }

    /// Refuses a file whose digest is not that of the record, unless it may differ.
    fn check(
        &self,
        what: &'static str,
        name: &str,
        path: &Path,
        recorded: Option<&str>,
        remedy: String,
    ) -> Result<(), ReplayError> {
        let found = digest_of(path)
            .map_err(|cause| ReplayError::Unreadable { path: path.to_path_buf(), cause })?;
        match recorded {
            Some(recorded) if recorded != found && !self.given.changed.contains(name) => {
                let (name, recorded) = (name.to_owned(), recorded.to_owned());
                let file = shown(path);
                Err(ChangedInput { what, name, file, found, recorded, remedy }.into())
            }
            _ => Ok(()),
        }
    }
}

/// Returns the names of the adapters on a record's command line.
pub(crate) fn adapter_names(command: &RecordedCommand) -> Vec<String> {
    command.values("adapter").map(|adapter| AdapterWords::split(adapter).name).collect()
}

/// The parts of `[MODEL:][NAME=]SOURCE`.
struct AdapterWords<'a> {
    /// The model's name with its colon, or nothing.
    model: &'a str,
    /// The given name, otherwise the one that llem makes of the source.
    name: String,
    source: &'a str,
}

impl<'a> AdapterWords<'a> {
    fn split(adapter: &'a str) -> Self {
        let is_name = |text: &str| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        };
        let place = adapter
            .find(':')
            .filter(|place| is_name(&adapter[..*place]) && !adapter.starts_with("synthetic:"));
        let (model, rest) = adapter.split_at(place.map_or(0, |place| place + 1));
        let (name, source) = split_name(rest);
        let default = || match source.parse::<llem_engine::AdapterSource>() {
            Ok(source) => source.name(),
            // Its folder is not there now.
            Err(_) => source.trim_end_matches('/').rsplit('/').next().unwrap_or(source).to_owned(),
        };
        Self { model, name: name.unwrap_or_else(default), source }
    }
}

/// Returns true if a source is no path: a synthetic one, or a Hub id that the record has as such.
fn is_reference(source: &str, is_recorded: impl Fn(&str) -> bool) -> bool {
    source.starts_with("synthetic:")
        || parse_hub_id(source)
            .is_some_and(|(id, revision)| is_recorded(&format!("{id}@{revision}")))
}

fn missing(what: &'static str, name: &str, recorded: &str, option: String) -> ReplayError {
    let (name, recorded) = (name.to_owned(), recorded.to_owned());
    ReplayError::Missing { what, name, recorded, option }
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adapter_has_a_model_a_name_and_a_source() {
        for (adapter, model, name, source) in [
            ("synthetic:rank=8", "", "rank8", "synthetic:rank=8"),
            ("big:math=synthetic:rank=8", "big:", "math", "synthetic:rank=8"),
            ("/nowhere/math/", "", "math", "/nowhere/math/"),
            ("big:org/math", "big:", "math", "org/math"),
        ] {
            let words = AdapterWords::split(adapter);
            assert_eq!((words.model, &*words.name, words.source), (model, name, source));
        }
    }

    #[test]
    fn a_hub_id_is_told_from_a_folder_by_the_record() {
        assert!(is_reference("synthetic:tiny", |_| false));
        assert!(is_reference("org/name", |source| source == "org/name@main"));
        assert!(!is_reference("org/name", |source| source == "org/name"));
        assert!(!is_reference("./name", |_| true));
    }
}
