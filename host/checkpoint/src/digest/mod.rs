//! The digest that identifies a model or an adapter in a run record, and the list of its files.
//!
//! ```text
//! digest   blake3: BLAKE3( n(config) ‖ config ‖ n(file 1) ‖ H(file 1) ‖ n(file 2) ‖ H(file 2) ‖ … )
//! n        a length in bytes, written as 8 bytes, little-endian
//! config   the bytes of config.json (an adapter has adapter_config.json). It is empty for a GGUF model, whose file
//!          contains the config
//! file     each weight file, in the order of the files' names
//! H        BLAKE3 of all bytes of the file: 32 bytes, which `b3sum` prints in hexadecimal
//! ```
//!
//! With [`Coverage::Headers`] the prefix is `blake3-headers:`, and H covers only the beginning of the file: the header
//! of a safetensors file, or the metadata and table of contents of a GGUF file, and the first 1024 bytes of the data.
//! This digest depends on the names, shapes, formats and sizes of the tensors, but hardly on their numbers.
//!
//! A synthetic model has no file. Its digest is `sha256-synthetic:`, SHA-256 of the config and the seed.
//!
//! Start at [`Identity::from_files`] and [`DigestOptions`].

mod file_hash;
mod hash_cache;

use crate::{Result, gguf, safetensors_files::TensorFile};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How much of each weight file the digest covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coverage {
    /// All bytes.
    #[default]
    Whole,
    /// Only the header and the first kilobyte of data: `--quick-digest`.
    Headers,
    /// Nothing: no digest is made. A rank that another process leads reports no digest, so it needs none.
    Nothing,
}

/// How the digest of a model or an adapter is made.
#[derive(Clone, Debug, Default)]
pub struct DigestOptions {
    /// How much of each weight file is hashed.
    pub coverage: Coverage,
    /// A JSON file with the hashes that earlier runs computed, so that an unchanged file is not read again. With `None`
    /// every file is hashed, and no hash is stored.
    pub cache: Option<PathBuf>,
}

impl DigestOptions {
    /// Makes no digest.
    pub fn disabled() -> Self {
        Self { coverage: Coverage::Nothing, cache: None }
    }
}

/// A file of a model, with its digest, as the run record lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileDigest {
    /// The path within the model's folder.
    pub name: String,
    /// The size in bytes.
    pub bytes: u64,
    /// `blake3:` and the hash that `b3sum` prints, or `blake3-headers:` and the hash of the file's beginning.
    pub digest: String,
}

/// The digests of a model or an adapter. All fields are empty if no digest was requested.
///
/// See the module's description for what the digest covers.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// The digest of config and weights.
    pub digest: String,
    /// All files that decide what the model does: first the config, the tokenizer and similar files, then the weights.
    pub files: Vec<FileDigest>,
    /// How long the hashing took.
    pub time: Duration,
}

/// The files from which an [`Identity`] is made.
pub struct DigestInput<'a> {
    /// The folder relative to which files are named.
    pub folder: &'a Path,
    /// The config's path and text. `None` if the weight file contains the config.
    pub config: Option<(&'a Path, &'a str)>,
    /// The weight files, in the order of the files' names.
    pub weights: Vec<WeightFile<'a>>,
    /// Files that are listed with their own digests but are not part of the model's digest: tokenizer, chat template.
    pub beside: Vec<PathBuf>,
}

/// A mapped weight file that is to be hashed.
pub struct WeightFile<'a> {
    path: &'a Path,
    bytes: u64,
    beginning: &'a [u8],
}

/// How many bytes of the tensors' data belong to the beginning of a file.
const HASHED_DATA_BYTES: usize = 1024;

impl<'a> From<&'a TensorFile> for WeightFile<'a> {
    fn from(file: &'a TensorFile) -> Self {
        Self::new(&file.path, &file.bytes, file.data_start())
    }
}

