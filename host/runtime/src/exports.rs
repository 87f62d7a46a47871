//! What a component exports, by name.

use crate::package;
use wasmtime::{
    AsContextMut,
    component::{ComponentExportIndex, Instance},
};

/// A function of an interface of the package, in whatever version that fits.
pub fn exported(
    instance: &Instance,
    mut store: impl AsContextMut,
    interface: &str,
    function: &str,
) -> wasmtime::Result<ComponentExportIndex> {
    let name = package::named(interface);
    let whole = instance.get_export_index(&mut store, None, &name);
    let found =
        whole.and_then(|whole| instance.get_export_index(&mut store, Some(&whole), function));
    found.ok_or_else(|| wasmtime::format_err!("it exports no {function} of {name}"))
}
