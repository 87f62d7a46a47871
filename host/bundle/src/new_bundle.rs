//! Makes a bundle of a run.

use crate::{
    about_run::AboutRun,
    author::Author,
    bundle::Bundle,
    citation,
    contents::used_adapters,
    digest,
    error::Error,
    findings::{Unverified, Verified},
    layout::{
        ADAPTERS, CITATION, COMPONENTS, DATASETS, JOURNAL, LICENSE, METADATA, README, RECORD,
        REPORT, RUN, SOURCES, file_part, is_plain,
    },
    licence::Licence,
    manifest::Manifest,
    metadata::{self, ListedFile},
    readme, record_check,
    zip_file::{Content, write_zip},
};
use llem_checkpoint::{ADAPTER_CONFIG, ADAPTER_WEIGHTS};
use llem_record::{AdapterRecord, ComponentRecord, GrantedDataset, RunRecord};
use llem_report::{Format, LoadedRun, Report, render};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The remedy for a file that is not the one of the run.
const CHANGED: &str = "give the file as it was then";

/// The source code of a component.
#[derive(Clone, Debug)]
pub struct SourceFiles {
    /// The folder that the files are in.
    pub folder: PathBuf,
    /// The files, by their paths below the folder.
    pub files: Vec<PathBuf>,
}

/// A bundle that is being put together: a run, and the files that took part in it.
///
/// What the record names and nobody adds is left out, except components, which every bundle has.
pub struct NewBundle {
    run: PathBuf,
    record: RunRecord,
    authors: Vec<Author>,
    licence: Option<Licence>,
    files: BTreeMap<String, Content>,
    inside: Vec<Verified>,
}

impl NewBundle {
    /// Begins a bundle of the run in a folder.
    ///
    /// # Errors
    /// The run has not ended, its record and its journal differ, or a file that the record names is missing or changed.
    pub fn new(run: &Path, authors: Vec<Author>, licence: Option<Licence>) -> Result<Self, Error> {
        if authors.is_empty() {
            return Err(Error::NoAuthor);
        }
        let path = run.join(RECORD);
        let record = record_check::read(&path, &path.display().to_string())?;
        record_check::compare(&record, run)?;
        let (files, inside) = (BTreeMap::new(), Vec::new());
        let mut bundle = Self { run: run.to_owned(), record, authors, licence, files, inside };
        bundle.add_run()?;
        Ok(bundle)
    }

    /// Returns the record of the run.
    pub fn record(&self) -> &RunRecord {
        &self.record
    }

    /// Returns the adapters that the run used, each once, in the order in which they were first attached.
    pub fn used_adapters(&self) -> Vec<AdapterRecord> {
        used_adapters(&self.record).into_iter().cloned().collect()
    }

    fn add_run(&mut self) -> Result<(), Error> {
        let samples = self.record.timeline.iter().flat_map(|timeline| timeline.files.clone());
        let mut names: Vec<String> = [RECORD, JOURNAL].map(str::to_owned).into();
        names.extend(samples);
        for artifact in &self.record.artifacts {
            // A name that could leave the run's folder is refused before the file is looked at.
            if is_plain(&artifact.path) {
                let (path, recorded) = (self.run.join(&artifact.path), artifact.digest.clone());
                require_digest("artifact", &artifact.path, &path, &recorded, CHANGED)?;
            }
            names.push(artifact.path.clone());
        }
        for name in names {
            let path = self.run.join(&name);
            self.add(format!("{RUN}{name}"), Content::File(path))?;
        }
        Ok(())
    }

    /// Adds a component of the record. `given` is what messages call its file.
    ///
    /// # Errors
    /// [`Error::OtherDigest`] if it is not the component that ran, or if `sources` are not what it was built from.
    pub fn add_component(
        &mut self,
        component: &ComponentRecord,
        given: &str,
        bytes: Vec<u8>,
        sources: Option<&SourceFiles>,
    ) -> Result<(), Error> {
        let name = &component.name;
        if let (Some(files), Some(source)) = (sources, &component.source) {
            let found = digest::sources(&source.language, &files.folder, &files.files)?;
            let remedy = "check out the sources as they were at the run";
            require("sources", name, given, &source.digest, found, remedy)?;
        }
        let found = digest::recorded(&digest::hex(&bytes));
        let remedy = match (component.is_shipped, &component.source) {
            (true, _) => "use the llem that made the run: its version is in run.json",
            (false, Some(_)) => {
                "a build of the same sources gave other bytes, so use the cache folder (LLEM_CACHE) of the run"
            }
            (false, None) => "give the file as it was then with --component ROLE=FILE",
        };
        require("component", name, given, &component.digest, found, remedy)?;
        let stem = self.free_stem(&format!("{}-{}", component.role, name));
        if let Some(sources) = sources {
            for file in &sources.files {
                let below = format!("{SOURCES}{stem}/{}", portable(file)?);
                self.add(below, Content::File(sources.folder.join(file)))?;
            }
            let (component, files) = (name.clone(), sources.files.len());
            self.inside.push(Verified::Sources { component, files });
        }
        let (role, name, digest) = (component.role.clone(), name.clone(), component.digest.clone());
        self.inside.push(Verified::Component { role, name, digest });
        self.add(format!("{COMPONENTS}{stem}.wasm"), Content::Bytes(bytes))
    }

