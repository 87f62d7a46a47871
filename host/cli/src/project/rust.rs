//! Rust projects: cargo builds a core module, which the host encodes as a component, and tests it on this machine.

use super::{
    Language, Project, ProjectError, Result, Toolchain, sdk,
    sources::{self, Sources},
    tool::{self, Messages, Tool},
};
use serde::Deserialize;
use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use toml::{Table, Value};

const REMEDY: &str = "install Rust from https://rustup.rs";
const TARGET_REMEDY: &str = "run `rustup target add wasm32-unknown-unknown`";

/// The target that guests are compiled for.
const TARGET: &str = "wasm32-unknown-unknown";

/// The file of a toolchain that rustup changes with it.
const TOOLCHAIN_MANIFEST: &str = "lib/rustlib/multirust-channel-manifest.toml";

pub(super) struct RustTools {
    /// cargo, then rustc.
    tools: [Tool; 2],
    manifest: PathBuf,
    /// Whether the project names a path or a repository of the SDK.
    has_own_sdk: bool,
    sdk_digest: String,
}

impl RustTools {
    pub(super) fn find(project: &Project) -> Result<Self> {
        let manifest = project.folder.join("Cargo.toml");
        let text = fs::read_to_string(&manifest).map_err(ProjectError::unreadable(&manifest))?;
        let table: Table = toml::from_str(&text).map_err(|error| ProjectError::Manifest {
            path: manifest.clone(),
            reason: error.message().replace('\n', ", "),
        })?;
        let programs = tool::search_folders(Vec::new(), &[]);
        let find = |name| {
            let missing =
                ProjectError::MissingTool { tool: name, language: "Rust", remedy: REMEDY };
            Tool::find(name, &programs).ok_or(missing)
        };
        let tools = [find("cargo")?, find("rustc")?];
        let mut folders = Vec::new();
        for path in paths(&table, &project.folder) {
            folders.push(sources::digest_folder(&path, &["rs", "toml"])?);
        }
        let has_own_sdk = dependencies(&table)
            .any(|(name, of)| name == "llem-sdk" && of.as_table().is_some_and(is_elsewhere));
        let sdk_digest = match has_own_sdk {
            true => sources::digest(folders.join(" ").as_bytes()),
            false => sdk::digest(),
        };
        Ok(Self { tools, manifest, has_own_sdk, sdk_digest })
    }

    /// Adds what a cargo command needs to find the SDK.
    fn with_sdk(&self, command: &mut Command) -> Result<()> {
        if !self.has_own_sdk {
            let sdk = sdk::folder(Language::Rust)?;
            command.arg("--config");
            command.arg(format!("patch.crates-io.llem-sdk.path={:?}", sdk.display().to_string()));
        }
        Ok(())
    }
}

impl Toolchain for RustTools {
    fn tools(&self) -> &[Tool] {
        &self.tools
    }

    fn sdk_digest(&self) -> &str {
        &self.sdk_digest
    }

    /// The toolchains of rustup, whose programs stay the same files when a toolchain changes.
    fn surroundings(&self) -> String {
        let rustup = env::var_os("RUSTUP_HOME").map(PathBuf::from);
        let Some(rustup) = rustup.or_else(|| Some(etcetera::home_dir().ok()?.join(".rustup")))
        else {
            return String::new();
        };
        let toolchains = fs::read_dir(rustup.join("toolchains")).into_iter().flatten().flatten();
        let manifests = toolchains.map(|entry| entry.path().join(TOOLCHAIN_MANIFEST));
        let paths = manifests.chain([rustup.join("settings.toml")]);
        let mut stamps: Vec<String> = paths
            .map(|path| {
                format!(
                    "{} {:?}",
                    path.display(),
                    fs::metadata(&path).and_then(|file| file.modified()).ok()
                )
            })
            .collect();
        stamps.sort();
        stamps.join("\n")
    }

    fn build(&self, project: &Project, _: &Sources, _: &Path, wasm: &Path) -> Result<()> {
        let [cargo, _] = &self.tools;
        let mut command = cargo.command();
        command.current_dir(&project.folder);
        command.args(["build", "--lib", "--release", "--target", TARGET, "--quiet"]);
        command.args(["--message-format", "json-render-diagnostics"]);
        self.with_sdk(&mut command)?;
        require_target(&project.folder, &mut command)?;
        let messages = tool::run(cargo.name, &mut command, Messages::Errors)?;
        let module = messages.lines().filter_map(|line| artifact(line, &self.manifest)).next_back();
        let module = module.ok_or_else(|| tool::no_component(cargo.name, &command))?;
        fs::copy(&module, wasm).map_err(ProjectError::unreadable(module))?;
        Ok(())
    }

    fn test(&self, _: &Project, arguments: &[OsString], _: &Path) -> Result<Command> {
        let [cargo, _] = &self.tools;
        let mut command = cargo.command();
        command.args(["test", "--quiet"]);
        self.with_sdk(&mut command)?;
        command.args(arguments);
        Ok(command)
    }
}

