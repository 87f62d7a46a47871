//! Finds WIT packages that depend on each other, in the component type that a core module carries.
//!
//! WIT does not allow such packages, but a file may claim them. `wit-parser` then walks over the packages without an
//! end and overflows the stack, which cannot be caught.
//!
//! ```text
//! (type (component
//!   (import "a:a/x" (instance (type ...)))         instance 0
//!   (alias export 0 "t" (type))                    a type of package a:a
//!   (type (instance (alias outer 1 1 (type)) ...)) an instance type that uses it
//!   (import "b:b/y" (instance (type 2)))           b:b depends on a:a
//! ```

use std::collections::{BTreeMap, BTreeSet};
use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentOuterAliasKind, ComponentType,
    ComponentTypeDeclaration, ComponentTypeRef, InstanceTypeDeclaration, Parser, Payload,
};

/// The prefix of custom sections that contain a component type (wit-component's `metadata`).
const SECTION: &str = "component-type";

/// The packages by name, with the packages that each one depends on.
type Packages = BTreeMap<String, BTreeSet<String>>;

/// What is known about a component type that is being read.
#[derive(Default)]
struct TypeScope {
    /// For each type, by index: the packages that it needs.
    types: Vec<BTreeSet<String>>,
    /// For each instance, by index: the package that it belongs to.
    instances: Vec<String>,
}

/// Returns two packages of a core module that depend on each other, or two versions of a package of which one depends
/// on the other, if there are any. Sections that cannot be read are skipped, because the encoder reports what is wrong
/// with them.
pub(crate) fn find_cycle(module: &[u8]) -> Option<[String; 2]> {
    let mut packages = Packages::new();
    for payload in Parser::new(0).parse_all(module).map_while(Result::ok) {
        if let Payload::CustomSection(section) = payload
            && section.name().starts_with(SECTION)
        {
            let _ = read(section.data(), &mut packages);
        }
    }
    let reaches = |from: &String, to: &String| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(package) = next.pop() {
            if seen.insert(package) {
                next.extend(packages.get(package).into_iter().flatten());
            }
        }
        seen.contains(to)
    };
    let needs = packages.iter().flat_map(|(one, needs)| needs.iter().map(move |need| (one, need)));
    // The encoder merges compatible versions of one package.
    let is_same = |one: &str, other: &str| one.split('@').next() == other.split('@').next();
    let mut circles = needs.filter(|(one, need)| is_same(one, need) || reaches(need, one));
    circles.next().map(|(one, need)| [one.clone(), need.clone()])
}

/// Returns true if a core module carries a component type, from which a component can be made of it.
pub(crate) fn has_component_type(module: &[u8]) -> bool {
    let is_type = |payload: Payload<'_>| matches!(payload, Payload::CustomSection(section) if section.name().starts_with(SECTION));
    Parser::new(0).parse_all(module).map_while(Result::ok).any(is_type)
}

fn read(bytes: &[u8], packages: &mut Packages) -> wasmparser::Result<()> {
    for payload in Parser::new(0).parse_all(bytes) {
        if let Payload::ComponentTypeSection(types) = payload? {
            for ty in types {
                if let ComponentType::Component(declarations) = ty? {
                    read_component_type(&declarations, packages);
                }
            }
        }
    }
    Ok(())
}

