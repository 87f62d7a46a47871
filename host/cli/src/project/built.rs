//! Components that were built from source code, and are kept for later runs.
//!
//! ```text
//! <cache>/built/<key>.wasm     the component or core module
//!               <key>.json     the versions of the programs that built it
//!               <key>.test     a compiled test in C
//!               <key>.lock     held while it is built
//!               .building-*    scratch folders, each with a lock of its own
//! ```
//!
//! The key is a digest of everything that the component depends on, which is known without starting a program.

use super::{
    Project, ProjectError, Result, Toolchain, sdk,
    sources::{self, Sources},
};
pub(crate) use super::{sources::digest, tool::end};
use crate::{commands::cache, untrusted::line};
use llem_runtime::ComponentSource;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// Names the rules by which components are built. It changes with them.
const RULES: &str = "llem-built-1";
/// How the names of scratch folders begin.
const SCRATCH: &str = ".building-";
/// The lock within a scratch folder, which its process holds.
const LOCK: &str = "lock";

/// A component that was built from source code.
pub(crate) struct BuiltComponent {
    pub(crate) bytes: Vec<u8>,
    /// What it was built from, for the record.
    pub(crate) source: ComponentSource,
}

/// Returns the component of a project, which is built if it is not in the cache. Calls `building` with the name of the
/// program before a build, because it takes seconds.
///
/// # Errors
/// Fails if the build does, or if its result cannot be kept.
pub(crate) fn component(
    project: &Project,
    toolchain: &dyn Toolchain,
    building: impl FnOnce(&str),
) -> Result<BuiltComponent> {
    let sources = Sources::read(project)?;
    let folder = folder()?;
    let key = key(project, toolchain, &sources);
    let [wasm, versions] = ["wasm", "json"].map(|ending| folder.join(format!("{key}.{ending}")));
    if !wasm.exists() {
        let lock = folder.join(format!("{key}.lock"));
        let held = locked(&lock).map_err(ProjectError::unwritable(&lock))?;
        // Another process may have built it meanwhile.
        let built = if wasm.exists() {
            Ok(())
        } else {
            building(toolchain.tools().first().map_or("", |tool| tool.name));
            build(project, toolchain, &sources, &folder, [&wasm, &versions])
        };
        // Whoever waits for the removed lock finds the component, or builds in a scratch folder of its own.
        let _ = fs::remove_file(&lock);
        drop(held);
        built?;
    }
    let bytes = fs::read(&wasm).map_err(ProjectError::unreadable(&wasm))?;
    let tools = fs::read(&versions).map_err(ProjectError::unreadable(&versions))?;
    let source = ComponentSource {
        language: project.language.name().to_owned(),
        file: project.entry_name().display().to_string(),
        file_digest: sources::digest_file(&project.entry)?,
        digest: sources.digest,
        tools: serde_json::from_slice(&tools).unwrap_or_default(),
        sdk: Some(toolchain.sdk_digest().to_owned()),
    };
    Ok(BuiltComponent { bytes, source })
}

/// Where a compiled test is kept, by everything that it depends on.
pub(super) fn test_program(parts: &[String]) -> Result<PathBuf> {
    let key = sources::digest(parts.join("\0").as_bytes());
    Ok(folder()?.join(format!("{}.test", key.trim_start_matches("sha256:"))))
}

/// A new scratch folder, which is removed when it is dropped. Scratch folders of processes that were killed are removed
/// now.
pub(crate) fn scratch() -> Result<Scratch> {
    let folder = folder()?;
    remove_abandoned(&folder);
    let made = || -> io::Result<Scratch> {
        let folder = tempfile::Builder::new().prefix(SCRATCH).tempdir_in(&folder)?;
        let lock = locked(&folder.path().join(LOCK))?;
        let inner = folder.path().join("files");
        fs::create_dir(&inner)?;
        Ok(Scratch { inner, _lock: lock, _folder: folder })
    };
    made().map_err(ProjectError::unwritable(&folder))
}

/// A folder for the files of one build or test.
pub(crate) struct Scratch {
    inner: PathBuf,
    _lock: File,
    _folder: TempDir,
}

impl Scratch {
    pub(crate) fn path(&self) -> &Path {
        &self.inner
    }
}

fn build(
    project: &Project,
    toolchain: &dyn Toolchain,
    sources: &Sources,
    folder: &Path,
    [wasm, versions]: [&Path; 2],
) -> Result<()> {
    let scratch = scratch()?;
    let built = scratch.path().join("component.wasm");
    toolchain.build(project, sources, scratch.path(), &built)?;
    let named = toolchain.tools().iter().map(|tool| (tool.name, tool.version()));
    let named = serde_json::to_vec(&named.collect::<BTreeMap<_, _>>()).unwrap_or_default();
    llem_files::write(versions, &named).map_err(ProjectError::unwritable(versions))?;
    // The component comes last, because its presence says that all is there.
    let content = fs::read(&built).map_err(ProjectError::unreadable(&built))?;
    llem_files::write(wasm, &content).map_err(ProjectError::unwritable(folder))
}

/// The folder of built components, which is made if it is not there.
fn folder() -> Result<PathBuf> {
    let folder = cache().ok_or(ProjectError::NoCache)?.join("built");
    fs::create_dir_all(&folder).map_err(ProjectError::unwritable(&folder))?;
    Ok(folder)
}

fn key(project: &Project, toolchain: &dyn Toolchain, sources: &Sources) -> String {
    let tools: Vec<String> = toolchain.tools().iter().map(|tool| tool.fingerprint()).collect();
    let parts = [
        RULES.to_owned(),
        project.language.name().to_owned(),
        project.kind.name().to_owned(),
        project.entry_name().display().to_string(),
        sources.digest.clone(),
        tools.join("\n"),
        // The WIT package is a part of it.
        sdk::digest(),
        toolchain.sdk_digest().to_owned(),
        toolchain.surroundings(),
    ];
    let digest = sources::digest(parts.join("\0").as_bytes());
    digest.trim_start_matches("sha256:").to_owned()
}

/// Opens a file and waits until no other process holds its lock.
fn locked(path: &Path) -> io::Result<File> {
    let file = File::create(path)?;
    file.lock()?;
    Ok(file)
}

/// Removes the scratch folders whose processes are gone.
fn remove_abandoned(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_scratch = entry.file_name().to_string_lossy().starts_with(SCRATCH);
        let lock = is_scratch.then(|| File::open(entry.path().join(LOCK)));
        // A folder without a lock is being made.
        if let Some(Ok(lock)) = lock
            && lock.try_lock().is_ok()
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Says on standard error that a project is built, and with what.
pub(crate) fn say_building(project: &Project) -> impl FnOnce(&str) {
    let name = match project.is_script {
        true => project.entry_name().display().to_string(),
        false => project.name.clone(),
    };
    move |tool| eprintln!("{}", line(&format!("building {name} with {tool} ...")))
}
