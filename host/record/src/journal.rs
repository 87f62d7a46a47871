//! `events.jsonl`: append-only, a whole line in one write.
//!
//! The process that writes it holds a lock on it as long as it lives, which is how others know that the run goes on.

use crate::{error::Error, event::Line};
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
};

/// The journal's name within the run's folder.
const NAME: &str = "events.jsonl";

/// Bytes of the buffer that are kept from line to line.
const BUFFER: usize = 64 << 10;

/// The open journal of a run.
pub struct Journal {
    path: PathBuf,
    lines: Lines<File>,
}

impl Journal {
    /// Begins a journal in `folder`.
    pub fn create(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(NAME);
        let file = OpenOptions::new().create_new(true).append(true).open(&path);
        let file = file.map_err(|source| Error::Io { path: path.clone(), source })?;
        if let Err(error) = file.try_lock() {
            // Some network file systems have no locks; the journal is as good without.
            tracing::debug!("{}: {error}", path.display());
        }
        Ok(Self { path, lines: Lines::new(file) })
    }

    /// Appends a line. It goes to the kernel before this returns, with no buffer of our own
    /// between, so that a `kill -9` right after loses nothing. Returns its bytes.
    ///
    /// # Errors
    /// It cannot be written, or would have more than `most` bytes ([`Error::is_too_long`]); nothing of it is written then.
    pub fn append(&mut self, line: &Line, most: u64) -> Result<u64, Error> {
        let written = self.lines.append(line, most).map_err(|source| self.failed(source))?;
        written.ok_or(Error::TooLong { most })
    }

    /// Waits until the disk has it.
    pub fn sync(&self) -> Result<(), Error> {
        self.lines.file.sync_all().map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Io { path: self.path.clone(), source }
    }
}

/// What lines are written to.
trait Target: Write {
    /// Takes back what is beyond this many bytes.
    fn cut(&mut self, bytes: u64) -> io::Result<()>;
}

impl Target for File {
    fn cut(&mut self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }
}

/// Whole lines in a file, whatever fails.
struct Lines<T> {
    file: T,
    /// Reused, so that a line costs one write and no allocation.
    buffer: Vec<u8>,
    /// Bytes of the file, all of them whole lines; none once half a line could not be taken back.
    whole: Option<u64>,
    /// Whether half a line may stand at the end of the file.
    is_torn: bool,
}

impl<T: Target> Lines<T> {
    fn new(file: T) -> Self {
        Self { file, buffer: Vec::new(), whole: Some(0), is_torn: false }
    }

    /// Appends a line, unless it has more than so many bytes, and returns its bytes. If that fails, what was written of it
    /// is taken back; if that fails too, the next line begins on a new one.
    fn append(&mut self, line: &Line, most: u64) -> io::Result<Option<u64>> {
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER);
        if self.is_torn {
            self.buffer.push(b'\n');
        }
        let mut bounded = Bounded { buffer: &mut self.buffer, most, is_full: false };
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
            // Where the file ends is not known for sure once this has failed.
            self.whole = self.whole.filter(|&whole| self.file.cut(whole).is_ok());
            self.is_torn = self.whole.is_none();
        }
        written.map(|()| Some(bytes))
    }
}

/// Takes no more than so many bytes.
struct Bounded<'a> {
    buffer: &'a mut Vec<u8>,
    most: u64,
    is_full: bool,
}

impl Write for Bounded<'_> {
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

/// What a journal says, read back.
pub struct Replay {
    lines: BufReader<File>,
    path: PathBuf,
    /// Lines that are torn or say something that this version does not know.
    pub skipped: u64,
}

impl Replay {
    /// Opens the journal of a run that has ended. Fails with [`Error::NoRun`] where there is none, and with
    /// [`Error::StillRunning`] while another process writes it.
    pub fn open(folder: &Path) -> Result<Self, Error> {
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

    /// The next line that is whole; none at the end. Others are skipped and counted. A last line without its end
    /// is whole if it reads as one.
    pub fn next_line(&mut self) -> Result<Option<Line>, Error> {
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

    /// A disk that has this much room, and may refuse to take back what it has.
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

    impl Target for Disk {
        fn cut(&mut self, bytes: u64) -> io::Result<()> {
            if !self.cuts {
                return Err(io::ErrorKind::Unsupported.into());
            }
            self.content.truncate(bytes as usize);
            Ok(())
        }
    }

    fn warning(message: &str) -> Line {
        Line { t_ns: 1, event: Event::Warning { message: message.to_owned() } }
    }

    #[test]
    fn a_line_that_fails_is_not_glued_to_the_next() {
        for cuts in [true, false] {
            let mut lines = Lines::new(Disk { content: Vec::new(), room: 70, cuts });
            lines.append(&warning("first"), u64::MAX).expect("there is room");
            lines.append(&warning("second"), u64::MAX).expect_err("there is none");
            lines.append(&warning("third"), u64::MAX).expect_err("there still is none");
            lines.file.room = 1000;
            lines.append(&warning("fourth"), u64::MAX).expect("there is room again");
            lines.append(&warning("fifth"), u64::MAX).expect("there is room");
            // Later it may be possible to cut.
            lines.file.cuts = true;
            lines.file.room = lines.file.content.len() + 9;
            lines.append(&warning("sixth"), u64::MAX).expect_err("there is no room");
            let text = String::from_utf8(lines.file.content).expect("text");
            let whole = text.lines().filter(|line| serde_json::from_str::<Line>(line).is_ok());
            let whole: Vec<&str> = whole.collect();
            assert_eq!(whole.len(), 3, "{text}");
            for (line, word) in whole.iter().zip(["first", "fourth", "fifth"]) {
                assert!(line.contains(word), "{text}");
            }
            assert_eq!(text.lines().count() == 3, cuts, "{text}");
        }
    }
}
