//! Complete and incomplete snapshots in the cache.

use super::*;
use std::{path::Path, time::SystemTime};

#[test]
fn a_commit_needs_no_ref() {
    let home = Home::new();
    home.fill(&["config.json", "model.safetensors"]);
    assert_eq!(home.offline(RequestedFiles::Model, COMMIT).unwrap(), home.snapshot());
    let sentence = home.offline(RequestedFiles::Model, "main");
    assert_mentions(
        &sentence,
        &["holds 0123456789abcdef0123456789abcdef01234567", "HF_HUB_OFFLINE"],
    );
    home.refer("main");
    assert_eq!(home.offline(RequestedFiles::Model, "main").unwrap(), home.snapshot());
    home.refer("refs/pr/1");
    assert_eq!(home.offline(RequestedFiles::Model, "refs/pr/1").unwrap(), home.snapshot());
    assert_mentions(&home.offline(RequestedFiles::Model, "v2"), &["holds main, refs/pr/1 of it"]);
}

#[test]
fn no_revision_leads_out_of_the_cache() {
    let home = Home::new();
    home.fill(&["config.json", "model.safetensors"]);
    fs::write(home.path("hub/secret"), COMMIT).unwrap();
    fs::create_dir_all(home.repository().join("refs")).unwrap();
    let sentence = home.offline(RequestedFiles::Model, "../../secret");
    assert_mentions(&sentence, &["HF_HUB_OFFLINE"]);
    // A ref that does not contain a commit.
    fs::write(home.repository().join("refs/main"), "../../..").unwrap();
    assert_mentions(&home.offline(RequestedFiles::Model, "main"), &["HF_HUB_OFFLINE"]);
}

#[test]
fn an_incomplete_snapshot_is_refused_with_its_missing_files() {
    let home = Home::new();
    home.fill(&["config.json"]);
    home.refer("main");
    assert_eq!(home.offline(RequestedFiles::Config, "main").unwrap(), home.snapshot());
    let folder = home.snapshot().display().to_string();
    assert_mentions(
        &home.offline(RequestedFiles::Model, "main"),
        &[&folder, "lacks model.safetensors:", "HF_HUB_OFFLINE"],
    );
    let index = r#"{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors", "c": "model-3.safetensors"}}"#;
    fs::write(home.snapshot().join("model.safetensors.index.json"), index).unwrap();
    fs::write(home.snapshot().join("model-1.safetensors"), "").unwrap();
    // A link to a missing blob.
    symlink("../../blobs/none", home.snapshot().join("model-2.safetensors")).unwrap();
    let lacking = "lacks model-2.safetensors, model-3.safetensors:";
    assert_mentions(&home.offline(RequestedFiles::Model, "main"), &[&folder, lacking]);
    assert_mentions(
        &home.offline(ADAPTER, COMMIT),
        &["lacks adapter_config.json, adapter_model.safetensors:"],
    );
}

#[test]
fn a_gguf_file_of_the_cache_is_named() {
    let home = Home::new();
    home.fill(&["small-Q8_0.gguf", "small-Q4_0.gguf"]);
    home.refer("main");
    let file = home.snapshot().join("small-Q4_0.gguf").display().to_string();
    assert_mentions(
        &home.offline(RequestedFiles::Model, "main"),
        &["lacks config.json", &file, "give that"],
    );
}

#[test]
fn an_empty_cache_says_where_it_looked() {
    let home = Home::new();
    let cache = home.path("hub").display().to_string();
    assert_mentions(
        &home.offline(RequestedFiles::Model, "main"),
        &["cannot fetch acme/small@main", &cache, "HF_HOME"],
    );
    let settings = home.settings(&[("TRANSFORMERS_OFFLINE", "yes")]);
    let sentence = HubRevision::new(settings, "gpt2", "main")
        .fetch(RequestedFiles::Model)
        .map_err(|e| e.to_string());
    assert_mentions(
        &sentence,
        &["no model 'gpt2': no folder here is called that", "TRANSFORMERS_OFFLINE"],
    );
}

