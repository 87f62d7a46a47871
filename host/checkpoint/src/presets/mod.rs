//! The configs of synthetic models, which are made in memory: built-in presets, and any `config.json`.

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

/// The config of a synthetic model.
///
/// ```
/// use llem_checkpoint::Preset;
///
/// let (config, shape) = Preset::from_name("smollm2-135m").unwrap().config()?;
/// assert_eq!(config.architecture, "LlamaForCausalLM");
/// assert_eq!((shape.layers, shape.hidden, shape.heads, shape.kv_heads), (30, 576, 9, 3));
/// assert_eq!(shape.head_dim, 64);
/// assert_eq!(shape.embedding_parameters(), 49_152 * 576);
/// # Ok::<(), llem_checkpoint::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Preset {
    /// A preset that is built into the program, by its name.
    Named(&'static str),
    /// The path of a `config.json`.
    ConfigFile(PathBuf),
}

/// The built-in presets: name and config. The configs of real models are copies of their `config.json` on the Hub.
const PRESETS: &[(&str, &str)] = &[
    ("tiny", include_str!("tiny.json")),
    ("fixed-latency", include_str!("fixed-latency.json")),
    ("smollm2-135m", include_str!("smollm2-135m.json")),
    ("llama-3.2-1b", include_str!("llama-3.2-1b.json")),
    ("llama-3.1-8b", include_str!("llama-3.1-8b.json")),
];

impl Preset {
    /// Returns the built-in preset with this name, or `None` if there is none.
    pub fn from_name(name: &str) -> Option<Self> {
        PRESETS.iter().find(|(known, _)| *known == name).map(|(known, _)| Self::Named(known))
    }

    /// Parses the config and derives the decoder's shape from it.
    pub fn config(&self) -> Result<(Config, Shape)> {
        families::parse(&self.text()?, self.path())
    }

    /// Returns `true` if the config says `"llem_stand_in": true`. Such a model is computed by the CPU whatever device
    /// is requested, but is reported as being on that device, so that a measurement can be tried without the hardware.
    pub fn is_cpu_stand_in(&self) -> Result<bool> {
        #[derive(serde::Deserialize)]
        struct StandInField {
            #[serde(default)]
            llem_stand_in: bool,
        }
        let field: StandInField = text_file::parse(&self.text()?, self.path())?;
        Ok(field.llem_stand_in)
    }

    /// Returns the preset's name or the config's file, for messages.
    pub fn path(&self) -> &Path {
        match self {
            Self::Named(name) => name.as_ref(),
            Self::ConfigFile(path) => path,
        }
    }

    /// Returns the config's text. The digest of a synthetic model is made from it.
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
        if let Some(preset) = Self::from_name(name) {
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
