//! A project: its language, kind and entry file, as `llem.toml` or the name of a script says.
//!
//! ```toml
//! [project]
//! language = "python"
//! kind = "experiment"             # or warmup, workload, metrics
//! entry = "first_experiment.py"   # for Rust: src/lib.rs
//! ```

use super::{Kind, Language, ProjectError, Result};
use serde::Deserialize;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The name of the manifest in a project's folder.
const MANIFEST: &str = "llem.toml";
/// Entry files whose names say nothing about the project.
const COMMON: [&str; 4] = ["index", "lib", "main", "mod"];

/// Source code that becomes one component.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Project {
    /// The absolute path of the folder that the sources are in.
    pub(crate) folder: PathBuf,
    /// The absolute path of the file that the component begins with.
    pub(crate) entry: PathBuf,
    pub(crate) language: Language,
    pub(crate) kind: Kind,
    /// The name of the component's file, without its ending.
    pub(crate) name: String,
    /// Whether the sources are one script and what is beside it, rather than a folder with a manifest.
    pub(crate) is_script: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    project: ProjectTable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProjectTable {
    name: Option<String>,
    language: Language,
    #[serde(default)]
    kind: Kind,
    entry: String,
}

impl Project {
    /// Whether a path on the command line is source code: a folder, or a file with the ending of a script.
    pub(crate) fn is_source(path: &Path) -> bool {
        path.is_dir() || (Language::of_script(path).is_some() && path.exists())
    }

    /// Reads what is known of the project in a folder, or of a script. `language` is the script's if its name does not
    /// say it. The entry file of a project stands for the project.
    pub(crate) fn open(path: &Path, language: Option<Language>) -> Result<Self> {
        let whole = fs::canonicalize(path).map_err(ProjectError::unreadable(path))?;
        match whole.is_dir() {
            true => Self::of_folder(path, whole),
            false => Self::of_script(path, whole, language),
        }
    }

    fn of_folder(given: &Path, folder: PathBuf) -> Result<Self> {
        let path = given.join(MANIFEST);
        if !path.exists() {
            return Err(ProjectError::NotSource(given.to_owned()));
        }
        let text = fs::read_to_string(&path).map_err(ProjectError::unreadable(&path))?;
        let wrong = |reason: String| ProjectError::Manifest { path: path.clone(), reason };
        let manifest: Manifest = toml::from_str(&text).map_err(|error| {
            let place = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
            let line = place.map(|line| format!("line {line}: ")).unwrap_or_default();
            wrong(format!("{line}{}", error.message().replace('\n', ", ")))
        })?;
        let ProjectTable { name, language, kind, entry } = manifest.project;
        let absolute = folder.join(&entry);
        if !absolute.is_file() {
            return Err(wrong(format!("the entry {entry} is not in the project: correct `entry`")));
        }
        let name = name.unwrap_or_else(|| component_name(&absolute, &folder));
        Ok(Self { folder, entry: absolute, language, kind, name, is_script: false })
    }

    fn of_script(given: &Path, entry: PathBuf, language: Option<Language>) -> Result<Self> {
        let not_source = || ProjectError::NotSource(given.to_owned());
        let language = language.or_else(|| Language::of_script(&entry)).ok_or_else(not_source)?;
        let folder = entry.parent().ok_or_else(not_source)?.to_owned();
        if folder.join(MANIFEST).exists() {
            let near = given.parent().filter(|near| !near.as_os_str().is_empty());
            let project = Self::of_folder(near.unwrap_or(Path::new(".")), folder.clone())?;
            if project.entry == entry {
                return Ok(project);
            }
        }
        if language == Language::Rust {
            return Err(not_source());
        }
        let name = entry.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { folder, entry, language, kind: Kind::default(), name, is_script: true })
    }

    /// The entry file below the project's folder.
    pub(crate) fn entry_name(&self) -> &Path {
        self.entry.strip_prefix(&self.folder).unwrap_or(&self.entry)
    }
}

/// The name of a project's component if the manifest has none: that of the entry file, or of the folder if the file's
/// says nothing.
fn component_name(entry: &Path, folder: &Path) -> String {
    let stem = entry.file_stem().unwrap_or_default().to_string_lossy();
    match COMMON.contains(&&*stem) {
        true => folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        false => stem.replace('_', "-"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(manifest: &str, entry: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(MANIFEST), manifest).expect("written");
        fs::write(folder.path().join(entry), "").expect("written");
        folder
    }

    #[test]
    fn a_manifest_says_what_a_project_is() {
        let text = "[project]\nlanguage = \"ts\"\nkind = \"warmup\"\nentry = \"a_b.ts\"\n";
        let folder = folder(text, "a_b.ts");
        let project = Project::open(folder.path(), None).expect("a project");
        assert_eq!((project.language, project.kind), (Language::TypeScript, Kind::Warmup));
        assert_eq!((project.name.as_str(), project.is_script), ("a-b", false));
        assert_eq!(project.entry_name(), Path::new("a_b.ts"));
    }

    #[test]
    fn a_wrong_manifest_is_refused_with_its_place() {
        for (text, words) in [
            ("[project]\nlanguage = \"cobol\"\nentry = \"x\"", "line 2: unknown variant `cobol`"),
            ("[project]\nlanguage = \"c\"", "missing field `entry`"),
            ("[project]\nlanguage = \"c\"\nentry = \"y.c\"", "the entry y.c is not in the project"),
            (
                "[project]\nlanguage = \"c\"\nentry = \"x\"\nkinds = 1",
                "line 4: unknown field `kinds`",
            ),
            ("project", "line 1"),
        ] {
            let folder = folder(text, "x");
            let error = Project::open(folder.path(), None).expect_err("it is wrong");
            assert!(error.is_input() && error.to_string().contains(words), "{error}");
        }
    }

    #[test]
    fn the_entry_file_stands_for_its_project() {
        let folder =
            folder("[project]\nlanguage = \"c\"\nkind = \"warmup\"\nentry = \"x.c\"", "x.c");
        fs::write(folder.path().join("y.c"), "").expect("written");
        let open = |name: &str| Project::open(&folder.path().join(name), None).expect("a project");
        assert_eq!((open("x.c").kind, open("x.c").is_script), (Kind::Warmup, false));
        assert_eq!((open("y.c").kind, open("y.c").is_script), (Kind::Experiment, true));
    }

    #[test]
    fn a_script_is_an_experiment_of_its_own_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let script = folder.path().join("my_method.py");
        fs::write(&script, "").expect("written");
        let project = Project::open(&script, None).expect("a script");
        assert_eq!((project.kind, project.name.as_str()), (Kind::Experiment, "my_method"));
        assert!(project.is_script);
        assert!(Project::open(folder.path(), None).is_err(), "the folder has no manifest");
    }
}
