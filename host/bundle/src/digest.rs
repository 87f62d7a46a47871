//! SHA-256 digests of files, of sources and of adapters, in the forms of the record.

use crate::error::Error;
use llem_checkpoint::{AdapterFiles, Coverage, DigestInput, DigestOptions, Identity, TensorFile};
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

/// How digests begin in the record.
const PREFIX: &str = "sha256:";
/// How an adapter's digest begins if only the beginning of its weights was hashed.
const HEADERS: &str = "blake3-headers:";
/// How many bytes are copied at a time.
const BUFFER: usize = 64 << 10;

/// Returns the digest of some bytes, as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// Returns a digest of hexadecimal digits in the form of the record.
pub(crate) fn recorded(hex: &str) -> String {
    format!("{PREFIX}{hex}")
}

/// Copies at most `most` bytes, and returns their number and their digest as hexadecimal digits.
pub(crate) fn copy(
    from: &mut dyn Read,
    most: u64,
    to: &mut dyn Write,
) -> io::Result<(u64, String)> {
    let mut hash = Sha256::new();
    let (mut buffer, mut from, mut bytes) = (vec![0; BUFFER], from.take(most), 0);
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok((bytes, format!("{:x}", hash.finalize()))),
            Ok(read) => {
                hash.update(&buffer[..read]);
                to.write_all(&buffer[..read])?;
                bytes += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Returns the digest of a file, as hexadecimal digits.
pub(crate) fn file_hex(path: &Path) -> Result<String, Error> {
    let read = File::open(path).and_then(|mut file| copy(&mut file, u64::MAX, &mut io::sink()));
    Ok(read.map_err(|source| Error::Io { path: path.to_owned(), source })?.1)
}

/// Returns the SHA-256 digest of a file, as `sha256:` and hexadecimal digits.
///
/// # Errors
/// The file cannot be read.
pub fn file_digest(path: &Path) -> Result<String, Error> {
    Ok(recorded(&file_hex(path)?))
}

/// Returns the digest of source code in the form of the record. `files` are paths below `folder`.
///
/// Of WebAssembly text it is the digest of the one file. Of everything else it is SHA-256 over the names and contents of all
/// files in the order of their paths, each with its length before it as 8 bytes, little-endian.
pub(crate) fn sources(language: &str, folder: &Path, files: &[PathBuf]) -> Result<String, Error> {
    if let ("wat", [only]) = (language, files) {
        return Ok(recorded(&file_hex(&folder.join(only))?));
    }
    let mut files: Vec<&PathBuf> = files.iter().collect();
    files.sort();
    let mut hash = Sha256::new();
    for name in files {
        let path = folder.join(name);
        let content = std::fs::read(&path).map_err(|source| Error::Io { path, source })?;
        for part in [name.as_os_str().as_encoded_bytes(), &content] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    Ok(recorded(&format!("{:x}", hash.finalize())))
}

/// Returns the digest of an adapter's folder. It covers as much of the weights as `like`, the digest in the record, does.
pub(crate) fn adapter(name: &str, folder: &Path, like: &str) -> Result<String, Error> {
    let coverage = match like.starts_with(HEADERS) {
        true => Coverage::Headers,
        false => Coverage::Whole,
    };
    let hashed = || {
        let AdapterFiles { config, text, weights } = AdapterFiles::find(folder)?;
        let file = TensorFile::open(weights)?;
        let parts = DigestInput {
            folder,
            config: Some((&config, &text)),
            weights: vec![(&file).into()],
            beside: Vec::new(),
        };
        Identity::from_files(&DigestOptions { coverage, cache: None }, &parts)
    };
    let identity = hashed().map_err(|cause| Error::Adapter { name: name.to_owned(), cause })?;
    Ok(identity.digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf abc | sha256sum`.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_copy_has_the_digest_of_what_was_copied() {
        let mut copied = Vec::new();
        let (bytes, digest) = copy(&mut &b"abcdef"[..], 3, &mut copied).expect("copied");
        assert_eq!((bytes, &copied[..], &digest[..]), (3, &b"abc"[..], ABC));
        assert_eq!(hex(b"abc"), ABC);
    }

    #[test]
    fn sources_are_hashed_with_their_names() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, content) in [("a.c", "abc"), ("b.h", "")] {
            std::fs::write(folder.path().join(name), content).expect("written");
        }
        let of = |language: &str, files: &[&str]| {
            let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
            sources(language, folder.path(), &files).expect("hashed")
        };
        assert_eq!(of("wat", &["a.c"]), recorded(ABC));
        // printf '\3\0\0\0\0\0\0\0a.c\3\0\0\0\0\0\0\0abc\3\0\0\0\0\0\0\0b.h\0\0\0\0\0\0\0\0' | sha256sum
        assert_eq!(
            of("c", &["b.h", "a.c"]),
            "sha256:04e920c36672b2aefff4fb410fae62569b3534249bf21491d07072de2925225a"
        );
    }
}
