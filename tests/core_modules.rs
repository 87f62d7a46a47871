//! Core modules, which the host makes components of: with the WASI of clang's C library, and without a component type.

use crate::support::{TestContext, of_kind};
use std::path::Path;
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// An experiment whose `run` writes a line with WASI's preview 1, as C's `puts` does. The texts begin at byte 16, the list of
/// buffers for `fd_write` is at byte 64, and byte 0 is the result of `run`: 0 means success.
const MODULE: &str = r#"(module
  (import "llem:experiment/description@VERSION" "[constructor]about"
    (func $about (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "preview1.0says hello\n")
  (data (i32.const 64) "\1a\00\00\00\0b\00\00\00")
  (func (export "llem:experiment/script@VERSION#describe") (result i32)
    (call $about
      (i32.const 16) (i32.const 7)
      (i32.const 23) (i32.const 3)
      (i32.const 26) (i32.const 10)))
  (func (export "llem:experiment/script@VERSION#run") (result i32)
    (drop (call $fd_write (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 80)))
    (i32.const 0)))"#;

#[test]
fn a_module_that_imports_preview_1_is_linked_with_its_adapter() {
    let text = MODULE.replace("VERSION", &crate::support::contract_version());
    let mut module = wat::parse_str(text).unwrap();
    let mut resolve = Resolve::default();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let (package, _) = resolve.push_dir(wit).unwrap();
    let world = resolve.select_world(&[package], Some("experiment")).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();

    let context = TestContext::new();
    let file = context.file("preview.wasm", module);
    context.llem(&["exec", &file]).ok();
    let events = context.events();
    let logs = of_kind(&events, "log");
    assert_eq!(logs.len(), 1, "{logs:?}");
    assert_eq!((&logs[0]["level"], &logs[0]["message"]), (&"stdout".into(), &"says hello".into()));
    let shown = context.llem(&["inspect", &file, "--json"]).ok().json();
    let imports: Vec<&str> =
        shown["imports"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert!(imports.iter().any(|name| name.starts_with("wasi:cli/stdout@0.2")), "{imports:?}");
}

#[test]
fn a_module_without_a_component_type_is_refused_with_the_remedy() {
    let context = TestContext::new();
    let text = r#"(module (func (export "llem:experiment/script@VERSION#run")))"#;
    let text = text.replace("VERSION", &crate::support::contract_version());
    let typeless = context.file("typeless.wat", text);
    let ran = context.llem(&["exec", &typeless]);
    ran.refused(2, &["typeless.wat is a core module", "llem new"]);
}
