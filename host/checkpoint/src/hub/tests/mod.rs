//! Tests of the cache and the network, with hand-made caches and a double of the Hub.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../../../../../tests/doubles/hub.rs"]
#[allow(dead_code, unreachable_pub, reason = "whole-program tests use the rest")]
mod double;

mod cached;
mod failures;
mod fetched;
mod peers;

use super::{HubRevision, RequestedFiles, settings::HubSettings};
use double::{Access, COMMIT, Fault, Running, hex};
use std::{fs, os::unix::fs::symlink, path::PathBuf, sync::Barrier, thread};
use tempfile::TempDir;

const ID: &str = "acme/small";
const ADAPTER: RequestedFiles<'static> =
    RequestedFiles::Adapter { config: "adapter_config.json", weights: "adapter_model.safetensors" };
const WEIGHTS: &[u8] = &[7; 100_000];

/// A temporary `HF_HOME`.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn repository(&self) -> PathBuf {
        self.path("hub/models--acme--small")
    }

    fn snapshot(&self) -> PathBuf {
        self.repository().join("snapshots").join(COMMIT)
    }

    /// Makes a snapshot with these files, each of which contains `{}`.
    fn fill(&self, names: &[&str]) {
        fs::create_dir_all(self.snapshot()).unwrap();
        for name in names {
            fs::write(self.snapshot().join(name), "{}").unwrap();
        }
    }

    fn refer(&self, revision: &str) {
        let file = self.repository().join("refs").join(revision);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, COMMIT).unwrap();
    }

    fn settings(&self, more: &[(&str, &str)]) -> HubSettings {
        HubSettings::from_variables(&|name| match more.iter().find(|(given, _)| *given == name) {
            Some((_, value)) => Some(value.into()),
            None => (name == "HF_HOME").then(|| self.0.path().into()),
        })
        .unwrap()
    }

    fn offline(&self, kind: RequestedFiles<'_>, revision: &str) -> Result<PathBuf, String> {
        let settings = self.settings(&[("HF_HUB_OFFLINE", "1")]);
        HubRevision::new(settings, ID, revision).fetch(kind).map_err(|error| error.to_string())
    }

    fn online(
        &self,
        hub: &Running,
        kind: RequestedFiles<'_>,
        more: &[(&str, &str)],
    ) -> Result<PathBuf, String> {
        let more = [&[("HF_ENDPOINT", &hub.endpoint[..])], more].concat();
        HubRevision::new(self.settings(&more), ID, "main")
            .fetch(kind)
            .map_err(|error| error.to_string())
    }
}

fn model() -> Vec<(String, Vec<u8>)> {
    let files: [(&str, &[u8]); 4] = [
        ("README.md", b"# small"),
        ("config.json", b"{}"),
        ("tokenizer.json", b"{\"model\": {}}"),
        ("model.safetensors", WEIGHTS),
    ];
    files.map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).to_vec()
}

fn with(files: &[(&str, &[u8])]) -> double::Hub {
    let files = files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec()));
    double::Hub::new(ID, files)
}

fn assert_mentions(sentence: &Result<PathBuf, String>, words: &[&str]) {
    let sentence = sentence.as_ref().unwrap_err();
    for word in words {
        assert!(sentence.contains(word), "'{word}' is not in: {sentence}");
    }
}