#[test]
fn an_incomplete_snapshot_is_completed() {
    let home = Home::new();
    let hub = double::Hub::new(ID, model()).serve();
    home.online(&hub, RequestedFiles::Config, &[]).unwrap();
    assert!(!home.snapshot().join("model.safetensors").exists());
    home.online(&hub, RequestedFiles::Model, &[]).unwrap();
    assert_eq!(hub.downloads("config.json"), 2, "once, with its redirect");
    // A missing blob is fetched again.
    fs::remove_file(home.repository().join("blobs").join(hex(WEIGHTS))).unwrap();
    let folder = home.online(&hub, RequestedFiles::Model, &[]).unwrap();
    assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), WEIGHTS);
    // A missing snapshot is made from the blobs in the cache.
    fs::remove_dir_all(home.snapshot()).unwrap();
    home.online(&hub, RequestedFiles::Model, &[]).unwrap();
    assert_eq!(hub.downloads("model.safetensors"), 2);
}

#[test]
fn a_cache_without_links_has_files() {
    let home = Home::new();
    let hub = double::Hub::new(ID, model()).serve();
    let folder =
        home.online(&hub, RequestedFiles::Model, &[("HF_HUB_DISABLE_SYMLINKS", "1")]).unwrap();
    let weights = folder.join("model.safetensors");
    assert!(fs::symlink_metadata(&weights).unwrap().is_file());
    assert_eq!(fs::read(weights).unwrap(), WEIGHTS);
    assert_eq!(home.offline(RequestedFiles::Model, "main").unwrap(), folder);
}

/// A file in place of the cache's folder simulates a folder without write permission, because root may write anywhere.
#[test]
fn a_cache_that_cannot_be_written_to_is_named() {
    let home = Home::new();
    let hub = double::Hub::new(ID, model()).serve();
    fs::write(home.path("hub"), "").unwrap();
    let cache = home.path("hub").display().to_string();
    assert_mentions(
        &home.online(&hub, RequestedFiles::Model, &[]),
        &[&cache, "cannot be written", "HF_HOME"],
    );
}

#[test]
fn a_tokenizer_that_was_not_fetched_is_fetched_from_the_same_commit() {
    let home = Home::new();
    home.fill(&["config.json", "model.safetensors"]);
    home.refer("main");
    let hub = double::Hub::new(ID, model()).serve();
    let folder = home.online(&hub, RequestedFiles::Model, &[]).unwrap();
    assert!(folder.join("tokenizer.json").is_file());
    assert!(hub.asked().iter().all(|asked| !asked.path.contains("main")));
    // A tokenizer that the Hub does not have is asked for only once.
    let home = Home::new();
    home.fill(&["config.json", "model.safetensors"]);
    home.refer("main");
    let hub = with(&[("config.json", b"{}"), ("model.safetensors", b"1")]).serve();
    home.online(&hub, RequestedFiles::Model, &[]).unwrap();
    let asked = hub.asked().len();
    home.online(&hub, RequestedFiles::Model, &[]).unwrap();
    assert_eq!((asked, hub.asked().len()), (1, 1));
}

#[test]
fn a_listing_that_huggingface_hub_stored_is_used() {
    let home = Home::new();
    home.fill(&["config.json", "model.safetensors"]);
    home.refer("main");
    fs::create_dir(home.repository().join("trees")).unwrap();
    let tree = r#"{"format_version": 1, "files": {"config.json": {}, "model.safetensors": {}}}"#;
    let file = home.repository().join("trees").join(COMMIT).with_extension("json");
    fs::write(file, tree).unwrap();
    let hub = with(&[]).serve();
    home.online(&hub, RequestedFiles::Model, &[]).unwrap();
    assert!(hub.asked().is_empty());
}

/// Returns the paths, sizes and modification times of everything in a folder.
fn state(folder: &Path) -> Vec<(PathBuf, u64, SystemTime)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let about = entry.metadata().unwrap();
        found.push((entry.path(), about.len(), about.modified().unwrap()));
        if about.is_dir() {
            found.extend(state(&entry.path()));
        }
    }
    found.sort();
    found
}

/// The cache may belong to another user, or be on a read-only disk.
#[test]
fn a_cache_is_read_without_a_write() {
    let home = Home::new();
    home.fill(&["config.json", "model.safetensors", "tokenizer.json"]);
    home.refer("main");
    let before = state(&home.path(""));
    home.offline(RequestedFiles::Model, "main").unwrap();
    home.offline(RequestedFiles::Config, COMMIT).unwrap();
    home.offline(ADAPTER, "main").unwrap_err();
    home.online(&with(&[]).serve(), RequestedFiles::Model, &[]).unwrap();
    assert_eq!(state(&home.path("")), before);
}
