//! Writes the zip of a bundle: sorted names, fixed dates and modes, no compression, so that equal files give equal bytes.

use crate::{bundle::Bundle, digest, error::Error, layout::MANIFEST, manifest::Manifest};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufWriter, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};
use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

/// The content of a file of a new bundle.
pub(crate) enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// The bytes of a file.
    File(PathBuf),
}

impl Content {
    /// Returns the size in bytes, and the SHA-256 digest as hexadecimal digits.
    pub(crate) fn size_and_digest(&self) -> Result<(u64, String), Error> {
        self.copy(&mut io::sink())
    }

    fn copy(&self, to: &mut dyn Write) -> Result<(u64, String), Error> {
        let (path, mut from): (&Path, Box<dyn Read + '_>) = match self {
            Self::Bytes(bytes) => (Path::new(""), Box::new(&bytes[..])),
            Self::File(path) => {
                let file = File::open(path);
                (path, Box::new(file.map_err(|source| Error::Io { path: path.clone(), source })?))
            }
        };
        digest::copy(&mut from, u64::MAX, to)
            .map_err(|source| Error::Io { path: path.to_owned(), source })
    }
}

/// Writes a bundle and verifies it. If that fails, nothing has changed.
pub(crate) fn write_zip(
    path: &Path,
    files: &BTreeMap<String, Content>,
    manifest: &Manifest,
) -> Result<Bundle, Error> {
    let mut written = None;
    let result = llem_files::write_with(path, |file| {
        let bundle = write_verified(path, file, files, manifest);
        let is_good = bundle.is_ok();
        written = Some(bundle);
        match is_good {
            true => Ok(()),
            false => Err(io::Error::other("the bundle is not kept")),
        }
    });
    match (written, result) {
        (Some(Ok(bundle)), Ok(())) => Ok(bundle),
        (Some(Err(error)), _) => Err(error),
        (_, Err(source)) => Err(Error::Io { path: path.to_owned(), source }),
        (None, Ok(())) => unreachable!("the closure was called"),
    }
}

fn write_verified(
    path: &Path,
    file: &mut File,
    files: &BTreeMap<String, Content>,
    manifest: &Manifest,
) -> Result<Bundle, Error> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    write_entries(path, file, files, manifest)?;
    let copy = file.seek(SeekFrom::Start(0)).and_then(|_| file.try_clone());
    Bundle::from_file(path, copy.map_err(io)?)
}

fn write_entries(
    path: &Path,
    file: &mut File,
    files: &BTreeMap<String, Content>,
    manifest: &Manifest,
) -> Result<(), Error> {
    let failed = |error: zip::result::ZipError| Error::Io {
        path: path.to_owned(),
        source: io::Error::other(error),
    };
    let text = Content::Bytes(manifest.to_text().into_bytes());
    let manifest_entry = [(MANIFEST, &text)];
    let entries = files.iter().map(|(name, content)| (name.as_str(), content));
    let mut entries: Vec<_> = entries.chain(manifest_entry).collect();
    entries.sort_by_key(|(name, _)| *name);
    let mut zip = ZipWriter::new(BufWriter::new(file)).set_auto_large_file();
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    for (name, content) in entries {
        zip.start_file(name, options).map_err(failed)?;
        content.copy(&mut zip)?;
    }
    let mut writer = zip.finish().map_err(failed)?;
    writer.flush().map_err(|source| Error::Io { path: path.to_owned(), source })
}
