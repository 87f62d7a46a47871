//! The sources of adapters, as people name them, and how they are opened.

use super::{synthetic_adapter::SyntheticAdapter, tensors::AdapterTensors};
use crate::{Error, Result};
use llem_checkpoint::{
    ADAPTER_CONFIG, ADAPTER_WEIGHTS, AdapterConfig, AdapterFiles, DigestInput, DigestOptions,
    Identity, TensorFile, hub, parse_hub_id, synthetic_digest,
};
use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

/// Where an adapter comes from.
///
/// ```
/// use llem_engine::AdapterSource;
///
/// let source: AdapterSource = "synthetic:rank=8,targets=q_proj+v_proj".parse()?;
/// assert_eq!(source.name(), "rank8");
/// let source: AdapterSource = "org/name".parse()?;
/// assert_eq!(source.to_string(), "org/name@main");
/// # Ok::<(), llem_engine::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum AdapterSource {
    /// A folder in PEFT's format.
    Folder(PathBuf),
    /// A repository of the Hugging Face Hub.
    Hub {
        /// The repository's id, `org/name`.
        id: String,
        /// Branch, tag or commit. `main` unless the source is given as `org/name@revision`.
        revision: String,
    },
    /// Seeded random factors.
    Synthetic(SyntheticAdapter),
}

/// An adapter whose files have been found.
pub(crate) struct OpenedAdapter {
    /// The config and the tensors.
    pub tensors: AdapterTensors,
    /// Digest of the config and the tensors. Empty if digests were not asked for.
    pub digest: String,
    /// The resolved source.
    pub source: String,
}

impl AdapterSource {
    /// Reads the config and maps the tensors. `seed` is used by synthetic adapters that name no seed.
    ///
    /// # Errors
    /// The adapter does not exist, or one of its files is missing or malformed.
    pub(crate) fn open(&self, seed: u64, digests: &DigestOptions) -> Result<OpenedAdapter> {
        let source = self.to_string();
        match self {
            Self::Synthetic(adapter) => {
                let seed = adapter.seed.unwrap_or(seed);
                let digest = synthetic_digest(&adapter.to_string(), seed);
                let place = PathBuf::from(&source);
                let tensors = AdapterTensors::synthetic(adapter.config(), place, seed);
                Ok(OpenedAdapter { tensors, digest, source })
            }
            Self::Folder(folder) => open_folder(folder, source, digests),
            Self::Hub { id, revision } => {
                let folder = hub::fetch_adapter(id, revision, ADAPTER_CONFIG, ADAPTER_WEIGHTS)?;
                open_folder(&folder, hub::resolved_name(id, revision, &folder), digests)
            }
        }
    }

    /// Returns true if `name` names this source. No file is read.
    pub fn is_called(&self, name: &str) -> bool {
        match self {
            Self::Folder(path) => Path::new(name) == path,
            Self::Hub { id, revision } => {
                parse_hub_id(name).is_some_and(|named| named == (id.clone(), revision.clone()))
            }
            Self::Synthetic(_) => name == self.to_string(),
        }
    }

    /// Parses a synthetic adapter. Returns `None` if the name does not begin with `synthetic:`. No file is read.
    ///
    /// # Errors
    /// The name gives no rank, or has an unknown or malformed field.
    pub fn synthetic(name: &str) -> Option<Result<Self>> {
        Some(name.strip_prefix("synthetic:")?.parse().map(Self::Synthetic))
    }

    /// Returns the default name of the adapter: the name of its folder or repository, or `rank` and its rank if it is
    /// synthetic.
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

fn open_folder(folder: &Path, source: String, digests: &DigestOptions) -> Result<OpenedAdapter> {
    let AdapterFiles { config: config_path, text, weights } = AdapterFiles::find(folder)?;
    let config = AdapterConfig::parse(&text, &config_path)?;
    let file = TensorFile::open(weights)?;
    let parts = DigestInput {
        folder,
        config: Some((&config_path, &text)),
        weights: vec![(&file).into()],
        beside: Vec::new(),
    };
    let digest = Identity::from_files(digests, &parts)?.digest;
    let tensors = AdapterTensors::from_file(config, file)?;
    Ok(OpenedAdapter { tensors, digest, source })
}

impl FromStr for AdapterSource {
    type Err = Error;

    /// Parses a source. A folder that exists is preferred to a Hub id of the same spelling, as in PEFT.
    fn from_str(text: &str) -> Result<Self> {
        if let Some(synthetic) = Self::synthetic(text) {
            return synthetic;
        }
        let path = PathBuf::from(text);
        if path.is_dir() {
            return Ok(Self::Folder(path));
        }
        if path.is_file() {
            return Err(Error::file(&path, AdapterFiles::explain_file(&path)));
        }
        match parse_hub_id(text) {
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
