//! Python projects: componentize-py builds them, pytest tests them, or unittest where pytest is not installed.

use super::{
    Project, ProjectError, Result, Toolchain, sdk,
    sources::{self, Sources},
    tool::{self, Messages, Tool},
};
use crate::env::python;
use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const REMEDY: &str = "run `pip install componentize-py` in the environment that is active, or set LLEM_PYTHON to the \
                      Python that has it";

/// The package that the SDK's wheel installs.
const PACKAGE: &str = "llem_sdk";

/// The folders in a project that are looked at for a virtual environment.
const ENVIRONMENTS: [&str; 2] = [".venv", "venv"];

pub(super) struct PythonTools {
    tools: [Tool; 1],
    /// Folders with programs: of the chosen Python, of virtual environments, of `PATH`.
    programs: Vec<PathBuf>,
    /// The virtual environment's packages, if it has the SDK.
    packages: Option<PathBuf>,
    sdk_digest: String,
}

impl PythonTools {
    pub(super) fn find(project: &Project) -> Result<Self> {
        let mut own = Vec::new();
        if let Some(python) = python() {
            let missing = || ProjectError::MissingProgram {
                variable: crate::env::PYTHON,
                path: PathBuf::from(&python),
            };
            let python = Path::new(&python);
            own.extend(python.is_file().then(|| python.parent()).flatten().map(Path::to_owned));
            if own.is_empty() {
                return Err(missing());
            }
        }
        let environments = ENVIRONMENTS.map(|name| project.folder.join(name)).into_iter();
        let active = env::var_os("VIRTUAL_ENV").map(PathBuf::from);
        let environments: Vec<PathBuf> = environments.chain(active).collect();
        own.extend(environments.iter().map(|environment| environment.join("bin")));
        let programs = tool::search_folders(own, &["python/bin"]);
        let compiler =
            Tool::find("componentize-py", &programs).ok_or(ProjectError::MissingTool {
                tool: "componentize-py",
                language: "Python",
                remedy: REMEDY,
            })?;
        let mut packages = environments.iter().flat_map(|environment| site_packages(environment));
        let packages = packages.find(|packages| packages.join(PACKAGE).is_dir());
        let sdk_digest = match &packages {
            Some(packages) => {
                sources::digest_folder(&packages.join(PACKAGE), &["py", "wit", "toml"])?
            }
            None => sdk::digest(),
        };
        Ok(Self { tools: [compiler], programs, packages, sdk_digest })
    }

    /// The folder that Python finds the SDK in.
    fn sdk(&self) -> Result<PathBuf> {
        match &self.packages {
            Some(packages) => Ok(packages.clone()),
            None => Ok(sdk::folder(super::Language::Python)?.join("src")),
        }
    }
}

impl Toolchain for PythonTools {
    fn tools(&self) -> &[Tool] {
        &self.tools
    }

    fn sdk_digest(&self) -> &str {
        &self.sdk_digest
    }

    /// The installed packages with their versions, as pip names their folders.
    fn surroundings(&self) -> String {
        let entries = self.packages.iter().flat_map(fs::read_dir).flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.filter(|name| name.ends_with(".dist-info")).collect();
        names.sort();
        names.join(" ")
    }

    fn build(&self, project: &Project, _: &Sources, scratch: &Path, wasm: &Path) -> Result<()> {
        let [compiler] = &self.tools;
        let module = project.entry.file_stem().unwrap_or_default();
        let folder = project.entry.parent().unwrap_or(&project.folder);
        let mut command = compiler.command();
        command.arg("-d").arg(sdk::wit()?).args(["-w", project.kind.name(), "componentize"]);
        command.arg(module).arg("-p").arg(folder).arg("-p").arg(self.sdk()?);
        command.arg("-o").arg(wasm).current_dir(scratch);
        tool::run(compiler.name, &mut command, Messages::Both)?;
        match wasm.exists() {
            true => Ok(()),
            false => Err(tool::no_component(compiler.name, &command)),
        }
    }

    fn test(&self, project: &Project, arguments: &[OsString], _: &Path) -> Result<Command> {
        let tests = tests(project);
        if tests.is_empty() && !project.folder.join("tests").is_dir() {
            let (folder, wanted) = (project.folder.clone(), "test_*.py");
            return Err(ProjectError::NoTests { folder, wanted });
        }
        let mut command = match Tool::find("pytest", &self.programs) {
            Some(pytest) => {
                let mut command = pytest.command();
                // Neither a cache folder nor plugins that the project does not name: they take longer than the tests.
                command.args(["-q", "-p", "no:cacheprovider"]);
                command
            }
            None => {
                let python = Tool::find("python3", &self.programs);
                let python = python.ok_or(ProjectError::MissingTool {
                    tool: "python3",
                    language: "Python",
                    remedy: "install Python 3.10 or newer",
                })?;
                let mut command = python.command();
                command.args(["-m", "unittest"]);
                command
            }
        };
        if project.is_script {
            command.args(tests);
        }
        let mut paths = Vec::new();
        if self.packages.is_none() {
            paths.push(self.sdk()?);
        }
        paths.extend(env::split_paths(&env::var_os("PYTHONPATH").unwrap_or_default()));
        if let Ok(paths) = env::join_paths(paths) {
            command.env("PYTHONPATH", paths);
        }
        command.args(arguments).env("PYTHONDONTWRITEBYTECODE", "1");
        Ok(command)
    }
}

/// The test files in the project's folder. For a script: those that carry its name.
fn tests(project: &Project) -> Vec<OsString> {
    let stem = project.entry.file_stem().unwrap_or_default().to_string_lossy();
    let is_test = |name: &str| match project.is_script {
        true => name == format!("test_{stem}.py") || name == format!("{stem}_test.py"),
        false => name.ends_with(".py") && (name.starts_with("test_") || name.ends_with("_test.py")),
    };
    let entries = fs::read_dir(&project.folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name());
    names.filter(|name| is_test(&name.to_string_lossy())).collect()
}

/// The packages of a virtual environment.
fn site_packages(environment: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(environment.join("lib")).into_iter().flatten().flatten();
    let pythons = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("python"));
    pythons.map(|entry| entry.path().join("site-packages")).collect()
}
