//! The journal `events.jsonl`, to which each event is appended as one line in one write.
//!
//! The process that writes the journal holds a lock on it as long as it lives. Other processes see from the lock that the
//! run still goes on.

use crate::{error::Error, event::JournalLine};
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
};

/// The journal's name within the run's folder.
const NAME: &str = "events.jsonl";

/// The buffer is shrunk to this many bytes after a longer line.
const BUFFER: usize = 64 << 10;

/// The journal of a run that is being written.
pub(crate) struct Journal {
    path: PathBuf,
    lines: LineWriter<File>,
}

impl Journal {
    /// Creates a journal in `folder`, and locks it.
    pub(crate) fn create(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(NAME);
        let file = OpenOptions::new().create_new(true).append(true).open(&path);
        let file = file.map_err(|source| Error::Io { path: path.clone(), source })?;
        if let Err(error) = file.try_lock() {
            // Some network file systems have no locks. The journal works without one.
            tracing::debug!("{}: {error}", path.display());
        }
        Ok(Self { path, lines: LineWriter::new(file) })
    }

    /// Appends a line and returns its length in bytes. The line goes to the kernel before this function returns, without a
    /// buffer in between, so that a `kill -9` right after it loses nothing.
    ///
    /// # Errors
    /// The line cannot be written, or it would have more than `most` bytes ([`Error::is_too_long`]). In both cases, nothing
    /// of the line stays in the file, if the file system allows that.
    pub(crate) fn append(&mut self, line: &JournalLine, most: u64) -> Result<u64, Error> {
        let written = self.lines.append(line, most).map_err(|source| self.failed(source))?;
        written.ok_or(Error::TooLong { most })
    }

    /// Waits until the journal is on the disk.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        self.lines.file.sync_all().map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Io { path: self.path.clone(), source }
    }
}

/// A file that can be cut to a length.
trait Truncate: Write {
    /// Removes everything after this many bytes.
    fn truncate_to(&mut self, bytes: u64) -> io::Result<()>;
}

impl Truncate for File {
    fn truncate_to(&mut self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }
}

/// Writes lines to a file so that a failed write does not damage the next line.
struct LineWriter<T> {
    file: T,
    /// The buffer for a line. It is reused, so that a line needs no allocation.
    buffer: Vec<u8>,
    /// Length of the file in bytes, of complete lines only. `None` after a part of a line could not be removed.
    whole: Option<u64>,
    /// Whether the file may end with a part of a line.
    is_torn: bool,
}

impl<T: Truncate> LineWriter<T> {
    fn new(file: T) -> Self {
        Self { file, buffer: Vec::new(), whole: Some(0), is_torn: false }
    }

    /// Appends a line and returns its length in bytes, or `None` if it would have more than `most` bytes. If the write fails,
    /// the part that was written is removed. If that fails, too, the next line begins with a line break.
    fn append(&mut self, line: &JournalLine, most: u64) -> io::Result<Option<u64>> {
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER);
        if self.is_torn {
            self.buffer.push(b'\n');
        }
        let mut bounded = BoundedBuffer { buffer: &mut self.buffer, most, is_full: false };
        let serialized = serde_json::to_writer(&mut bounded, line);
        if bounded.is_full {
            return Ok(None);
        }
        serialized?;
        self.buffer.push(b'\n');
        let bytes = self.buffer.len() as u64;
        let written = self.file.write_all(&self.buffer);
        if written.is_ok() {
            self.whole = self.whole.map(|whole| whole + bytes);
            self.is_torn = false;
        } else {
            // If the file cannot be cut, its length is not known any more.
            self.whole = self.whole.filter(|&whole| self.file.truncate_to(whole).is_ok());
            self.is_torn = self.whole.is_none();
        }
        written.map(|()| Some(bytes))
    }
}

/// A buffer that refuses to grow to more than `most` bytes.
struct BoundedBuffer<'a> {
    buffer: &'a mut Vec<u8>,
    most: u64,
    is_full: bool,
}

impl Write for BoundedBuffer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.buffer.len() + bytes.len()) as u64 >= self.most {
            self.is_full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads the lines of a journal.
pub(crate) struct JournalReader {
    lines: BufReader<File>,
    path: PathBuf,
    /// Number of lines that were incomplete or that this version does not understand.
    pub skipped: u64,
}

impl JournalReader {
    /// Opens the journal of a run that has ended.
    ///
    /// # Errors
    /// [`Error::NoRun`] if the folder has no journal, and [`Error::StillRunning`] if another process still writes it.
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(NAME);
        let file = File::open(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                Error::NoRun(folder.to_path_buf())
            }
            _ => Error::Io { path: path.clone(), source },
        })?;
        if let Err(TryLockError::WouldBlock) = file.try_lock_shared() {
            return Err(Error::StillRunning(folder.to_path_buf()));
        }
        Ok(Self { lines: BufReader::new(file), path, skipped: 0 })
    }

    /// Returns the next line that can be parsed, or `None` at the end. Other lines are skipped and counted. A last line
    /// without a line break counts if it can be parsed.
    pub(crate) fn next_line(&mut self) -> Result<Option<JournalLine>, Error> {
        let mut text = Vec::new();
        loop {
            text.clear();
            let read = self.lines.read_until(b'\n', &mut text);
            if read.map_err(|source| Error::Io { path: self.path.clone(), source })? == 0 {
                return Ok(None);
            }
            if text.trim_ascii().is_empty() {
                continue;
            }
            match serde_json::from_slice(&text) {
                Ok(line) => return Ok(Some(line)),
                Err(_) => self.skipped += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;

    /// A disk with limited space that may refuse to cut a file.
    struct Disk {
        content: Vec<u8>,
        room: usize,
        cuts: bool,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.room - self.content.len());
            self.content.extend(&bytes[..taken]);
            if taken == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Truncate for Disk {
        fn truncate_to(&mut self, bytes: u64) -> io::Result<()> {
            if !self.cuts {
                return Err(io::ErrorKind::Unsupported.into());
            }
            self.content.truncate(bytes as usize);
            Ok(())
        }
    }

    fn warning(message: &str) -> JournalLine {
        JournalLine { t_ns: 1, event: Event::Warning { message: message.to_owned() } }
    }

    #[test]
    fn a_line_that_fails_is_not_glued_to_the_next() {
        for cuts in [true, false] {
            let mut lines = LineWriter::new(Disk { content: Vec::new(), room: 70, cuts });
            lines.append(&warning("first"), u64::MAX).expect("there is room");
            lines.append(&warning("second"), u64::MAX).expect_err("there is none");
            lines.append(&warning("third"), u64::MAX).expect_err("there still is none");
            lines.file.room = 1000;
            lines.append(&warning("fourth"), u64::MAX).expect("there is room again");
            lines.append(&warning("fifth"), u64::MAX).expect("there is room");
            // From now on, the file can be cut.
            lines.file.cuts = true;
            lines.file.room = lines.file.content.len() + 9;
            lines.append(&warning("sixth"), u64::MAX).expect_err("there is no room");
            let text = String::from_utf8(lines.file.content).expect("text");
            let whole =
                text.lines().filter(|line| serde_json::from_str::<JournalLine>(line).is_ok());
            let whole: Vec<&str> = whole.collect();
            assert_eq!(whole.len(), 3, "{text}");
            for (line, word) in whole.iter().zip(["first", "fourth", "fifth"]) {
                assert!(line.contains(word), "{text}");
            }
            assert_eq!(text.lines().count() == 3, cuts, "{text}");
        }
    }
}
