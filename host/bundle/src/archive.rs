//! Reads zips that somebody else may have made to deceive or to do harm.
//!
//! The files of a bundle are stored without compression. So a bundle can never unpack to more than its own size, and its bytes
//! do not depend on the version of a compressor.
//!
//! Programs differ in what they take from a zip that contradicts itself: some read the table at its end, some the headers
//! before each file, some the last of two files of one name. So a zip is refused unless it can be read in one way only: no
//! name appears twice, headers and table agree, and the files follow one another without gaps from the zip's first byte to
//! its table.

use crate::{digest, error::Error, layout::is_plain};
use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};
use zip::{CompressionMethod, ZipArchive, read::ZipFile, result::ZipError};

/// The bits of a Unix mode that are the file type.
const TYPE: u32 = 0o170_000;
const LINK: u32 = 0o120_000;
const FOLDER: u32 = 0o040_000;
const PLAIN: u32 = 0o100_000;

/// A zip whose structure has been checked.
pub(crate) struct Archive {
    path: PathBuf,
    zip: ZipArchive<BufReader<File>>,
    names: Vec<String>,
}

impl Archive {
    /// Checks the structure of a zip. No file in it is read. `path` is its name in messages.
    pub(crate) fn new(path: &Path, file: File) -> Result<Self, Error> {
        refuse_bytes_after(path, &file)?;
        let mut zip = ZipArchive::new(BufReader::new(file)).map_err(|error| failed(path, error))?;
        zip.validate_header_consistency().map_err(|error| failed(path, error))?;
        let names = check_entries(path, &mut zip)?;
        Ok(Self { path: path.to_owned(), zip, names })
    }

    /// Returns the zip's path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the names of all files, in their order in the zip.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Copies the content of a file to `to`, and returns its SHA-256 digest as hexadecimal digits.
    ///
    /// # Errors
    /// [`Error::Changed`] if the content is not what its checksum and size in the zip say.
    pub(crate) fn copy(&mut self, name: &str, to: &mut dyn Write) -> Result<String, Error> {
        let changed = |cause: String| Error::Changed {
            bundle: self.path.clone(),
            name: name.to_owned(),
            cause,
        };
        let mut entry = self.zip.by_name(name).map_err(|error| changed(error.to_string()))?;
        let size = entry.size();
        // One byte more than it claims shows that it claims too little.
        let (bytes, hex) = digest::copy(&mut entry, size.saturating_add(1), to)
            .map_err(|error| changed(error.to_string()))?;
        match bytes == size {
            true => Ok(hex),
            false => Err(changed(format!("it has {bytes} bytes rather than {size}"))),
        }
    }
}

/// Refuses a zip that does not end with the record of its end, without a comment. The record has 22 bytes.
fn refuse_bytes_after(path: &Path, mut file: &File) -> Result<(), Error> {
    let mut record = [0; 22];
    let read = file.seek(SeekFrom::End(-22)).and_then(|_| file.read_exact(&mut record));
    match read {
        Ok(()) if record.starts_with(b"PK\x05\x06") && record.ends_with(&[0, 0]) => Ok(()),
        _ => Err(Error::Damaged {
            bundle: path.to_owned(),
            cause: "it does not end as a zip does".to_owned(),
        }),
    }
}

fn failed(path: &Path, error: ZipError) -> Error {
    match error {
        ZipError::Io(source) if source.kind() != std::io::ErrorKind::UnexpectedEof => {
            Error::Io { path: path.to_owned(), source }
        }
        error => Error::Damaged { bundle: path.to_owned(), cause: error.to_string() },
    }
}

/// Checks each entry, and that the entries fill the zip up to its table. Returns their names.
fn check_entries(path: &Path, zip: &mut ZipArchive<BufReader<File>>) -> Result<Vec<String>, Error> {
    let damaged = |cause: &str| Error::Damaged { bundle: path.to_owned(), cause: cause.to_owned() };
    if zip.offset() != 0 {
        return Err(damaged("there are bytes before the zip"));
    }
    let mut names = Vec::with_capacity(zip.len());
    let mut ranges = Vec::with_capacity(zip.len());
    for index in 0..zip.len() {
        let entry = zip.by_index_raw(index).map_err(|error| failed(path, error))?;
        let name = entry.name().map_err(|error| failed(path, error))?.into_owned();
        if !is_plain(&name) {
            return Err(Error::BadName { bundle: path.to_owned(), name });
        }
        check_entry(path, &name, &entry)?;
        let start = entry.data_start().ok_or_else(|| damaged("a file has no place in it"))?;
        ranges.push((entry.header_start(), start.saturating_add(entry.compressed_size())));
        names.push(name);
    }
    refuse_files_as_folders(path, &names)?;
    ranges.sort_unstable();
    let mut end = 0;
    for (start, next) in ranges {
        if start != end {
            return Err(damaged("there are bytes between its files, or files share bytes"));
        }
        end = next;
    }
    if end != zip.central_directory_start() {
        return Err(damaged("there are bytes between its files and its table"));
    }
    Ok(names)
}

/// Refuses a name that is another file's folder.
fn refuse_files_as_folders(path: &Path, names: &[String]) -> Result<(), Error> {
    let all: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    for name in names {
        let mut folders = name.match_indices('/').map(|(end, _)| &name[..end]);
        if let Some(file) = folders.find(|folder| all.contains(folder)) {
            return Err(Error::BadName { bundle: path.to_owned(), name: file.to_owned() });
        }
    }
    Ok(())
}

fn check_entry<R: Read>(path: &Path, name: &str, entry: &ZipFile<'_, R>) -> Result<(), Error> {
    let what = match (entry.unix_mode().unwrap_or_default() & TYPE, entry.compression()) {
        (LINK, _) => Some("a link"),
        (FOLDER, _) => Some("a folder"),
        (file_type, _) if ![0, PLAIN].contains(&file_type) => Some("a device, pipe or socket"),
        _ if entry.encrypted() => Some("encrypted"),
        (_, CompressionMethod::Stored) if entry.compressed_size() != entry.size() => {
            Some("said to have two different sizes")
        }
        (_, CompressionMethod::Stored) => None,
        _ => Some("compressed"),
    };
    let refuse = |what| Error::NotPlain { bundle: path.to_owned(), name: name.to_owned(), what };
    what.map_or(Ok(()), |what| Err(refuse(what)))
}
