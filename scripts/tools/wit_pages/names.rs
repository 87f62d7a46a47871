//! Where each item of the package is described, so that pages can link to it.

use std::collections::HashMap;
use wit_parser::{Function, InterfaceId, PackageId, Resolve, Type, TypeDefKind, TypeId, TypeOwner};

/// The interface whose enum of error codes the docs of other interfaces name.
const CODES: (&str, &str) = ("types", "error-code");

/// The items of a package by name.
pub(crate) struct Names<'a> {
    pub(crate) resolve: &'a Resolve,
    /// Links by the names that docs may use anywhere: interfaces, `resource.function`, error codes.
    global: HashMap<String, String>,
    /// Links by the names that docs of an interface may use: its types and functions.
    local: HashMap<(InterfaceId, String), String>,
}

impl<'a> Names<'a> {
    /// Collects the names of all items of the package.
    pub(crate) fn new(resolve: &'a Resolve, package: PackageId) -> Self {
        let mut names = Self { resolve, global: HashMap::new(), local: HashMap::new() };
        for (interface, &id) in &resolve.packages[package].interfaces {
            let page = names.page(id);
            names.global.insert(interface.clone(), page.clone());
            for (name, ty) in &resolve.interfaces[id].types {
                if names.is_defined_in(*ty, id) {
                    names.local.insert((id, name.clone()), format!("{page}#{name}"));
                }
                if (interface.as_str(), name.as_str()) == CODES
                    && let TypeDefKind::Enum(codes) = &resolve.types[*ty].kind
                {
                    let cases = codes.cases.iter();
                    let link = format!("{page}#{name}");
                    names.global.extend(cases.map(|case| (case.name.clone(), link.clone())));
                }
            }
            for function in resolve.interfaces[id].functions.values() {
                let anchor = names.anchor(function);
                let link = format!("{page}#{anchor}");
                match function.kind.resource() {
                    Some(_) => names.global.insert(anchor, link),
                    None => names.local.insert((id, anchor), link),
                };
            }
        }
        names
    }

    /// Returns the file of an interface's page.
    pub(crate) fn page(&self, id: InterfaceId) -> String {
        format!("{}.md", self.interface(id))
    }

    /// Returns the name of an interface.
    pub(crate) fn interface(&self, id: InterfaceId) -> &'a str {
        self.resolve.interfaces[id].name.as_deref().unwrap_or_default()
    }

    /// Returns the anchor of a function: its name, after the name of its resource if it has one.
    pub(crate) fn anchor(&self, function: &Function) -> String {
        let resource = function.kind.resource().and_then(|id| self.resolve.types[id].name.as_ref());
        match resource {
            Some(resource) => format!("{resource}.{}", function.item_name()),
            None => function.item_name().to_owned(),
        }
    }

    /// Returns whether the interface defines the type, rather than uses one of another interface.
    pub(crate) fn is_defined_in(&self, ty: TypeId, interface: InterfaceId) -> bool {
        self.definition(ty) == ty
            && matches!(self.resolve.types[ty].owner, TypeOwner::Interface(owner) if owner == interface)
    }

    /// Follows `use` to the type that is meant.
    pub(crate) fn definition(&self, ty: TypeId) -> TypeId {
        match self.resolve.types[ty].kind {
            TypeDefKind::Type(Type::Id(used)) if self.resolve.types[used].name.is_some() => {
                self.definition(used)
            }
            _ => ty,
        }
    }

    /// Returns the link to a named type.
    pub(crate) fn link(&self, ty: TypeId) -> Option<(&'a str, String)> {
        let definition = &self.resolve.types[self.definition(ty)];
        let (Some(name), TypeOwner::Interface(owner)) = (&definition.name, definition.owner) else {
            return None;
        };
        Some((name, format!("{}#{name}", self.page(owner))))
    }

    /// Returns docs with links on the names between backquotes. A name means a function of the resource first, then an item of
    /// the interface, then what all interfaces know. Names of parameters are left alone.
    pub(crate) fn docs(
        &self,
        docs: Option<&str>,
        interface: InterfaceId,
        resource: Option<&str>,
        parameters: &[String],
    ) -> String {
        let mut linked = String::new();
        for (place, text) in docs.unwrap_or_default().trim_end().split('`').enumerate() {
            if place % 2 == 0 {
                linked += text;
                continue;
            }
            let in_resource = resource.and_then(|of| self.global.get(&format!("{of}.{text}")));
            let found = in_resource
                .or_else(|| self.local.get(&(interface, text.to_owned())))
                .or_else(|| self.global.get(text))
                .filter(|_| !parameters.iter().any(|parameter| parameter == text));
            linked += &match found {
                Some(link) => format!("[`{text}`]({link})"),
                None => format!("`{text}`"),
            };
        }
        linked
    }
}
