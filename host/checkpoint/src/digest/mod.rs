//! What identifies a model or an adapter in a run record, and of which files it is made.
//!
//! ```text
//! digest   blake3: BLAKE3( n(config) ‖ config ‖ n(file 1) ‖ H(file 1) ‖ n(file 2) ‖ H(file 2) ‖ … )
//! n        a length in bytes: 8 bytes, little-endian
//! config   the bytes of config.json (of an adapter: adapter_config.json); of a GGUF file, which holds its own, none
//! file     each weight file, in the order of their names
//! H        BLAKE3 of all bytes of the file: 32 bytes, which `b3sum` prints in hexadecimal
//! ```
//!
//! Under `blake3-headers:` (asked for with [`Coverage::Headers`]) H is that of the file's beginning alone: a
//! safetensors file's header and the first kilobyte of its data; a GGUF file's metadata, table of contents and first
//! kilobyte of data. Names, shapes, formats and sizes of tensors decide it, their numbers hardly do.
//!
//! What is of no file is `sha256-synthetic:`, SHA-256 over config and seed.
//!
//! Start at [`identify`] and [`DigestOptions`].

mod file_hash;
mod known_hashes;

use crate::{Result, gguf, safetensors_files::TensorFile};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How much of the weight files a digest is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coverage {
    /// Every byte.
    #[default]
    Whole,
    /// Their headers: `--quick-digest`.
    Headers,
    /// No digest is made: of a rank that another process leads, and that tells nobody.
    Nothing,
}

/// How a model or an adapter is identified.
#[derive(Clone, Debug, Default)]
pub struct DigestOptions {
    /// Of how much.
    pub coverage: Coverage,
    /// The JSON file of hashes that earlier runs made, so that a file which has not changed is not read again. None:
    /// nothing is kept.
    pub cache: Option<PathBuf>,
}

impl DigestOptions {
    /// No digest.
    pub fn nothing() -> Self {
        Self { coverage: Coverage::Nothing, cache: None }
    }
}

/// One of the files that a model is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileDigest {
    /// Its path within the model's folder.
    pub name: String,
    /// Its size, bytes.
    pub bytes: u64,
    /// `blake3:` and what `b3sum` prints of it; `blake3-headers:` where only its beginning was hashed.
    pub digest: String,
}

/// What identifies a model. Empty where no digest was asked for.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// Of config and weights, as this module defines it.
    pub digest: String,
    /// Every file that decides what the model does: config, tokenizer and the like first, then the weights.
    pub files: Vec<FileDigest>,
    /// How long hashing took.
    pub time: Duration,
}

/// What a digest is made of.
pub struct Parts<'a> {
    /// The folder that files are named from.
    pub folder: &'a Path,
    /// The config's file and text; none where the weight file holds it.
    pub config: Option<(&'a Path, &'a str)>,
    /// The weight files, in the order of their names.
    pub weights: Vec<WeightFile<'a>>,
    /// Files beside them that the digest leaves out and the list of files names: tokenizer, chat template.
    pub beside: Vec<PathBuf>,
}

/// A weight file.
pub struct WeightFile<'a> {
    path: &'a Path,
    bytes: u64,
    beginning: &'a [u8],
}

/// Bytes of tensors' data that count as a file's beginning.
const FIRST_OF_DATA: usize = 1024;

impl<'a> From<&'a TensorFile> for WeightFile<'a> {
    fn from(file: &'a TensorFile) -> Self {
        Self::new(&file.path, &file.bytes, file.data_start())
    }
}

impl<'a> From<&'a gguf::Part> for WeightFile<'a> {
    fn from(part: &'a gguf::Part) -> Self {
        Self::new(&part.path, &part.bytes, part.data)
    }
}

impl<'a> WeightFile<'a> {
    fn new(path: &'a Path, all: &'a [u8], data: usize) -> Self {
        let end = data.saturating_add(FIRST_OF_DATA).min(all.len());
        Self { path, bytes: all.len() as u64, beginning: &all[..end] }
    }
}

/// Hashes what a model or an adapter is made of.
///
/// # Errors
/// [`crate::Error::BadFile`] for a file that cannot be read, or that changed since it was mapped.
pub fn identify(options: &DigestOptions, parts: &Parts<'_>) -> Result<Identity> {
    if options.coverage == Coverage::Nothing {
        return Ok(Identity::default());
    }
    let started = Instant::now();
    let whole = options.coverage == Coverage::Whole;
    let read: Vec<&Path> = (parts.beside.iter().map(PathBuf::as_path))
        .chain(parts.weights.iter().filter(|_| whole).map(|file| file.path))
        .collect();
    let mut read = known_hashes::of_files(&read, options.cache.as_deref())?.into_iter();
    let name = |path: &Path| {
        path.strip_prefix(parts.folder).unwrap_or(path).to_string_lossy().into_owned()
    };
    let entry = |path, bytes, prefix: &str, hash: blake3::Hash| FileDigest {
        name: name(path),
        bytes,
        digest: format!("{prefix}:{}", hash.to_hex()),
    };

    let config = parts.config.map_or("", |(_, text)| text).as_bytes();
    let mut all = blake3::Hasher::new();
    all.update(&(config.len() as u64).to_le_bytes()).update(config);
    let mut files: Vec<FileDigest> = parts
        .config
        .iter()
        .map(|(path, _)| entry(path, config.len() as u64, WHOLE, blake3::hash(config)))
        .collect();
    for (path, hashed) in parts.beside.iter().zip(&mut read) {
        files.push(entry(path, hashed.bytes, WHOLE, hashed.hash));
    }
    for file in &parts.weights {
        let (bytes, prefix, hash) = match read.next() {
            // The engine computes with what was mapped: a digest of anything else would lie.
            Some(hashed) if hashed.bytes != file.bytes => {
                return Err(known_hashes::changed(file.path));
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
    Ok(Identity { digest, files, time })
}

/// The prefix of a digest of every byte.
const WHOLE: &str = "blake3";
/// The prefix of a digest of headers.
const HEADERS: &str = "blake3-headers";

/// SHA-256 over config and seed, which is all that a synthetic model consists of.
pub fn of_synthetic(config: &str, seed: u64) -> String {
    let hash = Sha256::new_with_prefix(config).chain_update(seed.to_le_bytes());
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256-synthetic:{hex}")
}

#[cfg(test)]
mod tests;
