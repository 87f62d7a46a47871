//! The names that a component imports and exports, read without compiling or validating it.

use crate::{
    Result,
    encode::{damaged, require_wasm},
    package,
};
use wasmparser::{BinaryReaderError, ComponentTypeRef, Parser, Payload};

/// The imports and exports of a component, by name.
///
/// ```
/// use llem_runtime::ComponentInterface;
///
/// let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/minimal.wat"));
/// let interface = ComponentInterface::new("minimal.wasm", &wat::parse_str(text)?)?;
/// assert_eq!(interface.imported("types"), Some("llem:experiment/types@0.2.0"));
/// assert_eq!(interface.exported("script"), Some("llem:experiment/script@0.2.0"));
/// assert_eq!(interface.exported("warmup-policy"), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ComponentInterface {
    /// Interfaces and functions that the component imports. For a core module: the modules that it imports from, most
    /// of which have the name of the interface that its component will import.
    pub imports: Vec<String>,
    /// Interfaces and functions that the component exports. For a core module: the names that its component will
    /// export, among others, and some of them several times.
    pub exports: Vec<String>,
}

impl ComponentInterface {
    /// The full name of an imported interface of the llem package, in any version that is compatible.
    pub fn imported(&self, interface: &str) -> Option<&str> {
        find_interface(&self.imports, interface)
    }

    /// The full name of an exported interface of the llem package, in any version that is compatible.
    pub fn exported(&self, interface: &str) -> Option<&str> {
        find_interface(&self.exports, interface)
    }

    /// Reads the names from the bytes of a file.
    pub fn new(file: &str, bytes: &[u8]) -> Result<Self> {
        require_wasm(file, bytes)?;
        Self::read(bytes).map_err(|error| damaged(file, error.message()))
    }

    fn read(bytes: &[u8]) -> std::result::Result<Self, BinaryReaderError> {
        let (mut interface, mut depth) = (Self::default(), 0);
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth -= 1,
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        let import = import?;
                        // A type import is not a capability.
                        if let ComponentTypeRef::Instance(_) | ComponentTypeRef::Func(_) = import.ty
                        {
                            interface.imports.push(import.name.name.to_owned());
                        }
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        interface.exports.push(export?.name.name.to_owned());
                    }
                }
                Payload::ImportSection(section) if depth == 0 => {
                    for import in section.into_imports() {
                        let module = import?.module.to_owned();
                        if !interface.imports.contains(&module) {
                            interface.imports.push(module);
                        }
                    }
                }
                Payload::ExportSection(section) if depth == 0 => {
                    for export in section {
                        // `interface#function`, or a function of the world itself.
                        let name = export?.name.split('#').next().unwrap_or_default();
                        interface.exports.push(name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(interface)
    }
}

fn find_interface<'a>(names: &'a [String], interface: &str) -> Option<&'a str> {
    names.iter().map(String::as_str).find(|name| package::interface_of(name) == Some(interface))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::encode_component;

    const RUNNER: &[u8] = include_bytes!("../../../guest-sdk/runner/runner.wasm");

    #[test]
    fn a_module_offers_what_its_component_does() {
        let component = encode_component("runner.wasm", RUNNER).expect("it is whole");
        let of_component = ComponentInterface::new("runner.wasm", &component).expect("it is whole");
        let interfaces = ["script", "policies"].map(package::full_name);
        assert_eq!(of_component.exports, interfaces);
        let warmup = package::full_name("warmup-policy");
        assert!(of_component.imports.contains(&warmup), "{:?}", of_component.imports);
        let of_module = ComponentInterface::new("runner.wasm", RUNNER).expect("it is whole");
        assert!(of_component.exports.iter().all(|name| of_module.exports.contains(name)));
    }
}
