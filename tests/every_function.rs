//! Every function of the contract, called with good and with bad arguments. The guests compare the answers with what `wit/` says.

use crate::support::{TestContext, contract_version, guest};
use std::{collections::BTreeSet, fs, path::Path};
use wit_component::DecodedWasm;
use wit_parser::{Resolve, WorldItem};

fn runs(name: &str, options: &[&str]) {
    TestContext::new().llem(&[&["exec", &guest(name)][..], options].concat()).ok();
}

#[test]
fn of_requests() {
    runs("every_request_function", &[]);
}

#[test]
fn of_batches() {
    runs("every_batch_function", &[]);
}

#[test]
fn of_models() {
    runs("every_model_function", &[]);
}

#[test]
fn of_meter_and_devices() {
    runs("every_meter_function", &[]);
}

#[test]
fn of_inputs_and_report() {
    let context = TestContext::new();
    let rows = context
        .file("rows.jsonl", "{\"text\": \"one\"}\n{\"text\": \"two\"}\n{\"text\": \"three\"}\n");
    let rows = format!("rows={rows}");
    context.llem(&["exec", &guest("every_report_function"), "--dataset", &rows]).ok();
}

/// Returns the functions of the package's interfaces as `interface.function`.
fn functions(resolve: &Resolve, items: impl IntoIterator<Item = WorldItem>) -> BTreeSet<String> {
    let interfaces = items.into_iter().filter_map(|item| match item {
        WorldItem::Interface { id, .. } => Some(&resolve.interfaces[id]),
        _ => None,
    });
    let named = interfaces.filter_map(|interface| {
        let package = &resolve.packages[interface.package?].name;
        (package.namespace == "llem").then_some((interface.name.as_ref()?, interface))
    });
    named
        .flat_map(|(name, interface)| {
            interface.functions.keys().map(move |function| format!("{name}.{function}"))
        })
        .collect()
}

/// Fails if no guest imports a function, because then nothing tests it.
#[test]
fn no_function_is_left_out() {
    let mut resolve = Resolve::default();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let (package, _) = resolve.push_dir(wit).unwrap();
    let world = resolve.select_world(&[package], Some("host")).unwrap();
    let all = functions(&resolve, resolve.worlds[world].imports.values().cloned());
    assert!(all.len() > 300, "{}", all.len());
    let mut tried = BTreeSet::new();
    let folder = Path::new(&guest("noop")).parent().unwrap().to_path_buf();
    for file in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_some_and(|ending| ending == "wasm") {
            tried.extend(imports(&fs::read(&file).unwrap()));
        }
    }
    let left: Vec<_> = all.difference(&tried).collect();
    assert!(left.is_empty(), "version {}: nothing calls {left:?}", contract_version());
}

/// Returns the functions of the package that a core module imports.
fn imports(module: &[u8]) -> Vec<String> {
    let Ok(component) = wit_component::ComponentEncoder::default()
        .validate(false)
        .module(module)
        .and_then(|mut made| made.encode())
    else {
        return Vec::new();
    };
    match wit_component::decode(&component).unwrap() {
        DecodedWasm::Component(resolve, world) => {
            functions(&resolve, resolve.worlds[world].imports.values().cloned())
                .into_iter()
                .collect()
        }
        DecodedWasm::WitPackage(..) => Vec::new(),
    }
}
