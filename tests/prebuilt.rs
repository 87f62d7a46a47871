//! The shipped components are what their sources build to.

use crate::support::{TestContext, guests, of_kind};
use std::{
    fs,
    path::{Path, PathBuf},
};

#[test]
fn the_shipped_quickstart_is_its_source() {
    check("scripts/quickstart", &["-p", "rounds=1", "-p", "new-tokens=4"]);
}

#[test]
fn the_shipped_throughput_is_its_source() {
    let small = ["rounds=1", "new-tokens=4", "prompt-tokens=9", "batch=1,3"];
    check("scripts/throughput", &small.map(|setting| ["-p", setting]).concat());
}

#[test]
fn the_shipped_lora_overhead_is_its_source() {
    let small = ["rounds=2", "new-tokens=3", "prompt-tokens=9", "batch=1,3", "adapters=3"];
    check("scripts/lora-overhead", &small.map(|setting| ["-p", setting]).concat());
}

#[test]
fn the_shipped_mlperf_loadgen_is_its_source() {
    check_bytes("scripts/mlperf-loadgen");
}

#[test]
fn the_shipped_parallel_grid_is_its_source() {
    let small = ["rounds=1", "passes=2", "new-tokens=3", "prompt-tokens=9", "batch=1,3"];
    let settings = [&["--max-ranks", "2"][..], &small.map(|setting| ["-p", setting]).concat()];
    check("scripts/parallel-grid", &settings.concat());
}

#[test]
fn the_shipped_runner_is_its_source() {
    check_bytes("guest-sdk/runner");
}

#[test]
fn the_shipped_policies_are_their_source() {
    let settings = ["requests=2", "new-tokens=3", "prompt-tokens=9", "warmup-runs=2"];
    check("guest-sdk/defaults", &settings.map(|setting| ["-p", setting]).concat());
}

/// Returns the shipped component of a folder and the one built from its source, after checking that they are equal if one
/// compiler made both.
fn check_bytes(folder: &str) -> [PathBuf; 2] {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let file = format!("{}.wasm", folder.rsplit('/').next().unwrap());
    let (shipped, rebuilt) = (root.join(folder).join(&file), guests().join(&file));
    let compiler = fs::read_to_string(shipped.with_extension("wasm.compiler")).unwrap();
    if compiler == fs::read_to_string(guests().join("compiler")).unwrap() {
        assert!(
            fs::read(&shipped).unwrap() == fs::read(&rebuilt).unwrap(),
            "{folder}/{file} is not what its source builds to: run scripts/tools/build-guests and commit it"
        );
    }
    [shipped, rebuilt]
}

fn check(folder: &str, settings: &[&str]) {
    let [shipped, rebuilt] = check_bytes(folder);
    // Another compiler gives other bytes, but the method must be the same in every request.
    let method = |component: &Path| {
        let context = TestContext::new();
        let component = component.to_str().unwrap();
        context.llem(&[&["exec", component], settings].concat()).ok();
        let events = context.events();
        let asked = of_kind(&events, "generation").into_iter().flat_map(|event| {
            let sequences = event["sequences"].as_array().unwrap().iter();
            sequences.map(|sequence| {
                (
                    event["window"]["phase"].clone(),
                    event["window"]["label"].clone(),
                    sequence["prompt_tokens"].clone(),
                    sequence["tokens"].clone(),
                )
            })
        });
        let metrics = of_kind(&events, "metric")
            .into_iter()
            .map(|event| (event["name"].clone(), event["labels"].clone()));
        let inspected = context.llem(&["inspect", component, "--json"]).ok().json();
        let described = ["name", "version", "parameters", "datasets", "imports", "exports"]
            .map(|field| inspected[field].clone());
        (asked.collect::<Vec<_>>(), metrics.collect::<Vec<_>>(), described)
    };
    assert_eq!(method(&shipped), method(&rebuilt));
}
