//! How people name an adapter, and what is found there.

use super::{synthetic::SyntheticAdapter, tensors::AdapterTensors};
use crate::{Error, Result};
use llem_checkpoint::{
    DigestOptions,
    adapters::{AdapterConfig, AdapterFiles, folder},
    digest::{self, Parts},
    hub,
    safetensors_files::TensorFile,
    source,
};
use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

/// Where an adapter comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum AdapterSource {
    /// A folder as PEFT saves it.
    Folder(PathBuf),
    /// A repository of the Hugging Face Hub.
    Hub {
        /// `org/name`.
        id: String,
        /// Branch, tag or commit; `main` unless given as `org/name@revision`.
        revision: String,
    },
    /// Seeded random factors.
    Synthetic(SyntheticAdapter),
}

/// An adapter that was found.
pub struct Opened {
    /// Its config and tensors.
    pub tensors: AdapterTensors,
    /// What identifies them; empty where that was not asked for.
    pub digest: String,
    /// The source as it was resolved.
    pub source: String,
}

impl AdapterSource {
    /// Reads the config and maps the tensors. `seed` is for synthetic ones that name none.
    pub fn open(&self, seed: u64, digests: &DigestOptions) -> Result<Opened> {
        let source = self.to_string();
        match self {
            Self::Synthetic(adapter) => {
                let seed = adapter.seed.unwrap_or(seed);
                let digest = digest::of_synthetic(&adapter.to_string(), seed);
                let place = PathBuf::from(&source);
                let tensors = AdapterTensors::synthetic(adapter.config(), place, seed);
                Ok(Opened { tensors, digest, source })
            }
            Self::Folder(folder) => open_folder(folder, source, digests),
            Self::Hub { id, revision } => {
                let folder = hub::fetch_adapter(id, revision, folder::CONFIG, folder::WEIGHTS)?;
                open_folder(&folder, hub::resolved(id, revision, &folder), digests)
            }
        }
    }

    /// Whether this is a name for the source. No file is looked at.
    pub fn is_called(&self, name: &str) -> bool {
        match self {
            Self::Folder(path) => Path::new(name) == path,
            Self::Hub { id, revision } => {
                source::hub_id(name).is_some_and(|named| named == (id.clone(), revision.clone()))
            }
            Self::Synthetic(_) => name == self.to_string(),
        }
    }

    /// A synthetic adapter, where the name, `synthetic:` included, asks for one. No file is looked at.
    ///
    /// # Errors
    /// It does not say of which rank, or asks for what is none.
    pub fn synthetic(name: &str) -> Option<Result<Self>> {
        Some(name.strip_prefix("synthetic:")?.parse().map(Self::Synthetic))
    }

    /// What it is called unless it is given a name: its folder's or repository's, or how it is made.
    pub fn name(&self) -> String {
        match self {
            Self::Folder(folder) => {
                let name = folder.canonicalize().unwrap_or_else(|_| folder.clone());
                name.file_name().map_or_else(
                    || "adapter".to_owned(),
                    |name| name.to_string_lossy().into_owned(),
                )
            }
            Self::Hub { id, .. } => id.rsplit('/').next().unwrap_or(id).to_owned(),
            Self::Synthetic(adapter) => format!("rank{}", adapter.rank),
        }
    }
}

fn open_folder(folder: &Path, source: String, digests: &DigestOptions) -> Result<Opened> {
    let AdapterFiles { config: config_path, text, weights } = AdapterFiles::find(folder)?;
    let config = AdapterConfig::parse(&text, &config_path)?;
    let file = TensorFile::open(weights)?;
    let parts = Parts {
        folder,
        config: Some((&config_path, &text)),
        weights: vec![(&file).into()],
        beside: Vec::new(),
    };
    let digest = digest::identify(digests, &parts)?.digest;
    let tensors = AdapterTensors::of_file(config, file)?;
    Ok(Opened { tensors, digest, source })
}

impl FromStr for AdapterSource {
    type Err = Error;

    /// A folder that exists goes before a Hub id of the same spelling, as in PEFT.
    fn from_str(text: &str) -> Result<Self> {
        if let Some(synthetic) = Self::synthetic(text) {
            return synthetic;
        }
        let path = PathBuf::from(text);
        if path.is_dir() {
            return Ok(Self::Folder(path));
        }
        if path.is_file() {
            return Err(Error::file(&path, folder::instead_of_file(&path)));
        }
        match source::hub_id(text) {
            Some((id, revision)) => Ok(Self::Hub { id, revision }),
            None => Err(Error::NotFound(format!(
                "no adapter '{text}': it is neither a folder, nor a Hub id (org/name), nor synthetic:rank=N"
            ))),
        }
    }
}

impl fmt::Display for AdapterSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{}", path.display()),
            Self::Hub { id, revision } => write!(f, "{id}@{revision}"),
            Self::Synthetic(adapter) => write!(f, "synthetic:{adapter}"),
        }
    }
}