fn read_component_type(declarations: &[ComponentTypeDeclaration<'_>], packages: &mut Packages) {
    let mut scope = TypeScope::default();
    for declaration in declarations {
        match declaration {
            ComponentTypeDeclaration::Type(ty) => {
                let needs = match ty {
                    ComponentType::Instance(declarations) => used_packages(declarations, &scope),
                    ComponentType::Component(declarations) => {
                        read_component_type(declarations, packages);
                        BTreeSet::new()
                    }
                    _ => BTreeSet::new(),
                };
                scope.types.push(needs);
            }
            ComponentTypeDeclaration::Alias(ComponentAlias::InstanceExport {
                kind: ComponentExternalKind::Type,
                instance_index,
                ..
            }) => {
                let of = scope.instances.get(*instance_index as usize).cloned();
                scope.types.push(of.into_iter().collect());
            }
            ComponentTypeDeclaration::Alias(ComponentAlias::Outer {
                kind: ComponentOuterAliasKind::Type,
                ..
            }) => scope.types.push(BTreeSet::new()),
            ComponentTypeDeclaration::Import(import) => {
                add_extern(import.name.name, import.ty, &mut scope, packages);
            }
            ComponentTypeDeclaration::Export { name, ty, .. } => {
                add_extern(name.name, *ty, &mut scope, packages);
            }
            _ => {}
        }
    }
}

/// The packages whose types an instance type uses from outside.
fn used_packages(
    declarations: &[InstanceTypeDeclaration<'_>],
    scope: &TypeScope,
) -> BTreeSet<String> {
    let needs = declarations.iter().filter_map(|declaration| match declaration {
        InstanceTypeDeclaration::Alias(ComponentAlias::Outer {
            kind: ComponentOuterAliasKind::Type,
            count: 1,
            index,
        }) => scope.types.get(*index as usize),
        _ => None,
    });
    needs.flatten().cloned().collect()
}

/// Reads an import or export: an interface, as `package/interface@version`, or something else.
fn add_extern(name: &str, ty: ComponentTypeRef, scope: &mut TypeScope, packages: &mut Packages) {
    match ty {
        ComponentTypeRef::Instance(index) => {
            let (package, interface) = name.split_once('/').unwrap_or((name, ""));
            let version = interface.split_once('@').map_or("", |(_, version)| version);
            let package = format!("{package}@{version}");
            let needs = scope.types.get(index as usize).into_iter().flatten();
            let needs: Vec<_> = needs.filter(|need| **need != package).cloned().collect();
            packages.entry(package.clone()).or_default().extend(needs);
            scope.instances.push(package);
        }
        ComponentTypeRef::Type(_) => scope.types.push(BTreeSet::new()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes a core module that carries a component type with these interfaces. Each interface uses the one before.
    fn module(interfaces: &[&str]) -> Vec<u8> {
        let mut types = String::new();
        for (index, name) in interfaces.iter().enumerate() {
            let uses = match index {
                0 => "(type (record (field \"a\" u8))) (export \"t\" (type (eq 0)))".to_owned(),
                _ => format!("(alias outer 1 $t{} (type)) (export \"t\" (type (eq 0)))", index - 1),
            };
            types += &format!(
                "(type $i{index} (instance {uses})) (import \"{name}\" (instance $n{index} (type $i{index})))
                 (alias export $n{index} \"t\" (type $t{index}))"
            );
        }
        let component = format!("(component (type (component {types})))");
        let component = wat::parse_str(component).expect("a component type");
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        let mut section = vec![SECTION.len() as u8];
        section.extend(SECTION.as_bytes());
        section.extend(component);
        module.extend([0, (section.len() as u8 & 0x7f) | 0x80, (section.len() >> 7) as u8]);
        module.extend(section);
        module
    }

    #[test]
    fn packages_that_depend_on_one_another_are_found() {
        assert_eq!(find_cycle(&module(&["a:a/x@1.0.0", "b:b/y@1.0.0", "c:c/z@1.0.0"])), None);
        assert_eq!(find_cycle(&module(&["a:a/x", "a:a/y", "b:b/z"])), None);
        assert!(find_cycle(&module(&["a:a/x@0.1.0", "a:a/y@0.1.4"])).is_some());
        let found = find_cycle(&module(&["a:a/x@1.0.0", "b:b/y@1.0.0", "a:a/z@1.0.0"]));
        assert_eq!(found, Some(["a:a@1.0.0".to_owned(), "b:b@1.0.0".to_owned()]));
    }
}
