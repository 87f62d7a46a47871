//! Each component of `tests/guests` is built and has a test. A component without a test would show nothing.

use crate::support::{TestContext, guest, of_kind};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests")
}

/// Returns the names of the guests whose source files have this extension.
fn guests(extension: &str) -> BTreeSet<String> {
    let folders = ["examples", "hostile"].map(|folder| tests().join("guests").join(folder));
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let paths = files.map(|entry| entry.unwrap().path());
    let sources = paths.filter(|path| path.extension().is_some_and(|kind| kind == extension));
    sources.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

/// Returns the source text of the whole-program tests.
fn source_of_tests() -> String {
    let folders = [tests(), tests().join("hostile")];
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let paths = files.map(|entry| entry.unwrap().path());
    let sources = paths.filter(|path| path.extension().is_some_and(|kind| kind == "rs"));
    sources.map(|path| fs::read_to_string(path).unwrap()).collect()
}

#[test]
fn every_guest_is_named_by_a_test() {
    let source = source_of_tests();
    let guests = &guests("rs") | &guests("wat");
    assert!(guests.len() > 100, "{guests:?}");
    let untested: Vec<_> =
        guests.iter().filter(|guest| !source.contains(&format!("\"{guest}\""))).collect();
    assert!(untested.is_empty(), "no test names {untested:?}");
}

/// Cargo builds an example as a component only if `Cargo.toml` lists it as a `cdylib`.
#[test]
fn every_guest_in_rust_is_listed_in_its_manifest() {
    let manifest = fs::read_to_string(tests().join("guests/Cargo.toml")).unwrap();
    let examples = manifest.split("[[example]]").skip(1);
    let listed: BTreeSet<String> = examples
        .map(|example| {
            assert!(example.contains("crate-type = [\"cdylib\"]"), "{example}");
            let name = example.lines().find_map(|line| line.strip_prefix("name = \""));
            name.unwrap().trim_end_matches('"').to_owned()
        })
        .collect();
    assert_eq!(guests("rs"), listed);
}

/// `tests/bench/runtime` reads the times of this guest. Here only their presence is checked.
#[test]
fn host_calls_are_timed() {
    let context = TestContext::new();
    context.llem(&["exec", &guest("host_calls"), "-p", "calls=200"]).ok();
    let events = context.events();
    let metrics = of_kind(&events, "metric").into_iter();
    let names: Vec<_> = metrics.map(|metric| metric["name"].as_str().unwrap()).collect();
    let expected = ["host_call", "parameter_call", "empty_window", "getter", "reading_getter"];
    assert_eq!(names, expected);
}
