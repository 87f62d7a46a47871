//! Compares the files of a bundle with the digests in its record.

use crate::{
    digest,
    error::Error,
    findings::{Unverified, Verified},
    layout::{ADAPTERS, COMPONENTS, DATASETS, JOURNAL, RECORD, RUN, SOURCES},
    manifest::Manifest,
    record_check::{self, Comparison},
};
use llem_record::{AdapterRecord, ComponentRecord, RunRecord};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// The record of a bundle, and where the files that it names are.
pub(crate) struct Contents {
    pub(crate) record: RunRecord,
    pub(crate) verified: Vec<Verified>,
    pub(crate) unverified: Vec<Unverified>,
    /// Names of components and datasets within the bundle, by their digests in the record.
    pub(crate) files: BTreeMap<String, String>,
    /// Folders of adapters within the bundle, by their names and digests in the record.
    pub(crate) adapters: BTreeMap<String, String>,
}

impl Contents {
    /// Verifies the files of `bundle` against its record. The run and the adapters have been unpacked into `folder`, and all
    /// files have the digests of the manifest. `files` is the number of entries of the zip.
    pub(crate) fn verify(
        bundle: &Path,
        folder: &Path,
        manifest: &Manifest,
        files: usize,
    ) -> Result<Self, Error> {
        let run = folder.join(RUN);
        let record = record_check::read(&run.join(RECORD), &format!("{RUN}{RECORD}"))?;
        let mut contents = Self {
            verified: vec![
                Verified::Structure { files },
                Verified::Manifest { files: manifest.len() },
            ],
            unverified: Vec::new(),
            files: BTreeMap::new(),
            adapters: BTreeMap::new(),
            record,
        };
        let mut check = Check { bundle, folder, manifest, known: BTreeSet::new() };
        contents.compare_journal(&run)?;
        contents.compare_artifacts(&mut check)?;
        contents.compare_components(&mut check)?;
        contents.compare_datasets(&mut check);
        contents.compare_adapters(&mut check)?;
        check.refuse_foreign()?;
        for model in &contents.record.models {
            let (source, digest) = (model.source.clone(), model.digest.clone());
            let gap = Unverified::Model { source, digest };
            if !contents.unverified.contains(&gap) {
                contents.unverified.push(gap);
            }
        }
        Ok(contents)
    }

    fn compare_journal(&mut self, run: &Path) -> Result<(), Error> {
        match record_check::compare(&self.record, run)? {
            Comparison::Equal => {
                self.verified.push(Verified::Record { id: self.record.id.clone() });
            }
            Comparison::OtherSchema(schema) => {
                self.unverified.push(Unverified::Record { schema });
            }
        }
        Ok(())
    }

    fn compare_artifacts(&mut self, check: &mut Check<'_>) -> Result<(), Error> {
        for artifact in &self.record.artifacts {
            let name = format!("{RUN}{}", artifact.path);
            check.has_digest("artifact", &artifact.path, &name, &artifact.digest)?;
        }
        if !self.record.artifacts.is_empty() {
            self.verified.push(Verified::Artifacts { files: self.record.artifacts.len() });
        }
        let journal_and_samples = self.record.timeline.iter().flat_map(|timeline| &timeline.files);
        let names = journal_and_samples.map(String::as_str).chain([RECORD, JOURNAL]);
        check.known.extend(names.map(|name| format!("{RUN}{name}")));
        Ok(())
    }

    fn compare_components(&mut self, check: &mut Check<'_>) -> Result<(), Error> {
        for component in self.record.plan.components.clone() {
            let ComponentRecord { role, name, digest, .. } = &component;
            let file = check.find(COMPONENTS, digest).ok_or_else(|| Error::Missing {
                bundle: check.bundle.to_owned(),
                name: format!("{COMPONENTS}{role}-{name}.wasm"),
                why: "took part in the run, or which has another digest in run.json",
            })?;
            self.files.insert(digest.clone(), file.clone());
            let (role, name, digest) = (role.clone(), name.clone(), digest.clone());
            self.verified.push(Verified::Component { role, name, digest });
            self.compare_sources(check, &component, &file)?;
        }
        Ok(())
    }

    fn compare_sources(
        &mut self,
        check: &mut Check<'_>,
        component: &ComponentRecord,
        file: &str,
    ) -> Result<(), Error> {
        let Some(source) = &component.source else { return Ok(()) };
        let stem = file.trim_start_matches(COMPONENTS).trim_end_matches(".wasm");
        let below = format!("{SOURCES}{stem}/");
        let names: Vec<String> = check.manifest.below(&below).map(str::to_owned).collect();
        let component = component.name.clone();
        if names.is_empty() {
            self.unverified.push(Unverified::Sources { component });
            return Ok(());
        }
        let files: Vec<PathBuf> = names.iter().map(|name| name[below.len()..].into()).collect();
        let found = digest::sources(&source.language, &check.folder.join(&below), &files)?;
        if found != source.digest {
            return Err(Error::OtherDigest {
                what: "sources",
                name: component.into(),
                path: below.into(),
                recorded: source.digest.as_str().into(),
                found: found.into(),
                remedy: "ask the bundle's author for another",
            });
        }
        check.known.extend(names);
        self.verified.push(Verified::Sources { component, files: files.len() });
        Ok(())
    }

