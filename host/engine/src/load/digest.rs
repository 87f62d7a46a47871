//! What identifies a model in a run record.

use super::{
    files::{Files, Shard},
    gguf::Gguf,
};
use crate::{Error, Result};
use sha2::{Digest, Sha256};
use std::{fs::File, io, path::Path};

/// Up to here every byte is hashed; above, a large checkpoint would take longer to hash than to load.
const WHOLE_LIMIT: u64 = 1 << 30;

/// SHA-256 over the config and the weight files. `sha256:` covers every byte; `sha256-headers:`
/// covers names, shapes, formats and sizes of all tensors and the first kilobyte of each file's data.
pub fn of_files(config: &str, files: &Files) -> Result<String> {
    of_shards(config, files.shards())
}

/// The same of an adapter's one file.
pub fn of_shard(config: &str, shard: &Shard) -> Result<String> {
    of_shards(config, std::slice::from_ref(shard))
}

fn of_shards(config: &str, shards: &[Shard]) -> Result<String> {
    let total: u64 = shards.iter().map(|shard| shard.bytes.len() as u64).sum();
    let whole = total <= WHOLE_LIMIT;
    let mut hash = Sha256::new_with_prefix(config);
    for shard in shards {
        hash.update((shard.bytes.len() as u64).to_le_bytes());
        if whole {
            add_file(&mut hash, &shard.path)?;
        } else {
            hash.update(shard.beginning());
        }
    }
    Ok(format!("{}:{}", if whole { "sha256" } else { "sha256-headers" }, hex(hash)))
}

/// SHA-256 over a GGUF file: of every byte, or as above of its header and what follows.
pub fn of_gguf(gguf: &Gguf) -> Result<String> {
    let size = gguf.bytes.len();
    let whole = size as u64 <= WHOLE_LIMIT;
    let mut hash = Sha256::new_with_prefix((size as u64).to_le_bytes());
    if whole {
        add_file(&mut hash, &gguf.path)?;
    } else {
        let beginning = (gguf.content.tensor_data_offset as usize + 1024).min(size);
        hash.update(&gguf.bytes[..beginning]);
    }
    Ok(format!("{}:{}", if whole { "sha256" } else { "sha256-headers" }, hex(hash)))
}

/// Read rather than mapped, so that what is hashed does not count as the process's memory.
fn add_file(hash: &mut Sha256, path: &Path) -> Result<()> {
    let read = File::open(path).and_then(|mut file| io::copy(&mut file, hash));
    read.map(|_| ()).map_err(|error| Error::file(path, error.to_string()))
}

/// SHA-256 over config and seed, which is all that a synthetic model consists of.
pub fn of_synthetic(config: &str, seed: u64) -> String {
    let hash = Sha256::new_with_prefix(config).chain_update(seed.to_le_bytes());
    format!("sha256-synthetic:{}", hex(hash))
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
