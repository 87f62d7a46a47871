//! The files that can become a part of a component, and their digest.

use super::{Language, Project, ProjectError, Result};
use sha2::{Digest, Sha256};
use std::{
    fs,
    path::{Path, PathBuf},
};
use walkdir::{DirEntry, WalkDir};

/// Folders of a project that hold no sources: what tools install and build, tests, and the records of runs.
const SKIPPED: [&str; 10] = [
    "node_modules",
    "venv",
    "target",
    "build",
    "dist",
    "tests",
    "runs",
    "__pycache__",
    "site-packages",
    "coverage",
];

/// The most files beside a script that are taken for its modules.
const MOST: usize = 2_000;

/// The files of a project that can become a part of its component, by their paths below its folder.
pub(crate) struct Sources {
    files: Vec<PathBuf>,
    /// SHA-256 over the names and contents of the files, as `sha256:` and hexadecimal digits.
    pub(crate) digest: String,
}

impl Sources {
    /// Reads the sources of a project.
    pub(crate) fn read(project: &Project) -> Result<Self> {
        let files = list(project)?;
        Ok(Self { digest: digest_files(&project.folder, &files)?, files })
    }

    /// All files, by their paths below the project's folder.
    pub(crate) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The files whose names end in `.ending`, by their paths below the project's folder.
    pub(crate) fn with_ending(&self, ending: &str) -> impl Iterator<Item = &Path> {
        let has_ending = move |file: &&Path| file.extension().is_some_and(|own| own == ending);
        self.files.iter().map(PathBuf::as_path).filter(has_ending)
    }
}

/// The digest of a file in the form of the record.
pub(crate) fn digest_file(path: &Path) -> Result<String> {
    let content = fs::read(path).map_err(ProjectError::unreadable(path))?;
    Ok(digest(&content))
}

/// The digest of some bytes, as `sha256:` and hexadecimal digits.
pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}

/// The digest of all files below a folder whose names end in one of `endings`: of an installed SDK.
pub(crate) fn digest_folder(folder: &Path, endings: &[&str]) -> Result<String> {
    let walk = WalkDir::new(folder).into_iter().filter_entry(is_source);
    let mut files = Vec::new();
    for entry in walk.flatten().filter(|entry| entry.file_type().is_file()) {
        let name = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        if has_ending(name, endings) {
            files.push(name.to_owned());
        }
    }
    files.sort();
    digest_files(folder, &files)
}

fn digest_files(folder: &Path, files: &[PathBuf]) -> Result<String> {
    let mut hash = Sha256::new();
    for name in files {
        let path = folder.join(name);
        let content = fs::read(&path).map_err(ProjectError::unreadable(&path))?;
        for part in [name.as_os_str().as_encoded_bytes(), &content] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    Ok(format!("sha256:{:x}", hash.finalize()))
}

fn list(project: &Project) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let is_modules_folder = |entry: &DirEntry| {
        // Beside a script, there may be folders of any size that have nothing to do with it.
        entry.depth() == 0
            || !entry.file_type().is_dir()
            || !project.is_script
            || is_module_folder(entry.path(), project.language)
    };
    let walk = WalkDir::new(&project.folder).into_iter();
    for entry in walk.filter_entry(|entry| is_source(entry) && is_modules_folder(entry)) {
        let Ok(entry) = entry else { continue };
        let name = entry.path().strip_prefix(&project.folder).unwrap_or(entry.path());
        let is_part =
            entry.file_type().is_file() || entry.path_is_symlink() && entry.path().is_file();
        if !is_part || is_made_or_test(name) {
            continue;
        }
        let is_entry = entry.path() == project.entry;
        if is_entry || !project.is_script || has_ending(name, modules(project.language)) {
            files.push(name.to_owned());
        }
        if files.len() > MOST && project.is_script {
            return Err(ProjectError::TooManyFiles { file: project.entry.clone(), most: MOST });
        }
    }
    files.sort();
    Ok(files)
}

/// The endings of files that a script of the language can import or include.
fn modules(language: Language) -> &'static [&'static str] {
    match language {
        Language::Python => &["py"],
        Language::JavaScript | Language::TypeScript => {
            &["js", "mjs", "cjs", "ts", "mts", "cts", "json"]
        }
        Language::C => &["h"],
        Language::Rust => &["rs"],
    }
}

