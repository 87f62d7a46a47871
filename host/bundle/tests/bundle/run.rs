//! A run with a component, a dataset and an artifact, and its bundle.

use llem_bundle::{Bundle, Error, Licence, NewBundle, SourceFiles};
use llem_record::{
    Artifact, ComponentRecord, ComponentSource, Event, GrantedDataset, Grants, Recorder, RunPlan,
    RunStatus,
};
use sha2::{Digest, Sha256};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// Some bytes in the place of a component.
pub const COMPONENT: &[u8] = b"\0asm, and more";
/// The dataset's content.
pub const DATASET: &[u8] = b"{\"prompt\":\"Hello\"}\n";

pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}

/// A folder with `run/`, and beside it the files that took part in it.
pub struct Run {
    pub folder: TempDir,
}

impl Run {
    /// A run whose component was built from WebAssembly text.
    pub fn new() -> Self {
        let run = Self { folder: tempfile::tempdir().unwrap() };
        for (name, content) in
            [("method.wasm", COMPONENT), ("method.wat", b"(module)"), ("prompts.v2.jsonl", DATASET)]
        {
            fs::write(run.path(name), content).unwrap();
        }
        let source = ComponentSource {
            language: "wat".to_owned(),
            file: "method.wat".to_owned(),
            file_digest: digest(b"(module)"),
            digest: digest(b"(module)"),
            tools: Default::default(),
            sdk: None,
        };
        let component = ComponentRecord {
            role: "experiment".to_owned(),
            name: "a \u{202e}method".to_owned(),
            version: "1.0".to_owned(),
            digest: digest(COMPONENT),
            file: "method.wat".to_owned(),
            is_shipped: false,
            source: Some(source),
        };
        let dataset = GrantedDataset {
            name: "prompts".to_owned(),
            file: "prompts.v2.jsonl".to_owned(),
            digest: digest(DATASET),
        };
        let plan = RunPlan {
            llem_version: "0.1.0".to_owned(),
            components: vec![component],
            grants: Grants { datasets: vec![dataset], ..Grants::default() },
            ..RunPlan::default()
        };
        let began = 1_795_861_800_000_000_000;
        let mut recorder = Recorder::create(Some(&run.path("run")), "run", began, plan).unwrap();
        let zeros = vec![0; 1 << 20];
        let (path, bytes) = recorder.write_artifact("zeros.bin", &zeros).unwrap();
        let artifact = Event::Artifact(Artifact { path, bytes, digest: digest(&zeros) });
        recorder.append(10, artifact, u64::MAX).unwrap();
        recorder.append(20, Event::Warning { message: "hot".to_owned() }, u64::MAX).unwrap();
        recorder.finish(1_500_000_000, RunStatus::Completed, None).unwrap();
        run
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Begins a bundle of the run, by an author and under a licence.
    pub fn begin(&self) -> Result<NewBundle, Error> {
        let authors = vec!["Carberry, Josiah <0000-0002-1825-0097>".parse().unwrap()];
        NewBundle::new(&self.path("run"), authors, Some(Licence::read("CC-BY-4.0").unwrap()))
    }

    /// Adds the component with its source, and the dataset.
    pub fn add_files(&self, bundle: &mut NewBundle) -> Result<(), Error> {
        let record = bundle.record().clone();
        let sources =
            SourceFiles { folder: self.folder.path().to_owned(), files: vec!["method.wat".into()] };
        let component = &record.plan.components[0];
        let bytes = fs::read(self.path("method.wasm")).unwrap();
        bundle.add_component(component, "method.wat", bytes, Some(&sources))?;
        let dataset = &record.plan.grants.datasets[0];
        bundle.add_dataset(dataset, &self.path("prompts.v2.jsonl"))
    }

    /// Makes the bundle `name` of the run.
    pub fn bundle(&self, name: &str) -> Result<Bundle, Error> {
        let mut bundle = self.begin()?;
        self.add_files(&mut bundle)?;
        bundle.write(&self.path(name))
    }

    /// Makes a bundle, and returns its bytes.
    pub fn bundled(&self) -> Vec<u8> {
        self.bundle("made.zip").unwrap();
        fs::read(self.path("made.zip")).unwrap()
    }

    /// Opens a bundle of these bytes.
    pub fn open(&self, bytes: &[u8]) -> Result<Bundle, Error> {
        let path = self.path("given.zip");
        fs::write(&path, bytes).unwrap();
        Bundle::open(&path)
    }
}

/// Returns the names and contents of all files below a folder.
pub fn tree(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                    files.push((name, fs::read(&path).unwrap()));
                }
            }
        }
    }
    files.sort();
    files
}
