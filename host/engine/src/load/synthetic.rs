//! Models made in memory: a named shape with seeded random weights, as vLLM's dummy loader makes
//! them. Speed, memory and energy are those of the real shape; the text means nothing.

use super::latency::FixedLatency;
use crate::{
    Config, Error, Result,
    families::{self, Shape},
    text_file,
};
use sha2::{Digest, Sha256};
use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

/// Standard deviation of the weights: transformers' `initializer_range`.
const DEVIATION: f32 = 0.02;

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
    ("tiny", include_str!("presets/tiny.json")),
    ("fixed-latency", include_str!("presets/fixed-latency.json")),
    ("smollm2-135m", include_str!("presets/smollm2-135m.json")),
    ("llama-3.2-1b", include_str!("presets/llama-3.2-1b.json")),
    ("llama-3.1-8b", include_str!("presets/llama-3.1-8b.json")),
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

    /// How long its passes take, where the config says that.
    pub fn latency(&self) -> Result<Option<FixedLatency>> {
        FixedLatency::of_config(&self.text()?, self.path())
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

    /// For messages.
    fn path(&self) -> &Path {
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

/// Weights are uniform from minus this to this: with that deviation.
pub fn half_width() -> f32 {
    DEVIATION * 3f32.sqrt()
}

/// What the numbers of a tensor are made of, besides their index.
pub fn key(seed: u64, name: &str) -> u64 {
    let key = Sha256::new_with_prefix(seed.to_le_bytes()).chain_update(name).finalize();
    key.iter().take(8).fold(0u64, |key, &byte| key << 8 | u64::from(byte))
}

/// Fills the numbers of a tensor from `start` on. Each depends only on the seed, the tensor's name
/// and its index, so that a shard can be made alone and every machine makes the same model. Uniform,
/// with the standard deviation above: what matters for speed is that no value is special.
///
/// Devices do the same: `host/compute/kernels/synthetic.cu`.
pub fn fill(key: u64, start: u64, values: &mut [f32]) {
    let half_width = half_width();
    for (index, value) in (start..).zip(values) {
        let bits = split_mix(key.wrapping_add(index));
        let unit = (bits >> 40) as f32 / (1u64 << 24) as f32;
        *value = (2.0 * unit - 1.0) * half_width;
    }
}

/// SplitMix64's output function (Steele, Lea and Flood, OOPSLA 2014) of a counter.
fn split_mix(counter: u64) -> u64 {
    let z = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
