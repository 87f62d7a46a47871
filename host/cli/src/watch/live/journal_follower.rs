//! Reads the journal of a run while another process writes it.
//!
//! ```text
//! events.jsonl   {"t_ns":0,…}\n {"t_ns":7,…}\n {"t_ns":9,"ev        read until the last line break;
//!                ◄──────── parsed ───────────► ◄── kept ──►          the rest waits for its end
//! ```
//!
//! The file is opened anew for each look, because a network file system only asks its server for news when a file is
//! opened. Nothing in the folder is written, and the lock is only looked at when a caller asks for it.

use llem_record::{Error, JournalLine};
use std::{
    fs::{File, TryLockError},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

/// The journal's name within the run's folder.
const NAME: &str = "events.jsonl";

/// The most bytes that are read at a time, so that a long journal does not have to fit into memory.
const CHUNK: u64 = 4 << 20;

/// Follows a journal that grows.
pub(super) struct JournalFollower {
    folder: PathBuf,
    path: PathBuf,
    /// The number of bytes that were read.
    read: u64,
    /// The beginning of a line that has no end yet.
    rest: Vec<u8>,
    skipped: u64,
}

/// What the lock of a journal says about the process that writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JournalWriter {
    /// A process holds the lock: the run goes on.
    Present,
    /// No process that this machine knows of holds the lock. The run has ended, was killed, or runs on another machine
    /// whose locks this file system does not share.
    NotSeen,
    /// The file system has no locks.
    Unknown,
}

impl JournalFollower {
    /// Begins to follow the journal in a run's folder.
    ///
    /// # Errors
    /// [`Error::NoRun`] if the folder has no journal.
    pub(super) fn open(folder: &Path) -> Result<Self, Error> {
        let (folder, path) = (folder.to_path_buf(), folder.join(NAME));
        let follower = Self { folder, path, read: 0, rest: Vec::new(), skipped: 0 };
        follower.file()?;
        Ok(follower)
    }

    /// Returns the complete lines that were added since the last call, or `None` if nothing was added. A long addition
    /// takes several calls. Lines that this version does not understand are skipped and counted.
    ///
    /// # Errors
    /// The journal cannot be read, or is gone.
    pub(super) fn read_lines(&mut self) -> Result<Option<Vec<JournalLine>>, Error> {
        let mut file = self.file()?;
        let added = file.seek(SeekFrom::Start(self.read)).and_then(|_| {
            let mut added = Vec::new();
            file.take(CHUNK).read_to_end(&mut added)?;
            Ok(added)
        });
        let added = added.map_err(|source| self.failed(source))?;
        if added.is_empty() {
            return Ok(None);
        }
        self.read += added.len() as u64;
        self.rest.extend_from_slice(&added);
        let whole = self.rest.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let lines: Vec<u8> = self.rest.drain(..whole).collect();
        let mut parsed = Vec::new();
        for text in lines.split(|&byte| byte == b'\n').filter(|text| !text.trim_ascii().is_empty())
        {
            match serde_json::from_slice(text) {
                Ok(line) => parsed.push(line),
                Err(_) => self.skipped += 1,
            }
        }
        Ok(Some(parsed))
    }

    /// Looks whether a process writes the journal. Called only after the journal has been silent for a while: the look
    /// itself holds a shared lock for a moment, which must not meet a writer that is about to take its lock.
    pub(super) fn writer(&self) -> JournalWriter {
        match self.file().map(|file| file.try_lock_shared()) {
            Ok(Ok(())) => JournalWriter::NotSeen,
            Ok(Err(TryLockError::WouldBlock)) => JournalWriter::Present,
            Ok(Err(TryLockError::Error(_))) | Err(_) => JournalWriter::Unknown,
        }
    }

    /// Returns the number of lines that were incomplete or that this version does not understand.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }

    fn file(&self) -> Result<File, Error> {
        File::open(&self.path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                Error::NoRun(self.folder.clone())
            }
            _ => self.failed(source),
        })
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Io { path: self.path.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llem_record::{Event, Recorder, RunPlan, RunStatus};
    use std::{fs::OpenOptions, io::Write};

    fn warnings(lines: Option<Vec<JournalLine>>) -> Vec<String> {
        let lines = lines.unwrap_or_default();
        lines.iter().filter_map(|line| Some(line.event.warning()?.into_owned())).collect()
    }

    #[test]
    fn lines_are_read_once_and_only_when_they_are_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(NAME);
        let line = |message: &str| {
            let event = Event::Warning { message: message.to_owned() };
            serde_json::to_string(&JournalLine { t_ns: 1, event }).expect("text") + "\n"
        };
        let add = |text: &str| {
            let file = OpenOptions::new().create(true).append(true).open(&path);
            file.expect("a file").write_all(text.as_bytes()).expect("written");
        };
        add(&line("first"));
        let (begin, end) = (&line("second")[..20], &line("second")[20..]);
        add(begin);
        let mut follower = JournalFollower::open(folder.path()).expect("a journal");
        assert_eq!(warnings(follower.read_lines().expect("read")), ["first"]);
        assert!(follower.read_lines().expect("read").is_none(), "nothing was added");
        add(end);
        add("{\"t_ns\":2,\"event\":\"of a later version\"}\n\0\0\n");
        add(&line("third"));
        assert_eq!(warnings(follower.read_lines().expect("read")), ["second", "third"]);
        assert_eq!(follower.skipped(), 2);
    }

    #[test]
    fn a_folder_without_a_journal_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let refused = |folder: &Path| JournalFollower::open(folder).err().expect("no run");
        assert!(matches!(refused(folder.path()), Error::NoRun(_)));
        assert!(matches!(refused(&folder.path().join("nowhere")), Error::NoRun(_)));
    }

    #[test]
    fn the_lock_tells_a_run_that_goes_on_from_one_that_has_ended() {
        let folder = tempfile::tempdir().expect("a folder");
        let recorder = Recorder::create(Some(folder.path()), "run", 0, RunPlan::default());
        let recorder = recorder.expect("a new folder");
        let follower = JournalFollower::open(folder.path()).expect("a journal");
        assert_eq!(follower.writer(), JournalWriter::Present);
        recorder.finish(1, RunStatus::Completed, None).expect("written");
        assert_eq!(follower.writer(), JournalWriter::NotSeen);
    }
}
