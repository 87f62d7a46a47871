//! `events.jsonl`: append-only, a whole line in one write.

use crate::{Error, event::Line};
use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

/// The open journal of a run.
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Reused, so that a line costs one write and no allocation.
    buffer: Vec<u8>,
}

impl Journal {
    /// Begins a journal in `folder`.
    pub fn create(folder: &Path) -> Result<Self, Error> {
        let path = folder.join("events.jsonl");
        let file = OpenOptions::new().create_new(true).append(true).open(&path);
        match file {
            Ok(file) => Ok(Self { path, file, buffer: Vec::new() }),
            Err(source) => Err(Error::Io { path, source }),
        }
    }

    /// Appends a line. It goes to the kernel before this returns, with no buffer of our own
    /// between, so that a `kill -9` right after loses nothing.
    pub fn append(&mut self, line: &Line) -> Result<(), Error> {
        self.buffer.clear();
        let written = serde_json::to_writer(&mut self.buffer, line)
            .map_err(std::io::Error::from)
            .and_then(|()| {
                self.buffer.push(b'\n');
                self.file.write_all(&self.buffer)
            });
        written.map_err(|source| Error::Io { path: self.path.clone(), source })
    }

    /// Waits until the disk has it.
    pub fn sync(&self) -> Result<(), Error> {
        self.file.sync_all().map_err(|source| Error::Io { path: self.path.clone(), source })
    }
}
