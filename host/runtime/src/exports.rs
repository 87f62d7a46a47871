//! Finds the exported functions of a component by name.

use crate::package;
use wasmtime::{
    AsContextMut,
    component::{ComponentExportIndex, Instance},
};

/// Finds a function that the instance exports in an interface of the package, in this version or a compatible one.
pub(crate) fn find_export(
    instance: &Instance,
    mut store: impl AsContextMut,
    interface: &str,
    function: &str,
) -> wasmtime::Result<ComponentExportIndex> {
    let name = package::full_name(interface);
    let whole = instance.get_export_index(&mut store, None, &name);
    let found =
        whole.and_then(|whole| instance.get_export_index(&mut store, Some(&whole), function));
    found.ok_or_else(|| wasmtime::format_err!("it exports no {function} of {name}"))
}