/// Refuses a Rust that has no standard library for the target, unless there is Debian's, which
/// `scripts/tools/build-guests` installs.
fn require_target(folder: &Path, command: &mut Command) -> Result<()> {
    let sysroot = |rustc: &str| -> Option<PathBuf> {
        let mut rustc = Command::new(rustc);
        let output = rustc.args(["--print", "sysroot"]).current_dir(folder).output().ok()?;
        Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
    };
    let missing =
        || ProjectError::MissingTool { tool: TARGET, language: "Rust", remedy: TARGET_REMEDY };
    let sysroot = sysroot("rustc").ok_or_else(missing)?;
    if sysroot.join("lib/rustlib").join(TARGET).is_dir() {
        return Ok(());
    }
    let debian = tool::tools_folder().map(|tools| tools.with_file_name("rust-web"));
    let debian = debian.filter(|home| home.join(".done").exists()).ok_or_else(missing)?;
    let llvm = fs::read_dir(debian.join("usr/lib")).into_iter().flatten().flatten();
    let llvm = llvm.map(|entry| entry.path()).find(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("llvm-"))
    });
    let host = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let libraries = format!("usr/lib/{}-linux-gnu", env::consts::ARCH);
    let mut folders = vec![debian.join(libraries)];
    folders.extend(llvm.map(|llvm| llvm.join("lib")));
    let folders = env::join_paths(folders).unwrap_or_default();
    command.env("RUSTC", debian.join("usr/bin/rustc")).env("RUSTC_BOOTSTRAP", "1");
    command.env("LD_LIBRARY_PATH", folders).arg("-Zbuild-std=std,panic_abort");
    let linker = sysroot.join("lib/rustlib").join(host).join("bin/rust-lld");
    command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
    Ok(())
}

/// A message of cargo for programs, as far as it is needed.
#[derive(Deserialize)]
struct CargoMessage {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// The module that a message says cargo has made of the package.
fn artifact(line: &str, manifest: &Path) -> Option<PathBuf> {
    let message: CargoMessage = serde_json::from_str(line).ok()?;
    if message.reason != "compiler-artifact" || message.manifest_path != manifest {
        return None;
    }
    message.filenames.into_iter().find(|file| file.extension().is_some_and(|own| own == "wasm"))
}

/// The dependencies of a package, by name.
fn dependencies(manifest: &Table) -> impl Iterator<Item = (&str, &Value)> {
    let table = manifest.get("dependencies").and_then(Value::as_table);
    table.into_iter().flatten().map(|(name, of)| (name.as_str(), of))
}

/// Whether a dependency comes from elsewhere than a registry.
fn is_elsewhere(of: &Table) -> bool {
    ["path", "git", "workspace"].iter().any(|key| of.contains_key(*key))
}

/// The folders of the dependencies of a package in `folder`, also of those that its workspace gives it.
fn paths(manifest: &Table, folder: &Path) -> Vec<PathBuf> {
    let path = |of: &Value| Some(of.as_table()?.get("path")?.as_str()?.to_owned());
    let of_workspace = |name: &str| {
        let (root, table) = workspace(folder)?;
        let shared = table.get("workspace")?.get("dependencies")?.get(name)?;
        Some(root.join(path(shared)?))
    };
    let found = dependencies(manifest).filter_map(|(name, of)| {
        if of.as_table()?.contains_key("workspace") {
            return of_workspace(name);
        }
        Some(folder.join(path(of)?))
    });
    found.collect()
}

/// The folder and the manifest of the workspace around a package.
fn workspace(folder: &Path) -> Option<(&Path, Table)> {
    folder.ancestors().find_map(|folder| {
        let text = fs::read_to_string(folder.join("Cargo.toml")).ok()?;
        let table: Table = toml::from_str(&text).ok()?;
        table.contains_key("workspace").then_some((folder, table))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_the_one_that_cargo_names() {
        let line = r#"{"reason":"compiler-artifact","manifest_path":"/p/Cargo.toml","filenames":["/t/a.rlib","/t/a.wasm"]}"#;
        assert_eq!(artifact(line, Path::new("/p/Cargo.toml")), Some(PathBuf::from("/t/a.wasm")));
        assert_eq!(artifact(line, Path::new("/q/Cargo.toml")), None);
        assert_eq!(artifact(r#"{"reason":"build-finished","success":true}"#, Path::new("")), None);
    }

    #[test]
    fn a_dependency_by_path_is_a_source() {
        let text = "[dependencies]\nllem-sdk = { path = \"../sdk\" }\nserde = \"1\"\n";
        let table: Table = toml::from_str(text).expect("TOML");
        assert_eq!(paths(&table, Path::new("/p")), [Path::new("/p/../sdk")]);
    }

    #[test]
    fn a_dependency_that_the_workspace_gives_by_path_is_a_source() {
        let root = tempfile::tempdir().expect("a folder");
        let manifest = "[workspace]\ndependencies.llem-sdk = { path = \"sdk\" }\n";
        fs::write(root.path().join("Cargo.toml"), manifest).expect("written");
        let package = "[dependencies]\nllem-sdk = { workspace = true }\n";
        let table: Table = toml::from_str(package).expect("TOML");
        let folder = root.path().join("experiments/one");
        assert_eq!(paths(&table, &folder), [root.path().join("sdk")]);
    }
}
