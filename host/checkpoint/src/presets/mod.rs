//! Shapes that models are made of in memory: those that come along by name, and any `config.json`.

use crate::{
    Config, Error, Result,
    families::{self, Shape},
    text_file,
};
use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

/// A shape to make.
#[derive(Clone, Debug, PartialEq)]
pub enum Preset {
    /// One of those that come along.
    Named(&'static str),
    /// The shape of a `config.json`.
    ConfigFile(PathBuf),
}

/// The presets: name and config. Real models' shapes are their own config.json's, as on the Hub.
const PRESETS: &[(&str, &str)] = &[
    ("tiny", include_str!("tiny.json")),
    ("fixed-latency", include_str!("fixed-latency.json")),
    ("smollm2-135m", include_str!("smollm2-135m.json")),
    ("llama-3.2-1b", include_str!("llama-3.2-1b.json")),
    ("llama-3.1-8b", include_str!("llama-3.1-8b.json")),
];

impl Preset {
    /// The one of those that come along that has this name.
    pub fn named(name: &str) -> Option<Self> {
        PRESETS.iter().find(|(known, _)| *known == name).map(|(known, _)| Self::Named(known))
    }

    /// The config to build, and the shape that it describes.
    pub fn config(&self) -> Result<(Config, Shape)> {
        families::parse(&self.text()?, self.path())
    }

    /// Whether the CPU computes it whatever device is asked for, where its config holds `"llem_stand_in": true`. It
    /// counts as being on that device: what is measured of it can be tried where there is none.
    pub fn stands_in(&self) -> Result<bool> {
        #[derive(serde::Deserialize)]
        struct Config {
            #[serde(default)]
            llem_stand_in: bool,
        }
        let config: Config = text_file::parse(&self.text()?, self.path())?;
        Ok(config.llem_stand_in)
    }

    /// The name or file of the config, for messages.
    pub fn path(&self) -> &Path {
        match self {
            Self::Named(name) => name.as_ref(),
            Self::ConfigFile(path) => path,
        }
    }

    /// The config's text, for the model's digest.
    pub fn text(&self) -> Result<String> {
        match self {
            Self::Named(name) => PRESETS
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, text)| (*text).to_owned())
                .ok_or_else(|| Error::NotFound(format!("no preset '{name}'"))),
            Self::ConfigFile(path) => text_file::read(path),
        }
    }
}

impl FromStr for Preset {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        if let Some(preset) = Self::named(name) {
            return Ok(preset);
        }
        let path = PathBuf::from(name);
        if path.is_file() {
            return Ok(Self::ConfigFile(path));
        }
        let known: Vec<_> = PRESETS.iter().map(|(name, _)| *name).collect();
        Err(Error::NotFound(format!(
            "no synthetic model '{name}': use {} or the path of a config.json",
            known.join(", ")
        )))
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::ConfigFile(path) => write!(f, "{}", path.display()),
        }
    }
}
