//! The index: worlds, interfaces, and every item of each.

use crate::names::Names;
use std::fmt::Write;
use wit_parser::{Docs, InterfaceId, Package, PackageId, TypeDefKind, WorldItem};

/// What the page says before its tables.
const INTRODUCTION: &str = "\
What a component may ask of the host, and what it exports. The SDKs wrap it ([the same words in four languages](../sdk.md)); a
language without an SDK uses it through its own bindings generator. The text itself is in [`wit/`](../../wit).

A function that can fail returns `result<…, error>`: [`error`](types.md#error) holds a code for programs and a sentence for
people. A number that may be missing is a [`reading`](types.md#reading): a [`quantity`](types.md#quantity) or the reason why
there is none.
";

/// Returns the page as Markdown.
pub(crate) fn page(names: &Names<'_>, id: PackageId) -> String {
    let package = &names.resolve.packages[id];
    let host = package.worlds.get("host").map(|&id| &names.resolve.worlds[id]);
    // The interfaces of the host come in the order of its world.
    let offered = host.map(|host| interfaces(&mut host.imports.values())).unwrap_or_default();
    let others = package.interfaces.values().copied().filter(|id| !offered.contains(id));
    let ordered: Vec<InterfaceId> = offered.iter().copied().chain(others).collect();
    let mut page = format!("# The WIT package `{}`\n\n{INTRODUCTION}\n", package.name);
    page += &worlds(names, package, &offered);
    let growth = host.and_then(|host| host.docs.contents.as_deref()?.split_once("\n\n"));
    if let Some((_, growth)) = growth {
        let _ = writeln!(page, "\n{}", growth.trim_end());
    }
    page += "\n## Interfaces\n\n| interface | |\n|---|---|\n";
    for &id in &ordered {
        let docs = first_paragraph(&names.resolve.interfaces[id].docs);
        let _ = writeln!(page, "| [`{}`]({}) | {docs} |", names.interface(id), names.page(id));
    }
    page += "\n## Every item\n";
    ordered.iter().for_each(|&id| page += &items(names, id));
    page
}

/// Returns the table of worlds. `offered` are the interfaces of the host.
fn worlds(names: &Names<'_>, package: &Package, offered: &[InterfaceId]) -> String {
    let link = |id: InterfaceId| format!("[`{}`]({})", names.interface(id), names.page(id));
    let mut table = "## Worlds\n\n| world | imports | exports | |\n|---|---|---|---|\n".to_owned();
    for (name, &id) in &package.worlds {
        let world = &names.resolve.worlds[id];
        let more = interfaces(&mut world.imports.values());
        let more = more.into_iter().filter(|id| !offered.contains(id)).map(link);
        let imports = match name.as_str() {
            "host" => "the interfaces of the host, below".to_owned(),
            _ => std::iter::once("`host`".to_owned()).chain(more).collect::<Vec<_>>().join(", "),
        };
        let exports = interfaces(&mut world.exports.values()).into_iter().map(link);
        let exports = exports.collect::<Vec<_>>().join(", ");
        let docs = first_paragraph(&world.docs);
        let _ = writeln!(table, "| `{name}` | {imports} | {exports} | {docs} |");
    }
    table
}

/// Returns links to all types and functions of an interface.
fn items(names: &Names<'_>, id: InterfaceId) -> String {
    let interface = &names.resolve.interfaces[id];
    let (mut list, file) = (format!("\n### {}\n\n", names.interface(id)), names.page(id));
    for (name, &ty) in interface.types.iter().filter(|(_, ty)| names.is_defined_in(**ty, id)) {
        let functions = interface.functions.values();
        let functions = functions.filter(|function| function.kind.resource() == Some(ty));
        let functions: Vec<String> = functions
            .map(|function| {
                format!("[`{}`]({file}#{})", function.item_name(), names.anchor(function))
            })
            .collect();
        let kind = match &names.resolve.types[ty].kind {
            kind @ (TypeDefKind::Record(_)
            | TypeDefKind::Resource
            | TypeDefKind::Variant(_)
            | TypeDefKind::Enum(_)) => kind.as_str(),
            _ => "type",
        };
        let colon = if functions.is_empty() { "" } else { ": " };
        let _ = writeln!(list, "- {kind} [`{name}`]({file}#{name}){colon}{}", functions.join(", "));
    }
    for function in interface.functions.values().filter(|one| one.kind.resource().is_none()) {
        let _ = writeln!(list, "- func [`{0}`]({file}#{0})", function.name);
    }
    list
}

/// Returns the first paragraph of docs as one line.
fn first_paragraph(docs: &Docs) -> String {
    let docs = docs.contents.as_deref().unwrap_or_default();
    docs.split("\n\n").next().unwrap_or_default().trim_end().replace('\n', " ")
}

/// Returns the interfaces among the items of a world.
fn interfaces(items: &mut dyn Iterator<Item = &WorldItem>) -> Vec<InterfaceId> {
    let ids = items.filter_map(|item| match item {
        WorldItem::Interface { id, .. } => Some(*id),
        _ => None,
    });
    ids.collect()
}