    /// Adds a dataset of the record.
    ///
    /// # Errors
    /// [`Error::OtherDigest`] if it is not the file that the script read.
    pub fn add_dataset(&mut self, dataset: &GrantedDataset, path: &Path) -> Result<(), Error> {
        let GrantedDataset { name, digest, .. } = dataset;
        let remedy = "give the file as it was then with --dataset NAME=FILE, or leave datasets out with --without-datasets";
        require_digest("dataset", name, path, digest, remedy)?;
        let (name, digest) = (name.clone(), digest.clone());
        let inside = format!("{DATASETS}{}{}", file_part(&name), endings(path));
        self.inside.push(Verified::Dataset { name, digest });
        self.add(inside, Content::File(path.to_owned()))
    }

    /// Adds an adapter of the record from its folder, as PEFT saves it.
    ///
    /// # Errors
    /// [`Error::OtherDigest`] if it is not the adapter that ran.
    pub fn add_adapter(&mut self, adapter: &AdapterRecord, folder: &Path) -> Result<(), Error> {
        let AdapterRecord { name, digest, .. } = adapter;
        let found = digest::adapter(name, folder, digest)?;
        let remedy = "give the folder as it was then with --adapter NAME=FOLDER, or leave adapters out with --without-adapters";
        require("adapter", name, &folder.display().to_string(), digest, found, remedy)?;
        let (name, digest) = (name.clone(), digest.clone());
        let mut inside = format!("{ADAPTERS}{}", file_part(&name));
        let taken = |inside: &str| self.files.contains_key(&format!("{inside}/{ADAPTER_CONFIG}"));
        if taken(&inside) {
            inside = format!("{inside}-{}", self.files.len());
        }
        self.inside.push(Verified::Adapter { name, digest });
        for file in [ADAPTER_CONFIG, ADAPTER_WEIGHTS] {
            self.add(format!("{inside}/{file}"), Content::File(folder.join(file)))?;
        }
        Ok(())
    }

    /// Writes the bundle to a file, in place of an older one, and verifies it. Equal files give equal bytes.
    ///
    /// # Errors
    /// A component is missing, a file changed meanwhile, or the bundle cannot be written.
    pub fn write(mut self, path: &Path) -> Result<Bundle, Error> {
        let about = AboutRun::new(&self.record);
        self.add_pages(&about)?;
        let mut manifest = Manifest::default();
        let mut listed = Vec::with_capacity(self.files.len());
        for (name, content) in &self.files {
            let (bytes, hex) = content.size_and_digest()?;
            manifest.insert(name.clone(), hex.clone());
            listed.push(ListedFile { name: name.clone(), bytes, hex });
        }
        let licence = self.licence.as_ref();
        let metadata = metadata::render(&about, &self.record, &self.authors, licence, &listed);
        manifest.insert(METADATA.to_owned(), digest::hex(metadata.as_bytes()));
        self.files.insert(METADATA.to_owned(), Content::Bytes(metadata.into_bytes()));
        write_zip(path, &self.files, &manifest)
    }

    /// Adds report, citation, licence and README.
    fn add_pages(&mut self, about: &AboutRun) -> Result<(), Error> {
        let runs = [LoadedRun::open(&self.run)?];
        let report = render(&Report::new(&runs, &[]), Format::Html);
        self.add(REPORT.to_owned(), Content::Bytes(report))?;
        let (authors, licence) = (&self.authors, self.licence.as_ref());
        let record_hex = digest::file_hex(&self.run.join(RECORD))?;
        let citation = citation::render(about, authors, licence, &record_hex);
        let text = licence.map(|licence| licence.text(about.day.get(..4).unwrap_or(""), authors));
        let readme = readme::render(about, licence, &self.inside, &self.outside());
        let pages = [(CITATION, Some(citation)), (LICENSE, text), (README, Some(readme))];
        for (name, text) in pages {
            if let Some(text) = text {
                self.add(name.to_owned(), Content::Bytes(text.into_bytes()))?;
            }
        }
        Ok(())
    }

