//! The page of an interface: its types, its resources with their functions, and its own functions.

use crate::{
    names::Names,
    signature::{signature, structure, type_name},
};
use std::fmt::Write;
use wit_parser::{Docs, Function, FunctionKind, InterfaceId, Type, TypeDefKind, TypeId, WorldItem};

/// Returns the page as Markdown.
pub(crate) fn page(names: &Names<'_>, id: InterfaceId) -> String {
    let interface = &names.resolve.interfaces[id];
    let docs = names.docs(interface.docs.contents.as_deref(), id, None, &[]);
    let name = names.interface(id);
    let mut page = format!("# Interface `{name}`\n\n{docs}\n\n{}\n\n", role(names, id));
    let types: Vec<(&String, TypeId)> = interface
        .types
        .iter()
        .filter(|(_, ty)| names.is_defined_in(**ty, id))
        .map(|(name, ty)| (name, *ty))
        .collect();
    let functions: Vec<&Function> = interface
        .functions
        .values()
        .filter(|function| function.kind.resource().is_none())
        .collect();
    let link = |name: &str| format!("[`{name}`](#{name})");
    let mut contents = |head: &str, names: Vec<String>| {
        if !names.is_empty() {
            let _ = writeln!(page, "{head}: {}\n", names.join(", "));
        }
    };
    contents("Types", types.iter().map(|(name, _)| link(name)).collect());
    contents("Functions", functions.iter().map(|function| link(&function.name)).collect());
    for (name, ty) in types {
        page += &type_section(names, id, name, ty);
    }
    for function in functions {
        let _ = writeln!(page, "## {}\n", function.name);
        page += &function_entry(names, id, None, function);
    }
    page.trim_end().to_owned() + "\n"
}

/// Says who offers the interface: the host, or a component.
fn role(names: &Names<'_>, id: InterfaceId) -> String {
    let mut worlds: Vec<String> = Vec::new();
    let mut is_of_host = false;
    for (_, world) in &names.resolve.worlds {
        let is_it =
            |item: &WorldItem| matches!(item, WorldItem::Interface { id: of, .. } if *of == id);
        is_of_host |= world.name == "host" && world.imports.values().any(is_it);
        if world.exports.values().any(is_it) {
            worlds.push(format!("`{}`", world.name));
        }
    }
    match (is_of_host, &worlds[..]) {
        (true, _) => "The host offers it: a component imports it.".to_owned(),
        (false, worlds) => format!("A component exports it, in the world {}.", worlds.join(" or ")),
    }
}

/// Returns the part about one type: its docs, and a table of its fields or cases, or a list of its functions.
fn type_section(names: &Names<'_>, id: InterfaceId, name: &str, ty: TypeId) -> String {
    let definition = &names.resolve.types[ty];
    let docs = |docs: &Docs| names.docs(docs.contents.as_deref(), id, Some(name), &[]);
    let cell = |of: &Docs| docs(of).replace('\n', " ").replace('|', "\\|");
    let mut section = format!("## {name}\n\n");
    let kind = match &definition.kind {
        TypeDefKind::Type(_)
        | TypeDefKind::Tuple(_)
        | TypeDefKind::List(_)
        | TypeDefKind::Option(_) => {
            format!("Type <code>{}</code>.", structure(names, &definition.kind))
        }
        TypeDefKind::Enum(_) => "An enum.".to_owned(),
        kind => format!("A {}.", kind.as_str()),
    };
    let _ = writeln!(section, "{kind} {}\n", docs(&definition.docs));
    let row = |name: &str, ty: Option<&Type>, docs: &Docs| {
        let ty = ty.map_or(String::new(), |ty| format!("<code>{}</code>", type_name(names, ty)));
        format!("| `{name}` | {ty} | {} |\n", cell(docs))
    };
    match &definition.kind {
        TypeDefKind::Record(record) => {
            section += "| field | type | |\n|---|---|---|\n";
            let rows =
                record.fields.iter().map(|field| row(&field.name, Some(&field.ty), &field.docs));
            section.extend(rows);
            section += "\n";
        }
        TypeDefKind::Variant(variant) => {
            section += "| case | holds | |\n|---|---|---|\n";
            section.extend(
                variant.cases.iter().map(|case| row(&case.name, case.ty.as_ref(), &case.docs)),
            );
            section += "\n";
        }
        TypeDefKind::Enum(cases) => {
            section += "| case | |\n|---|---|\n";
            let rows = cases.cases.iter();
            section
                .extend(rows.map(|case| format!("| `{}` | {} |\n", case.name, cell(&case.docs))));
            section += "\n";
        }
        TypeDefKind::Resource => {
            let functions = names.resolve.interfaces[id].functions.values();
            for function in functions.filter(|function| function.kind.resource() == Some(ty)) {
                section += &function_entry(names, id, Some(name), function);
            }
        }
        _ => {}
    }
    section
}

/// Returns a function's signature and docs.
fn function_entry(
    names: &Names<'_>,
    id: InterfaceId,
    resource: Option<&str>,
    function: &Function,
) -> String {
    let parameters: Vec<String> =
        function.params.iter().map(|parameter| parameter.name.clone()).collect();
    let docs = names.docs(function.docs.contents.as_deref(), id, resource, &parameters);
    let signature = signature(names, function);
    match function.kind {
        FunctionKind::Freestanding | FunctionKind::AsyncFreestanding => {
            format!("{signature}\n\n{docs}\n\n")
        }
        _ => {
            // A list item, so that a resource with many functions can be scanned.
            let docs = docs.replace('\n', "\n  ").replace("\n  \n", "\n\n");
            format!("- <a id=\"{}\"></a>{signature}\n\n  {docs}\n\n", names.anchor(function))
        }
    }
}
