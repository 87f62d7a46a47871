//! The components that ship are their sources, built.

use crate::support::{Desk, guests, of_kind};
use std::{fs, path::Path};

#[test]
fn the_shipped_quickstart_is_its_source() {
    let shipped =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/quickstart/quickstart.wasm");
    let compiler = fs::read_to_string(shipped.with_extension("wasm.compiler")).unwrap();
    let rebuilt = guests().join("quickstart.wasm");
    if compiler == fs::read_to_string(guests().join("compiler")).unwrap() {
        assert!(
            fs::read(&shipped).unwrap() == fs::read(&rebuilt).unwrap(),
            "scripts/quickstart/quickstart.wasm is not what its source builds to: run scripts/build-guests and commit it"
        );
    }
    // Another compiler gives other bytes; the method must be the same to the last request.
    let method = |component: &str| {
        let desk = Desk::new();
        desk.llem(&["exec", component, "-p", "rounds=1", "-p", "new-tokens=4"]).ok();
        let events = desk.events();
        let asked = of_kind(&events, "generation").into_iter().map(|event| {
            let sequence = &event["sequences"][0];
            (
                event["window"]["phase"].clone(),
                event["window"]["label"].clone(),
                sequence["prompt_tokens"].clone(),
                sequence["tokens"].clone(),
            )
        });
        let metrics = of_kind(&events, "metric")
            .into_iter()
            .map(|event| (event["name"].clone(), event["labels"].clone()));
        let inspected = desk.llem(&["inspect", component, "--json"]).ok().json();
        let described = ["name", "version", "parameters", "datasets", "imports", "exports"]
            .map(|field| inspected[field].clone());
        (asked.collect::<Vec<_>>(), metrics.collect::<Vec<_>>(), described)
    };
    assert_eq!(method("quickstart"), method(rebuilt.to_str().unwrap()));
}
