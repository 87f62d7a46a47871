//! Counts the instances that a component makes before it is compiled.
//!
//! A component may instantiate another one twice, which instantiates another one twice, and so on. wasmtime compiles
//! each instance separately, so a few kilobytes could take all memory.

use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind,
    ComponentTypeRef, Encoding, Instance, Parser, Payload,
};

/// A component that is being read.
#[derive(Default)]
struct OpenComponent {
    /// For each component that it can instantiate, by index: the number of instances that this one makes.
    components: Vec<u64>,
    /// The number of instances that the component makes itself.
    makes: u64,
}

/// Counts the instances of components and core modules that a component makes, including those of its inner components.
/// A component that is imported, or exported by an instance, is not known. It counts as the largest known one.
///
/// # Errors
/// Fails if the bytes are not a readable component.
pub(crate) fn count_instances(bytes: &[u8]) -> wasmparser::Result<u64> {
    let mut open: Vec<OpenComponent> = Vec::new();
    let mut modules = 0;
    let mut largest = 1;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        match &payload {
            Payload::Version { encoding: Encoding::Component, .. } => {
                open.push(OpenComponent::default())
            }
            Payload::Version { encoding: Encoding::Module, .. } => modules += 1,
            Payload::End(_) if modules > 0 => modules -= 1,
            Payload::End(_) => {
                let makes = open.pop().map_or(0, |component| component.makes);
                largest = largest.max(makes);
                match open.last_mut() {
                    Some(outer) => outer.components.push(makes),
                    None => return Ok(makes),
                }
            }
            _ => add_section(&payload, &mut open, largest)?,
        }
    }
    Ok(0)
}

/// Adds a section to the innermost open component.
fn add_section(
    payload: &Payload<'_>,
    open: &mut [OpenComponent],
    largest: u64,
) -> wasmparser::Result<()> {
    let Some(last) = open.len().checked_sub(1) else { return Ok(()) };
    let of = |open: &[OpenComponent], depth: usize, index: u32| {
        let component = last.checked_sub(depth).map(|place| &open[place]);
        component.and_then(|component| component.components.get(index as usize)).copied()
    };
    match payload {
        Payload::ComponentImportSection(imports) => {
            for import in imports.clone() {
                if let ComponentTypeRef::Component(_) = import?.ty {
                    open[last].components.push(largest);
                }
            }
        }
        Payload::ComponentAliasSection(aliases) => {
            for alias in aliases.clone() {
                let makes = match alias? {
                    ComponentAlias::Outer {
                        kind: ComponentOuterAliasKind::Component,
                        count,
                        index,
                    } => of(open, count as usize, index),
                    ComponentAlias::InstanceExport {
                        kind: ComponentExternalKind::Component,
                        ..
                    } => Some(largest),
                    _ => continue,
                };
                open[last].components.push(makes.unwrap_or(largest));
            }
        }
        Payload::ComponentExportSection(exports) => {
            for export in exports.clone() {
                let export = export?;
                if export.kind == ComponentExternalKind::Component {
                    let makes = of(open, 0, export.index).unwrap_or(largest);
                    open[last].components.push(makes);
                }
            }
        }
        Payload::InstanceSection(instances) => {
            for instance in instances.clone() {
                if let Instance::Instantiate { .. } = instance? {
                    open[last].makes = open[last].makes.saturating_add(1);
                }
            }
        }
        Payload::ComponentInstanceSection(instances) => {
            for instance in instances.clone() {
                if let ComponentInstance::Instantiate { component_index, .. } = instance? {
                    let makes = of(open, 0, component_index).unwrap_or(largest);
                    let component = &mut open[last];
                    component.makes = component.makes.saturating_add(makes).saturating_add(1);
                }
            }
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_of_instances_count() {
        let component = |text: &str| wat::parse_str(text).expect("a component");
        let of = |text: &str| count_instances(&component(text)).expect("a component");
        assert_eq!(of("(component)"), 0);
        assert_eq!(of("(component (core module $m) (core instance (instantiate $m)))"), 1);
        let inner = "(component $c (core module $m) (core instance (instantiate $m)))";
        let twice = "(instance (instantiate $c)) (instance (instantiate $c))";
        assert_eq!(of(&format!("(component {inner} {twice})")), 4);
        let alias = "(alias outer 1 $c (component $x)) (instance (instantiate $x))";
        let whole = format!(
            "(component {inner} (component $d {alias} {alias}) (instance (instantiate $d)))"
        )
        .replacen("$x", "$y", 2);
        assert_eq!(of(&whole), 5);
        assert!(count_instances(b"\0asm\x0d\0\x01\0\xff").is_err());
    }
}
