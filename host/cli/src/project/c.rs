//! C projects: clang compiles them with the SDK into a core module, which the host encodes as a component. Tests are
//! programs for this machine.

use super::{
    Language, Project, ProjectError, Result, Toolchain, built, sdk,
    sources::{self, Sources},
    tool::{self, Messages, Tool},
};
use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use walkdir::WalkDir;

const REMEDY: &str =
    "install wasi-sdk (https://github.com/WebAssembly/wasi-sdk) and put its bin folder on PATH";

/// The names of clang with a C library for WebAssembly, as wasi-sdk has them.
const COMPILERS: [&str; 2] = ["wasm32-wasip1-clang", "wasm32-wasi-clang"];

pub(super) struct CTools {
    tools: [Tool; 1],
    programs: Vec<PathBuf>,
    sdk_digest: String,
}

impl CTools {
    pub(super) fn find(_: &Project) -> Result<Self> {
        let programs = tool::search_folders(Vec::new(), &["c/bin"]);
        let mut found = COMPILERS.iter().map(|name| Tool::find(name, &programs));
        let compiler = found.find_map(|tool| tool).ok_or(ProjectError::MissingTool {
            tool: "clang with a C library for WebAssembly",
            language: "C",
            remedy: REMEDY,
        })?;
        Ok(Self { tools: [compiler], programs, sdk_digest: sdk::digest() })
    }
}

impl Toolchain for CTools {
    fn tools(&self) -> &[Tool] {
        &self.tools
    }

    fn sdk_digest(&self) -> &str {
        &self.sdk_digest
    }

    fn build(&self, project: &Project, sources: &Sources, _: &Path, wasm: &Path) -> Result<()> {
        let [compiler] = &self.tools;
        let sdk = sdk::folder(Language::C)?;
        let mut command = compiler.command();
        // As the SDK's own script `build` has it.
        command.arg(format!("@{}", sdk.join("compile_flags.txt").display()));
        for folder in ["include", "bindings"] {
            command.arg("-I").arg(sdk.join(folder));
        }
        command.arg("-I").arg(&project.folder);
        // The names of the files are those that messages show.
        match project.is_script {
            true => command.arg(project.entry_name()),
            false => command.args(sources.with_ending("c")),
        };
        let kind = format!("{}.c", project.kind.name());
        let bindings = ["host.c", &kind].map(|name| sdk.join("bindings").join(name));
        // Each kind of component exports other functions.
        let exports = sdk.join("src/export");
        let all = with_ending(&sdk.join("src"), "c").into_iter();
        command.args(all.filter(|file| !file.starts_with(&exports)));
        command.arg(exports.join(&kind)).args(bindings);
        command.arg("-o").arg(wasm).current_dir(&project.folder);
        tool::run(compiler.name, &mut command, Messages::Both)?;
        match wasm.exists() {
            true => Ok(()),
            false => Err(tool::no_component(compiler.name, &command)),
        }
    }

    fn test(&self, project: &Project, arguments: &[OsString], scratch: &Path) -> Result<Command> {
        let tests = tests(project);
        if tests.is_empty() {
            let (folder, wanted) = (project.folder.clone(), "test_*.c");
            return Err(ProjectError::NoTests { folder, wanted });
        }
        let compiler = Tool::find("cc", &self.programs).ok_or(ProjectError::MissingTool {
            tool: "cc",
            language: "tests in C",
            remedy: "install a C compiler for this machine, such as gcc",
        })?;
        // Runs one program after the other, up to the first that fails.
        let mut command = Command::new("sh");
        let script = "for program in {}; do \"$program\" \"$@\" || exit; done";
        let mut programs = String::new();
        for test in tests {
            let program = test_program(project, &test, &compiler, scratch)?;
            programs
                .push_str(&format!("'{}' ", program.display().to_string().replace('\'', r"'\''")));
        }
        command.args(["-c", &script.replace("{}", &programs), "sh"]).args(arguments);
        Ok(command)
    }
}

/// The program of a test, which is compiled if neither the test nor anything else in it has been compiled before.
fn test_program(
    project: &Project,
    test: &OsString,
    compiler: &Tool,
    scratch: &Path,
) -> Result<PathBuf> {
    let path = project.folder.join(test);
    let parts = [
        sdk::digest(),
        compiler.fingerprint(),
        Sources::read(project)?.digest,
        sources::digest_file(&path)?,
    ];
    let program = built::test_program(&parts)?;
    if !program.exists() {
        let (sdk, made) = (sdk::folder(Language::C)?, scratch.join(test).with_extension(""));
        let mut command = compiler.command();
        command.args(["-std=c11", "-O0", "-g"]);
        for folder in ["include", "testing", "src"] {
            command.arg("-I").arg(sdk.join(folder));
        }
        command.arg("-I").arg(&project.folder).arg(test);
        let native = with_ending(&sdk.join("src"), "c").into_iter();
        // The others call the host, which a test has not.
        let (host, exports) = (sdk.join("src/host"), sdk.join("src/export"));
        command.args(native.filter(|file| !file.starts_with(&host) && !file.starts_with(&exports)));
        command.args(with_ending(&sdk.join("testing"), "c")).arg("-lm").arg("-o").arg(&made);
        tool::run("cc", command.current_dir(&project.folder), Messages::Both)?;
        fs::rename(&made, &program).map_err(ProjectError::unwritable(&program))?;
    }
    Ok(program)
}

/// The files below a folder with an ending, in order.
fn with_ending(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let walk = WalkDir::new(folder).sort_by_file_name().into_iter().flatten();
    let files = walk.map(|entry| entry.into_path());
    files.filter(|path| path.extension().is_some_and(|own| own == ending)).collect()
}

/// The test files in the project's folder. For a script: the one that carries its name.
fn tests(project: &Project) -> Vec<OsString> {
    let stem = project.entry.file_stem().unwrap_or_default().to_string_lossy();
    let is_test = |name: &str| match project.is_script {
        true => name == format!("test_{stem}.c"),
        false => name.starts_with("test_") && name.ends_with(".c"),
    };
    let entries = fs::read_dir(&project.folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name());
    let mut names: Vec<OsString> = names.filter(|name| is_test(&name.to_string_lossy())).collect();
    names.sort();
    names
}
