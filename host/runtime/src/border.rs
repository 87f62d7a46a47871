//! The names at a component's border, found without compiling or validating it.

use crate::{
    Result,
    encode::{damaged, require_wasm},
    package,
};
use wasmparser::{BinaryReaderError, ComponentTypeRef, Parser, Payload};

/// The names at a component's border.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Border {
    /// Interfaces and functions that it needs. Of a core module: the modules that it imports from, of which most are
    /// named like the interfaces that its component will need.
    pub imports: Vec<String>,
    /// Interfaces and functions that it offers. Of a core module: that the component made of it will offer, some of them
    /// several times, among others.
    pub exports: Vec<String>,
}

impl Border {
    /// The full name of an imported interface of this package, in any version that fits.
    pub fn imported(&self, interface: &str) -> Option<&str> {
        found(&self.imports, interface)
    }

    /// The same of an exported one.
    pub fn exported(&self, interface: &str) -> Option<&str> {
        found(&self.exports, interface)
    }

    /// That of a file.
    pub fn new(file: &str, bytes: &[u8]) -> Result<Self> {
        require_wasm(file, bytes)?;
        Self::read(bytes).map_err(|error| damaged(file, error.message()))
    }

    fn read(bytes: &[u8]) -> std::result::Result<Self, BinaryReaderError> {
        let (mut border, mut depth) = (Self::default(), 0);
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
                            border.imports.push(import.name.name.to_owned());
                        }
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        border.exports.push(export?.name.name.to_owned());
                    }
                }
                Payload::ImportSection(section) if depth == 0 => {
                    for import in section.into_imports() {
                        let module = import?.module.to_owned();
                        if !border.imports.contains(&module) {
                            border.imports.push(module);
                        }
                    }
                }
                Payload::ExportSection(section) if depth == 0 => {
                    for export in section {
                        // `interface#function`, or a function of the world itself.
                        let name = export?.name.split('#').next().unwrap_or_default();
                        border.exports.push(name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(border)
    }
}

fn found<'a>(names: &'a [String], interface: &str) -> Option<&'a str> {
    names.iter().map(String::as_str).find(|name| package::interface_of(name) == Some(interface))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::encode;

    const RUNNER: &[u8] = include_bytes!("../../../guest-sdk/runner/runner.wasm");

    #[test]
    fn a_module_offers_what_its_component_does() {
        let component = encode("runner.wasm", RUNNER).expect("it is whole");
        let of_component = Border::new("runner.wasm", &component).expect("it is whole");
        let interfaces = ["script", "policies"].map(package::named);
        assert_eq!(of_component.exports, interfaces);
        let warmup = package::named("warmup-policy");
        assert!(of_component.imports.contains(&warmup), "{:?}", of_component.imports);
        let of_module = Border::new("runner.wasm", RUNNER).expect("it is whole");
        assert!(of_component.exports.iter().all(|name| of_module.exports.contains(name)));
    }
}