/// Whether a folder beside a script holds modules: for Python a package, for the others a folder with such files.
fn is_module_folder(folder: &Path, language: Language) -> bool {
    if language == Language::Python {
        return folder.join("__init__.py").exists();
    }
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| has_ending(&path, modules(language)))
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    path.extension().is_some_and(|own| endings.iter().any(|ending| own == *ending))
}

/// Whether a file or folder belongs to the sources, by its own name.
fn is_source(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    let is_skipped = name.starts_with('.')
        || entry.file_type().is_dir()
            && (SKIPPED.contains(&&*name) || entry.path().join("pyvenv.cfg").exists());
    entry.depth() == 0 || !is_skipped
}

/// Whether a file is a test, documentation, or something that a build made.
fn is_made_or_test(name: &Path) -> bool {
    let text = name.file_name().unwrap_or_default().to_string_lossy();
    let stem = text.split('.').next().unwrap_or_default();
    let is_test = (stem.starts_with("test_") && !text.ends_with(".rs"))
        || (stem.ends_with("_test") && text.ends_with(".py"))
        || text == "conftest.py"
        || text.contains(".test.");
    is_test || has_ending(name, &["md", "wasm", "pyc", "log"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::Kind;

    fn project(
        files: &[&str],
        entry: &str,
        language: Language,
        is_script: bool,
    ) -> (tempfile::TempDir, Project) {
        let folder = tempfile::tempdir().expect("a folder");
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, file).expect("written");
        }
        let project = Project {
            folder: folder.path().to_owned(),
            entry: folder.path().join(entry),
            language,
            kind: Kind::Experiment,
            name: "x".to_owned(),
            is_script,
        };
        (folder, project)
    }

    fn listed(files: &[&str], entry: &str, language: Language, is_script: bool) -> Vec<String> {
        let (_folder, project) = project(files, entry, language, is_script);
        let names = list(&project).expect("a list").into_iter();
        names.map(|name| name.display().to_string()).collect()
    }

    #[test]
    fn a_project_is_its_files_without_tests_and_what_tools_make() {
        let files = [
            "llem.toml",
            "a.py",
            "lib/b.py",
            "data.json",
            "test_a.py",
            "tests/x.py",
            "a.wasm",
            "README.md",
            ".venv/lib/c.py",
            "node_modules/d/e.js",
            "runs/1/run.json",
            "mine/pyvenv.cfg",
            "mine/f.py",
        ];
        let expected = ["a.py", "data.json", "lib/b.py", "llem.toml"];
        assert_eq!(listed(&files, "a.py", Language::Python, false), expected);
    }

    #[test]
    fn a_script_takes_the_modules_beside_it() {
        let files =
            ["a.py", "b.py", "notes.txt", "pack/__init__.py", "pack/c.py", "other/d.py", "x.js"];
        let expected = ["a.py", "b.py", "pack/__init__.py", "pack/c.py"];
        assert_eq!(listed(&files, "a.py", Language::Python, true), expected);
        let files = ["a.ts", "b.js", "lib/c.ts", "data.csv", "d.py", "pictures/e.png", "a.test.ts"];
        assert_eq!(
            listed(&files, "a.ts", Language::TypeScript, true),
            ["a.ts", "b.js", "lib/c.ts"]
        );
    }

    #[test]
    fn the_digest_changes_with_a_name_and_with_a_content() {
        let of = |files: &[&str]| {
            let (folder, project) = project(files, "a.py", Language::Python, true);
            let before = Sources::read(&project).expect("read").digest;
            fs::write(folder.path().join("a.py"), "changed").expect("written");
            (before, Sources::read(&project).expect("read").digest)
        };
        let (one, changed) = of(&["a.py"]);
        let (two, _) = of(&["a.py", "b.py"]);
        assert!(one != changed && one != two && one == of(&["a.py"]).0);
    }

    #[test]
    fn too_many_files_beside_a_script_are_refused() {
        let names: Vec<String> = (0..=MOST).map(|index| format!("m{index}.py")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (_folder, project) = project(&names, "m0.py", Language::Python, true);
        assert!(matches!(list(&project), Err(ProjectError::TooManyFiles { .. })));
    }
}
