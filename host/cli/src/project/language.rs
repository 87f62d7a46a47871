//! The languages and kinds of projects.

use clap::ValueEnum;
use serde::Deserialize;
use std::path::Path;

/// A language with an SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Language {
    Rust,
    #[value(alias = "py")]
    Python,
    #[serde(alias = "js")]
    #[value(name = "js", alias = "javascript")]
    JavaScript,
    #[serde(alias = "ts")]
    #[value(name = "ts", alias = "typescript")]
    TypeScript,
    C,
}

impl Language {
    /// The name in `llem.toml`, in records and in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::JavaScript => "javascript",
            Self::TypeScript => "typescript",
            Self::C => "c",
        }
    }

    /// The SDK's folder below `guest-sdk/`.
    pub(crate) fn sdk(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::JavaScript | Self::TypeScript => "js",
            Self::C => "c",
        }
    }

    /// The language of a script, by the ending of its name. A Rust file is no script, because cargo needs a package.
    pub(crate) fn of_script(file: &Path) -> Option<Self> {
        match file.extension()?.to_str()? {
            "py" => Some(Self::Python),
            "js" | "mjs" => Some(Self::JavaScript),
            "ts" | "mts" => Some(Self::TypeScript),
            "c" => Some(Self::C),
            _ => None,
        }
    }
}

/// What a project exports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    #[default]
    Experiment,
    Warmup,
    Workload,
    Metrics,
}

impl Kind {
    /// The name of its WIT world, of its template, and in `llem.toml`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Experiment => "experiment",
            Self::Warmup => "warmup",
            Self::Workload => "workload",
            Self::Metrics => "metrics",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_has_the_language_of_its_ending() {
        let of = |file: &str| Language::of_script(Path::new(file));
        assert_eq!(of("a/b.py"), Some(Language::Python));
        assert_eq!(of("b.test.mjs"), Some(Language::JavaScript));
        assert_eq!(of("b.ts"), Some(Language::TypeScript));
        assert_eq!(of("b.c"), Some(Language::C));
        assert_eq!(of("lib.rs"), None);
        assert_eq!(of("py"), None);
    }
}
