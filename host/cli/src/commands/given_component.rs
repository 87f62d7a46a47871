//! Components as the command line gives them: WebAssembly, its text, source code, or the name of one that ships with the
//! program.

use crate::project::{Kind, Project, built, find_toolchain};
use anyhow::Result;
use llem_runtime::{ComponentRole, ComponentSource, Error, Script, parse_text};
use std::{collections::BTreeMap, fs, path::Path};

/// Reads a component from its file, builds it from source code, or returns the one that ships with this program under that
/// name.
pub(super) fn read_component(name: &str, role: Option<ComponentRole>) -> Result<Script> {
    let (bytes, source) = read(name, role)?;
    Ok(Script { file: name.to_owned(), bytes, role, source })
}

fn read(name: &str, role: Option<ComponentRole>) -> Result<(Vec<u8>, Option<ComponentSource>)> {
    let path = Path::new(name);
    if name == "quickstart" && !path.is_file() {
        let shipped = include_bytes!("../../../../scripts/quickstart/quickstart.wasm");
        return Ok((shipped.to_vec(), None));
    }
    if Project::is_source(path) {
        let mut project = Project::open(path, None)?;
        // A project says what it is, and a script is what it is given for.
        if project.is_script {
            project.kind = kind(role);
        }
        let toolchain = find_toolchain(&project)?;
        let building = built::say_building(&project);
        let built = built::component(&project, &*toolchain, building)?;
        return Ok((built.bytes, Some(built.source)));
    }
    let bytes = fs::read(path).map_err(|error| {
        Error::Input(format!(
            "cannot read {name}: {error}; give a .wasm or .wat file, a project or script, or quickstart"
        ))
    })?;
    if path.extension().is_some_and(|ending| ending == "wat") {
        let source = text_source(name, &bytes);
        return Ok((parse_text(name, &bytes)?, Some(source)));
    }
    Ok((bytes, None))
}

/// The kind of a component that is built for a role.
fn kind(role: Option<ComponentRole>) -> Kind {
    match role {
        None | Some(ComponentRole::Experiment | ComponentRole::Runner) => Kind::Experiment,
        Some(ComponentRole::Warmup) => Kind::Warmup,
        Some(ComponentRole::Workload) => Kind::Workload,
        Some(ComponentRole::Metrics) => Kind::Metrics,
    }
}

/// The source of a component in WebAssembly's text format, which this program parses itself.
fn text_source(name: &str, bytes: &[u8]) -> ComponentSource {
    let digest = built::digest(bytes);
    ComponentSource {
        language: "wat".to_owned(),
        file: name.to_owned(),
        file_digest: digest.clone(),
        digest,
        tools: BTreeMap::new(),
        sdk: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llem_runtime::ErrorKind;

    #[test]
    fn a_component_that_cannot_be_read_is_bad_input() {
        assert!(read_component("quickstart", None).is_ok());
        let error = read_component("/nowhere/x.wasm", None).err().expect("there is no such file");
        let error = error.downcast::<Error>().expect("an error of a run");
        assert_eq!(error.kind(), ErrorKind::Input);
    }
}
