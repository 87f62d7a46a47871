//! Finds the files that took part in a run, and adds them to a bundle.
//!
//! A record has the paths of the command line. They are looked for where an option says, otherwise from the present folder,
//! otherwise from the folders around the run's.

use super::{exec::unique, given_component::read_component};
use crate::{
    project::{Project, Sources},
    replay::{FileKind, RecordPaths, RecordedFile, RecordedFiles},
};
use anyhow::Result;
use llem_bundle::{NewBundle, SourceFiles};
use llem_checkpoint::parse_hub_id;
use llem_record::ComponentRecord;
use llem_runtime::{ComponentRole, Error, shipped_component};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// How the digest of an adapter begins that has no files.
const SYNTHETIC: &str = "sha256-synthetic:";

/// The files that a record names, and where they are now.
pub(super) struct RecordedInputs {
    run: PathBuf,
    components: BTreeMap<String, String>,
    datasets: BTreeMap<String, String>,
    adapters: BTreeMap<String, String>,
}

impl RecordedInputs {
    /// Takes the options that say where components, datasets and adapters are now. `run` is the run's folder.
    pub(super) fn new(
        run: &Path,
        [components, datasets, adapters]: [Vec<(String, String)>; 3],
    ) -> Result<Self, Error> {
        Ok(Self {
            run: run.canonicalize().unwrap_or_else(|_| run.to_owned()),
            components: unique("component", components)?,
            datasets: unique("dataset", datasets)?,
            adapters: unique("adapter", adapters)?,
        })
    }

    /// Adds all components of the record, with the source code of those that llem built.
    pub(super) fn add_components(&self, bundle: &mut NewBundle) -> Result<()> {
        let components = bundle.record().plan.components.clone();
        refuse_unknown("component", &self.components, components.iter().map(|one| &one.role))?;
        for component in &components {
            let given = self.components.get(&component.role);
            if let (None, true) = (given, component.is_shipped) {
                let bytes = shipped_component(&component.file).unwrap_or_default();
                bundle.add_component(component, &component.file, bytes.to_vec(), None)?;
                continue;
            }
            let file = match given {
                Some(file) => file.clone(),
                // It ships with this program, unless a file has its name.
                None if component.file == "quickstart" => component.file.clone(),
                None => self.find(RecordedFile {
                    kind: match component.source {
                        Some(_) => FileKind::Source,
                        None => FileKind::Component,
                    },
                    name: &component.role,
                    path: &component.file,
                    digest: Some(&component.digest),
                })?,
            };
            let sources = find_sources(&file, component)?;
            let script = read_component(&file, first_role(component))?;
            bundle.add_component(component, &file, script.bytes, sources.as_ref())?;
        }
        Ok(())
    }

    /// Adds all datasets of the record.
    pub(super) fn add_datasets(&self, bundle: &mut NewBundle) -> Result<()> {
        let datasets = bundle.record().plan.grants.datasets.clone();
        refuse_unknown("dataset", &self.datasets, datasets.iter().map(|one| &one.name))?;
        for dataset in &datasets {
            let file = match self.datasets.get(&dataset.name) {
                Some(file) => file.clone(),
                None => self.find(RecordedFile {
                    kind: FileKind::Dataset,
                    name: &dataset.name,
                    path: &dataset.file,
                    digest: Some(&dataset.digest),
                })?,
            };
            bundle.add_dataset(dataset, Path::new(&file))?;
        }
        Ok(())
    }

    /// Adds the adapters that the run used from local folders. Those of the Hub stay references.
    pub(super) fn add_adapters(&self, bundle: &mut NewBundle) -> Result<()> {
        let adapters = bundle.used_adapters();
        refuse_unknown("adapter", &self.adapters, adapters.iter().map(|one| &one.name))?;
        for adapter in adapters.iter().filter(|one| !one.digest.starts_with(SYNTHETIC)) {
            let folder = match self.adapters.get(&adapter.name) {
                Some(folder) => Some(folder.clone()),
                None => {
                    let (name, path) = (adapter.name.as_str(), adapter.source.as_str());
                    let kind = FileKind::Adapter;
                    match self.find(RecordedFile { kind, name, path, digest: None }) {
                        Err(_) if parse_hub_id(path).is_some() => None,
                        found => Some(found?),
                    }
                }
            };
            if let Some(folder) = folder {
                bundle.add_adapter(adapter, Path::new(&folder))?;
            }
        }
        Ok(())
    }

    /// Finds a file of the record that no option gives.
    fn find(&self, file: RecordedFile<'_>) -> Result<String, Error> {
        let RecordedFile { kind, name, path, .. } = file;
        let found = RecordPaths::new(&self.run).find(file);
        found.map(|path| path.to_string_lossy().into_owned()).ok_or_else(|| {
            let what = kind.option();
            Error::Input(format!(
                "{what} '{name}' of the run, {path}, is neither below this folder nor below those around the run: \
                 give --{what} {name}=PATH"
            ))
        })
    }
}

/// Refuses an option for something that the record does not name.
fn refuse_unknown<'a>(
    what: &str,
    given: &BTreeMap<String, String>,
    recorded: impl Iterator<Item = &'a String>,
) -> Result<(), Error> {
    let recorded: Vec<&str> = recorded.map(String::as_str).collect();
    match given.keys().find(|name| !recorded.contains(&name.as_str())) {
        Some(name) => Err(Error::Input(format!(
            "--{what} {name}: the run had no such {what}, but {}",
            if recorded.is_empty() { "none".to_owned() } else { recorded.join(", ") }
        ))),
        None => Ok(()),
    }
}

/// Finds the source code of a component, if `file` is source code. They are compared with the record before they are built,
/// because a build takes seconds.
fn find_sources(file: &str, component: &ComponentRecord) -> Result<Option<SourceFiles>> {
    let path = Path::new(file);
    let Some(source) = &component.source else { return Ok(None) };
    if source.language == "wat" && path.extension().is_some_and(|ending| ending == "wat") {
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let files = path.file_name().map(PathBuf::from).into_iter().collect();
        return Ok(Some(SourceFiles { folder, files }));
    }
    if !Project::is_source(path) {
        return Ok(None);
    }
    let project = Project::open(path, None)?;
    let sources = Sources::read(&project)?;
    if sources.digest != source.digest {
        let (name, recorded, found) = (&component.name, &source.digest, &sources.digest);
        return Err(Error::Input(format!(
            "the sources of component '{name}', {file}, are not those of the run ({recorded}) but {found}: check them out as they were then"
        ))
        .into());
    }
    let files = sources.files().to_vec();
    Ok(Some(SourceFiles { folder: project.folder, files }))
}

/// The role that a script of the component was given for.
fn first_role(component: &ComponentRecord) -> Option<ComponentRole> {
    let first = component.role.split('+').next();
    let policies = ComponentRole::POLICIES.into_iter();
    policies.chain([ComponentRole::Experiment]).find(|role| Some(role.name()) == first)
}
