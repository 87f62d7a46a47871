//! Makes components from guests in WebAssembly's text format.

use crate::support::contract_version;
use std::{fs, path::Path};
use wit_component::StringEncoding;
use wit_parser::Resolve;

/// Builds the component of `tests/guests/hostile/NAME.wat`, and returns its path as an argument.
pub fn component(name: &str) -> String {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = repository.join(format!("tests/guests/hostile/{name}.wat"));
    made(name, fs::read_to_string(text).unwrap().replace("VERSION", &contract_version()).as_bytes())
}

/// Builds a component from text. A core module gets the world `experiment` of `wit/` as a custom section, as compilers leave
/// it there for the host.
pub fn made(name: &str, text: &[u8]) -> String {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut bytes = wat::parse_bytes(text).unwrap().into_owned();
    if bytes[4] == 1 {
        let mut wit = Resolve::default();
        let (package, _) = wit.push_dir(repository.join("wit")).unwrap();
        let world = wit.select_world(&[package], Some("experiment")).unwrap();
        wit_component::embed_component_metadata(&mut bytes, &wit, world, StringEncoding::UTF8)
            .unwrap();
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile-components");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{name}.wasm"));
    // Tests that run at the same time write the same bytes.
    let beside = tempfile::NamedTempFile::new_in(&folder).unwrap();
    fs::write(&beside, bytes).unwrap();
    beside.persist(&path).unwrap();
    path.to_str().unwrap().to_owned()
}