    /// What the record names and the bundle does not hold.
    fn outside(&self) -> Vec<Unverified> {
        let mut outside = Vec::new();
        let holds = |item: &Verified| self.inside.contains(item);
        for component in &self.record.plan.components {
            let name = &component.name;
            let is_inside = |item: &Verified| matches!(item, Verified::Sources { component, .. } if component == name);
            if component.source.is_some() && !self.inside.iter().any(is_inside) {
                outside.push(Unverified::Sources { component: name.clone() });
            }
        }
        for GrantedDataset { name, digest, .. } in &self.record.plan.grants.datasets {
            let (name, digest) = (name.clone(), digest.clone());
            if !holds(&Verified::Dataset { name: name.clone(), digest: digest.clone() }) {
                outside.push(Unverified::Dataset { name, digest });
            }
        }
        for AdapterRecord { name, digest, source, .. } in used_adapters(&self.record) {
            let (name, digest, source) = (name.clone(), digest.clone(), source.clone());
            if !holds(&Verified::Adapter { name: name.clone(), digest: digest.clone() }) {
                outside.push(Unverified::Adapter { name, source, digest });
            }
        }
        for model in &self.record.models {
            let (source, digest) = (model.source.clone(), model.digest.clone());
            let model = Unverified::Model { source, digest };
            if !outside.contains(&model) {
                outside.push(model);
            }
        }
        outside
    }

    /// Adds a file, unless the same name is taken: two names of the record may be one file.
    fn add(&mut self, name: String, content: Content) -> Result<(), Error> {
        if !is_plain(&name) {
            return Err(Error::UnportableName(name));
        }
        self.files.entry(name).or_insert(content);
        Ok(())
    }

    /// Returns a stem that no other component has.
    fn free_stem(&self, text: &str) -> String {
        let stem = file_part(text);
        let is_taken = |stem: &String| self.files.contains_key(&format!("{COMPONENTS}{stem}.wasm"));
        let numbered = (2..).map(|number| format!("{stem}-{number}"));
        std::iter::once(stem.clone()).chain(numbered).find(|stem| !is_taken(stem)).unwrap_or(stem)
    }
}

fn require_digest(
    what: &'static str,
    name: &str,
    path: &Path,
    recorded: &str,
    remedy: &'static str,
) -> Result<(), Error> {
    let found = digest::recorded(&digest::file_hex(path)?);
    require(what, name, &path.display().to_string(), recorded, found, remedy)
}

fn require(
    what: &'static str,
    name: &str,
    path: &str,
    recorded: &str,
    found: String,
    remedy: &'static str,
) -> Result<(), Error> {
    if found == recorded {
        return Ok(());
    }
    let (name, path, recorded) = (name.into(), path.into(), recorded.into());
    Err(Error::OtherDigest { what, name, path, recorded, found: found.into(), remedy })
}

/// Returns a path below a folder with `/` between its parts.
fn portable(path: &Path) -> Result<String, Error> {
    let parts = path.iter().map(|part| part.to_str().map(str::to_owned));
    let parts: Option<Vec<String>> = parts.collect();
    parts
        .map(|parts| parts.join("/"))
        .filter(|name| is_plain(name))
        .ok_or_else(|| Error::UnportableName(path.display().to_string()))
}

/// Returns the endings by which llem knows a dataset's format, such as `.jsonl.gz`.
fn endings(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut parts = name.rsplit('.');
    let last = parts.next().filter(|last| last.len() < name.len()).unwrap_or_default();
    let before = match last {
        "gz" | "zst" => parts.next().unwrap_or_default(),
        _ => "",
    };
    let ending = |part: &str| match part {
        "" => String::new(),
        part => format!(".{}", file_part(part)),
    };
    ending(before) + &ending(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dataset_keeps_the_endings_that_say_its_format() {
        for (path, expected) in [
            ("a/prompts.jsonl", ".jsonl"),
            ("prompts.v2.jsonl.gz", ".jsonl.gz"),
            ("prompts.gz", ".prompts.gz"),
            ("prompts", ""),
            ("a.b/prompts.csv.zst", ".csv.zst"),
        ] {
            assert_eq!(endings(Path::new(path)), expected, "{path}");
        }
    }
}
