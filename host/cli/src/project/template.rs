//! Writes new projects from the SDKs' templates, which are the SDKs' examples.

use super::{Kind, Language, ProjectError, Result, sdk};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Writes a project named `name` into a new folder of that name below `parent`, and returns the folder.
///
/// # Errors
/// Fails if the name is none, or if the folder exists.
pub(crate) fn write(parent: &Path, name: &str, language: Language, kind: Kind) -> Result<PathBuf> {
    if !is_name(name) {
        return Err(ProjectError::BadName(name.to_owned()));
    }
    let template = folder(language, kind)
        .ok_or(ProjectError::NoTemplate { language: language.name(), kind: kind.name() })?;
    let folder = parent.join(name);
    match fs::create_dir(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(ProjectError::FolderExists(folder));
        }
        made => made.map_err(ProjectError::unwritable(&folder))?,
    }
    for (file, content) in sdk::files_below(&template) {
        let path = folder.join(renamed(file, kind, name));
        let write = || {
            fs::create_dir_all(path.parent().unwrap_or(&folder))?;
            match std::str::from_utf8(content) {
                Ok(text) => fs::write(&path, renamed(text, kind, name)),
                Err(_) => fs::write(&path, content),
            }
        };
        write().map_err(ProjectError::unwritable(&path))?;
    }
    Ok(folder)
}

/// The folder of a template among the packed files. Where two languages share an SDK, each has its own templates.
fn folder(language: Language, kind: Kind) -> Option<String> {
    let (sdk, kind) = (language.sdk(), kind.name());
    let templates = match language {
        Language::TypeScript => "template-ts",
        _ => "template",
    };
    let folder = format!("guest-sdk/{sdk}/{templates}/{kind}");
    let is_packed = sdk::files_below(&folder).next().is_some();
    is_packed.then_some(folder)
}

/// Replaces the name of a template, such as `first-experiment`, with hyphens and with underscores.
fn renamed(text: &str, kind: Kind, name: &str) -> String {
    let old = format!("first-{}", kind.name());
    let text = text.replace(&old, name);
    text.replace(&old.replace('-', "_"), &name.replace('-', "_"))
}

/// Whether a text is a name in kebab case, which every language's tools take.
fn is_name(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.split('-').all(|part| !part.is_empty() && part.chars().all(is_plain))
        && text.len() <= 60
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_in_kebab_case() {
        for name in ["a", "my-method", "prompts-2", "b2b"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "-a", "a-", "a--b", "2a", "A", "a_b", "a.b", "a/b", "..", "é"] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn both_spellings_of_the_name_are_replaced() {
        let text = "first-experiment first_experiment first-warmup";
        let renamed = renamed(text, Kind::Experiment, "my-own");
        assert_eq!(renamed, "my-own my_own first-warmup");
    }
}