    fn compare_datasets(&mut self, check: &mut Check<'_>) {
        for dataset in &self.record.plan.grants.datasets {
            let (name, digest) = (dataset.name.clone(), dataset.digest.clone());
            match check.find(DATASETS, &digest) {
                Some(file) => {
                    self.files.insert(digest.clone(), file);
                    self.verified.push(Verified::Dataset { name, digest });
                }
                None => self.unverified.push(Unverified::Dataset { name, digest }),
            }
        }
    }

    fn compare_adapters(&mut self, check: &mut Check<'_>) -> Result<(), Error> {
        let below: Vec<String> = check.manifest.below(ADAPTERS).map(str::to_owned).collect();
        let folder_of = |name: &String| Some(name.rsplit_once('/')?.0.to_owned());
        let folders: BTreeSet<String> = below.iter().filter_map(folder_of).collect();
        for AdapterRecord { name, source, digest, .. } in used_adapters(&self.record) {
            let (name, source, digest) = (name.clone(), source.clone(), digest.clone());
            let mut found = None;
            for folder in &folders {
                if digest::adapter(&name, &check.folder.join(folder), &digest)? == digest {
                    found = Some(folder.clone());
                }
            }
            match found {
                Some(folder) => {
                    let inside = |file: &&String| file.starts_with(&format!("{folder}/"));
                    check.known.extend(below.iter().filter(inside).cloned());
                    self.adapters.insert(digest.clone(), folder.clone());
                    self.adapters.entry(name.clone()).or_insert(folder);
                    self.verified.push(Verified::Adapter { name, digest });
                }
                None => self.unverified.push(Unverified::Adapter { name, source, digest }),
            }
        }
        Ok(())
    }
}

/// Returns the adapters that a run used, each once, in the order in which they were first attached.
pub(crate) fn used_adapters(record: &RunRecord) -> Vec<&AdapterRecord> {
    let mut used: Vec<&AdapterRecord> = Vec::new();
    for adapter in &record.adapters {
        let is_same = |known: &&AdapterRecord| {
            (&known.name, &known.digest) == (&adapter.name, &adapter.digest)
        };
        if !used.iter().any(is_same) {
            used.push(adapter);
        }
    }
    used
}

/// The files of a bundle, and which of them the record names.
struct Check<'a> {
    bundle: &'a Path,
    folder: &'a Path,
    manifest: &'a Manifest,
    known: BTreeSet<String>,
}

impl Check<'_> {
    /// Finds the first file below `folder` that has a digest of the record. All such files are known then: a component may be
    /// both given and shipped.
    fn find(&mut self, folder: &str, recorded: &str) -> Option<String> {
        let below = self.manifest.below(folder);
        let has_digest = |name: &&str| {
            self.manifest.get(name).map(digest::recorded).as_deref() == Some(recorded)
        };
        let found: Vec<String> = below.filter(has_digest).map(str::to_owned).collect();
        self.known.extend(found.iter().cloned());
        found.into_iter().next()
    }

    /// Fails unless a file has a digest of the record.
    fn has_digest(
        &mut self,
        what: &'static str,
        name: &str,
        path: &str,
        recorded: &str,
    ) -> Result<(), Error> {
        let found =
            self.manifest.get(path).map(digest::recorded).ok_or_else(|| Error::Missing {
                bundle: self.bundle.to_owned(),
                name: path.to_owned(),
                why: "its run.json names",
            })?;
        if found == recorded {
            self.known.insert(path.to_owned());
            return Ok(());
        }
        Err(Error::OtherDigest {
            what,
            name: name.into(),
            path: path.into(),
            recorded: recorded.into(),
            found: found.into(),
            remedy: "ask the bundle's author for another",
        })
    }

    /// Refuses files in the folders of the run, components, sources, datasets and adapters that the record does not name.
    fn refuse_foreign(&self) -> Result<(), Error> {
        let folders = [RUN, COMPONENTS, SOURCES, DATASETS, ADAPTERS];
        let mut below = folders.into_iter().flat_map(|folder| self.manifest.below(folder));
        match below.find(|name| !self.known.contains(*name)) {
            Some(name) => {
                Err(Error::Foreign { bundle: self.bundle.to_owned(), name: name.to_owned() })
            }
            None => Ok(()),
        }
    }
}