impl<'a> From<&'a gguf::GgufFile> for WeightFile<'a> {
    fn from(file: &'a gguf::GgufFile) -> Self {
        Self::new(&file.path, &file.bytes, file.data_start)
    }
}

impl<'a> WeightFile<'a> {
    fn new(path: &'a Path, all: &'a [u8], data_start: usize) -> Self {
        let end = data_start.saturating_add(HASHED_DATA_BYTES).min(all.len());
        Self { path, bytes: all.len() as u64, beginning: &all[..end] }
    }
}

impl Identity {
    /// Hashes the files of a model or an adapter.
    ///
    /// # Errors
    /// Returns [`crate::Error::BadFile`] if a file cannot be read, or if it changed after it was mapped.
    pub fn from_files(options: &DigestOptions, input: &DigestInput<'_>) -> Result<Self> {
        if options.coverage == Coverage::Nothing {
            return Ok(Self::default());
        }
        let started = Instant::now();
        let whole = options.coverage == Coverage::Whole;
        let to_read: Vec<&Path> = (input.beside.iter().map(PathBuf::as_path))
            .chain(input.weights.iter().filter(|_| whole).map(|file| file.path))
            .collect();
        let mut hashes = hash_cache::hash_files(&to_read, options.cache.as_deref())?.into_iter();
        let name = |path: &Path| {
            path.strip_prefix(input.folder).unwrap_or(path).to_string_lossy().into_owned()
        };
        let entry = |path, bytes, prefix: &str, hash: blake3::Hash| FileDigest {
            name: name(path),
            bytes,
            digest: format!("{prefix}:{}", hash.to_hex()),
        };

        let config = input.config.map_or("", |(_, text)| text).as_bytes();
        let mut all = blake3::Hasher::new();
        all.update(&(config.len() as u64).to_le_bytes()).update(config);
        let mut files: Vec<FileDigest> = input
            .config
            .iter()
            .map(|(path, _)| entry(path, config.len() as u64, WHOLE, blake3::hash(config)))
            .collect();
        for (path, hashed) in input.beside.iter().zip(&mut hashes) {
            files.push(entry(path, hashed.bytes, WHOLE, hashed.hash));
        }
        for file in &input.weights {
            let (bytes, prefix, hash) = match hashes.next() {
                // The engine computes with the mapped file, so the digest must not be of another version of it.
                Some(hashed) if hashed.bytes != file.bytes => {
                    return Err(hash_cache::changed_while_read(file.path));
                }
                Some(hashed) => (hashed.bytes, WHOLE, hashed.hash),
                None => (file.bytes, HEADERS, blake3::hash(file.beginning)),
            };
            all.update(&bytes.to_le_bytes()).update(hash.as_bytes());
            files.push(entry(file.path, bytes, prefix, hash));
        }
        let digest = format!("{}:{}", if whole { WHOLE } else { HEADERS }, all.finalize().to_hex());
        let time = started.elapsed();
        tracing::debug!(files = files.len(), seconds = time.as_secs_f64(), %digest, "files hashed");
        Ok(Self { digest, files, time })
    }
}

/// The prefix of a digest that covers all bytes.
const WHOLE: &str = "blake3";
/// The prefix of a digest that covers only the beginnings of files.
const HEADERS: &str = "blake3-headers";

/// Returns the digest of a synthetic model or adapter: SHA-256 of its config and its seed.
///
/// ```
/// use llem_checkpoint::synthetic_digest;
///
/// let digest = synthetic_digest("rank=8", 1);
/// assert!(digest.starts_with("sha256-synthetic:"));
/// assert_eq!(digest, synthetic_digest("rank=8", 1));
/// assert_ne!(digest, synthetic_digest("rank=8", 2));
/// ```
pub fn synthetic_digest(config: &str, seed: u64) -> String {
    let hash = Sha256::new_with_prefix(config).chain_update(seed.to_le_bytes());
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256-synthetic:{hex}")
}

#[cfg(test)]
mod tests;
