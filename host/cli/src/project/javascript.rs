//! JavaScript and TypeScript projects: the SDK's build script bundles them with esbuild and makes a component with
//! componentize-qjs, and Node's own test runner tests them.

use super::{
    Language, Project, ProjectError, Result, Toolchain, sdk,
    sources::{self, Sources},
    tool::{self, Messages, Tool},
};
use crate::env::{NODE_TOOLS, node_tools};
use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

/// The language in messages.
const NAMES: &str = "JavaScript and TypeScript";

const REMEDY: &str = "run `npm install --save-dev esbuild componentize-qjs` in the project, or `npm install --global` with these names";

/// The package of the SDK, below `node_modules`.
const PACKAGE: &str = "@llem/sdk";
/// The SDK's build script.
const SCRIPT: &str = "build.mjs";
/// The files of an installed SDK that a bundle can contain.
const CODE: [&str; 5] = ["js", "mjs", "ts", "mts", "json"];
/// The endings of test files.
const TESTS: [&str; 4] = [".test.js", ".test.mjs", ".test.ts", ".test.mts"];

pub(super) struct JavaScriptTools {
    /// componentize-qjs, esbuild, node.
    tools: [Tool; 3],
    /// The folder of the SDK that the project has installed.
    installed: Option<PathBuf>,
    sdk_digest: String,
}

impl JavaScriptTools {
    pub(super) fn find(project: &Project) -> Result<Self> {
        // As Node resolves packages: in the folder, then in those above.
        let modules = project.folder.ancestors().map(|folder| folder.join("node_modules"));
        let modules: Vec<PathBuf> = modules.filter(|folder| folder.is_dir()).collect();
        let given = node_tools().map(|folder| PathBuf::from(folder).join("node_modules"));
        let own = modules.iter().chain(&given).map(|modules| modules.join(".bin")).collect();
        let programs = tool::search_folders(own, &["js/node_modules/.bin"]);
        let find = |name, remedy| {
            let missing = ProjectError::MissingTool { tool: name, language: NAMES, remedy };
            Tool::find(name, &programs).ok_or(missing)
        };
        let tools = [
            find("componentize-qjs", REMEDY)?,
            find("esbuild", REMEDY)?,
            find("node", "install Node 20 or newer")?,
        ];
        let installed = modules.iter().map(|modules| modules.join(PACKAGE));
        // The folder may be a link, which npm makes for a folder that it is given.
        let installed = installed.filter_map(|sdk| fs::canonicalize(sdk).ok()).next();
        let sdk_digest = match &installed {
            Some(sdk) => sources::digest_folder(sdk, &CODE)?,
            None => sdk::digest(),
        };
        Ok(Self { tools, installed, sdk_digest })
    }

    /// The folder of the SDK.
    fn sdk(&self) -> Result<PathBuf> {
        self.installed.clone().map_or_else(packed_sdk, Ok)
    }
}

impl Toolchain for JavaScriptTools {
    fn tools(&self) -> &[Tool] {
        &self.tools
    }

    fn sdk_digest(&self) -> &str {
        &self.sdk_digest
    }

    fn build(&self, project: &Project, _: &Sources, _: &Path, wasm: &Path) -> Result<()> {
        let [compiler, _, node] = &self.tools;
        let mut command = node.command();
        command.arg(self.sdk()?.join(SCRIPT)).arg(project.entry_name());
        command.args(["--world", project.kind.name()]).arg("--wit").arg(sdk::wit()?);
        command.arg("-o").arg(wasm).current_dir(&project.folder);
        if let Some(packages) = packages(compiler) {
            command.env(NODE_TOOLS, packages);
        }
        tool::run(compiler.name, &mut command, Messages::Both)?;
        match wasm.exists() {
            true => Ok(()),
            false => Err(tool::no_component(compiler.name, &command)),
        }
    }

    fn test(&self, project: &Project, arguments: &[OsString], scratch: &Path) -> Result<Command> {
        let tests = tests(project);
        if tests.is_empty() {
            let wanted = match project.language {
                Language::TypeScript => "NAME.test.ts",
                _ => "NAME.test.js",
            };
            return Err(ProjectError::NoTests { folder: project.folder.clone(), wanted });
        }
        let [_, bundler, node] = &self.tools;
        let mut command = node.command();
        command.args(["--enable-source-maps", "--test"]).args(arguments);
        for test in tests {
            // A bundle finds the SDK where none is installed, and has no types.
            let bundle = scratch.join(test.file_name().unwrap_or_default()).with_extension("mjs");
            let mut bundling = bundler.command();
            bundling.arg(&test).args(["--bundle", "--format=esm", "--platform=node"]);
            bundling.args(["--sourcemap=inline", "--log-level=warning"]);
            bundling.arg(joined("--outfile=", &bundle));
            let here = format!("{:?}", format!("file://{}", test.display()));
            bundling.arg(format!("--define:import.meta.url={here}"));
            if self.installed.is_none() {
                bundling.arg(joined("--alias:@llem/sdk=", &self.sdk()?.join("src")));
            }
            bundling.current_dir(&project.folder);
            tool::run(bundler.name, &mut bundling, Messages::Both)?;
            command.arg(bundle);
        }
        Ok(command)
    }
}

/// The folder of the packed SDK, whose bindings of the WIT package are made if they are not there.
///
/// # Errors
/// Fails if the script that makes them does.
pub(super) fn packed_sdk() -> Result<PathBuf> {
    let sdk = sdk::root()?.join("guest-sdk/js");
    let (bindings, lock) = (sdk.join("src/host/component.ts"), sdk.join(".bindings.lock"));
    let maker = sdk.join("tools/make-bindings.mjs");
    if !bindings.exists() && maker.exists() {
        let held = File::create(&lock).and_then(|file| file.lock().map(|()| file));
        let _held = held.map_err(ProjectError::unwritable(&lock))?;
        if !bindings.exists() {
            tool::run("node", Command::new("node").arg(maker), Messages::Both)?;
        }
    }
    Ok(sdk)
}

/// The folder whose `node_modules` has the package of a program.
fn packages(tool: &Tool) -> Option<PathBuf> {
    let program = fs::canonicalize(&tool.path).ok()?;
    let modules = program.ancestors().find(|folder| folder.ends_with("node_modules"))?;
    modules.parent().map(Path::to_owned)
}

fn joined(option: &str, path: &Path) -> OsString {
    let mut joined = OsString::from(option);
    joined.push(path);
    joined
}

/// The test files in the project's folder and in its folder `tests`. For a script: those that carry its name.
fn tests(project: &Project) -> Vec<PathBuf> {
    let stem = project.entry.file_stem().unwrap_or_default().to_string_lossy();
    let is_test = |name: &OsStr| {
        let name = name.to_string_lossy();
        let own = TESTS.iter().find_map(|ending| name.strip_suffix(ending));
        own.is_some_and(|own| !project.is_script || own == stem)
    };
    let folders = [project.folder.clone(), project.folder.join("tests")];
    let entries = folders.iter().flat_map(fs::read_dir).flatten().flatten();
    let mut files: Vec<PathBuf> =
        entries.filter(|entry| is_test(&entry.file_name())).map(|entry| entry.path()).collect();
    files.sort();
    files
}
