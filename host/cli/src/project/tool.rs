//! Programs of a language: where they are looked for, what identifies them, and how they are run.

use super::{ProjectError, Result};
use crate::untrusted;
use etcetera::{BaseStrategy, choose_base_strategy};
use std::{
    env,
    ffi::OsStr,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A program that was found and not started.
#[derive(Clone, Debug)]
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    pub(crate) path: PathBuf,
}

impl Tool {
    /// Returns the program in the first of `folders` that has it.
    pub(super) fn find(name: &'static str, folders: &[PathBuf]) -> Option<Self> {
        let mut paths = folders.iter().map(|folder| folder.join(name));
        paths.find(|path| is_program(path)).map(|path| Self { name, path })
    }

    /// What tells this version of the program from others without starting it: its path, size and time of change.
    pub(super) fn fingerprint(&self) -> String {
        let stamp =
            fs::metadata(&self.path).map(|file| (file.len(), file.mtime(), file.mtime_nsec()));
        format!("{} {} {:?}", self.name, self.path.display(), stamp.ok())
    }

    pub(super) fn command(&self) -> Command {
        Command::new(&self.path)
    }

    /// The version of the program's npm package, otherwise what the program prints without its own name. An empty text if
    /// there is neither.
    pub(super) fn version(&self) -> String {
        if let Some(version) = self.package_version() {
            return version;
        }
        let output = self.command().arg("--version").output();
        let printed = output.map(|output| output.stdout).unwrap_or_default();
        let printed = String::from_utf8_lossy(&printed);
        let line = printed.lines().next().unwrap_or_default().trim();
        line.strip_prefix(self.name).unwrap_or(line).trim().to_owned()
    }
}

impl Tool {
    fn package_version(&self) -> Option<String> {
        let program = fs::canonicalize(&self.path).ok()?;
        let is_package =
            |folder: &&Path| folder.parent().is_some_and(|parent| parent.ends_with("node_modules"));
        let manifest = program.ancestors().find(is_package)?.join("package.json");
        let manifest: serde_json::Value = serde_json::from_slice(&fs::read(manifest).ok()?).ok()?;
        Some(manifest["version"].as_str()?.to_owned())
    }
}

/// The folders in which programs are looked for: those of the project, then `PATH`, then the folders `below` the tools that
/// `scripts/tools/fetch-guest-tools` installs.
pub(super) fn search_folders(project: Vec<PathBuf>, below: &[&str]) -> Vec<PathBuf> {
    let mut folders = project;
    folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    let tools = tools_folder();
    folders.extend(tools.iter().flat_map(|tools| below.iter().map(|name| tools.join(name))));
    folders
}

/// The folder of `scripts/tools/fetch-guest-tools`, below the user's cache folder.
pub(super) fn tools_folder() -> Option<PathBuf> {
    Some(choose_base_strategy().ok()?.cache_dir().join("llem/tools"))
}

/// What a failed program printed that people read.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Messages {
    /// Its standard output and its standard error.
    Both,
    /// Its standard error. Its standard output is for programs.
    Errors,
}

/// Runs a program to its end and returns its standard output. If it fails, its messages are passed on without colours.
pub(super) fn run(name: &'static str, command: &mut Command, messages: Messages) -> Result<String> {
    let started = command.env("NO_COLOR", "1").output();
    let shown = command_line(command);
    let output = started.map_err(|cause| ProjectError::NotStarted {
        tool: name,
        command: shown.clone(),
        cause,
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    pass_on(&output, messages);
    let code = end(output.status);
    Err(ProjectError::ToolFailed { tool: name, command: shown, code })
}

/// The error for a program that ended well without its result.
pub(super) fn no_component(name: &'static str, command: &Command) -> ProjectError {
    ProjectError::NoComponent { tool: name, command: command_line(command) }
}

/// How a program ended, as words that follow "failed".
pub(crate) fn end(status: std::process::ExitStatus) -> String {
    status.code().map_or_else(|| format!(" ({status})"), |code| format!(" with exit code {code}"))
}

fn pass_on(output: &Output, messages: Messages) {
    let shown = [(messages == Messages::Both).then_some(&output.stdout), Some(&output.stderr)];
    for bytes in shown.into_iter().flatten() {
        let text = String::from_utf8_lossy(bytes);
        let text = console::strip_ansi_codes(text.trim_end());
        if !text.is_empty() {
            eprintln!("{}", untrusted::text(&text));
        }
    }
}

/// A command as a line for a shell, to be read and repeated by people.
fn command_line(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(quoted).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,*".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.into_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_an_executable_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tool");
        // Another process writes the program. A program cannot be run while a process has it open for writing, and a process
        // that another test starts meanwhile holds every file that this process has open.
        let (source, text) = (folder.path().join("source"), "#!/bin/sh\necho tool 1.2\n");
        fs::write(&source, text).expect("written");
        let copied = Command::new("cp").arg(&source).arg(&path).status();
        assert!(copied.expect("cp").success());
        let find = || Tool::find("tool", &[folder.path().join("none"), folder.path().to_owned()]);
        assert!(find().is_none(), "it is not executable");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
        let tool = find().expect("it is there");
        assert_eq!(tool.version(), "1.2");
        let before = tool.fingerprint();
        fs::write(&path, "#!/bin/sh\necho tool 1.30\n").expect("written");
        assert_ne!(tool.fingerprint(), before);
    }

    #[test]
    fn a_command_line_can_be_given_to_a_shell() {
        let mut command = Command::new("echo");
        command.args(["a b", "it's", "", "--x=1"]);
        let line = command_line(&command);
        assert_eq!(line, r"echo 'a b' 'it'\''s' '' --x=1");
        let shell = Command::new("sh").args(["-c", &line]).output().expect("a shell");
        assert_eq!(String::from_utf8_lossy(&shell.stdout), "a b it's  --x=1\n");
    }

    #[test]
    fn a_failed_program_is_named_with_its_command() {
        let mut command = Command::new("sh");
        command.args(["-c", "exit 3"]);
        let error = run("shell", &mut command, Messages::Both).expect_err("it fails");
        let expected = "shell failed with exit code 3; its messages are above (sh -c 'exit 3')";
        assert_eq!(error.to_string(), expected);
        assert!(!error.is_input());
    }
}
