//! Writes the record of a run while it goes on: every event goes to the journal, and to the record in memory.

use crate::{
    builder::RecordBuilder,
    error::Error,
    event::{Event, JournalLine, RunStatus},
    journal::Journal,
    outline,
    plan::RunPlan,
    schema::{RunRecord, SCHEMA_VERSION},
};
use std::{
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

/// The record's name within the run's folder.
pub(crate) const RECORD: &str = "run.json";

/// The record of a run that goes on.
pub struct Recorder {
    folder: PathBuf,
    journal: Journal,
    builder: RecordBuilder,
    started: Event,
}

impl Recorder {
    /// Creates the run's folder and begins the record. The run began at `unix_ns`, in nanoseconds since 1970-01-01 UTC, and
    /// `t_ns` is 0 at that moment. Without `out`, the folder is `runs/<UTC time>-<name>`.
    ///
    /// # Errors
    /// [`Error::NotEmpty`] if `out` is not empty, or a file cannot be written.
    pub fn create(
        out: Option<&Path>,
        name: &str,
        unix_ns: i64,
        plan: RunPlan,
    ) -> Result<Self, Error> {
        // A time after the year 9999 cannot be formatted. No clock shows it.
        let began = jiff::Timestamp::from_nanosecond(unix_ns.into()).unwrap_or_default();
        let folder = match out {
            Some(folder) => given_folder(folder)?,
            None => fresh_folder(&format!("{}-{name}", began.strftime("%Y%m%dT%H%M%SZ")))?,
        };
        let id = folder
            .file_name()
            .map_or_else(|| name.to_owned(), |name| name.to_string_lossy().into_owned());
        let journal = Journal::create(&folder)?;
        let builder = RecordBuilder::new(id.clone(), moment(unix_ns), plan.clone());
        let started = Event::Started {
            id,
            llem_version: plan.llem_version.clone(),
            schema_version: SCHEMA_VERSION.to_owned(),
            unix_ns,
            plan: Some(Box::new(plan)),
        };
        let mut recorder = Self { folder, journal, builder, started: started.clone() };
        recorder.append(0, started, u64::MAX)?;
        write_record(&recorder.folder, recorder.builder.begun())?;
        Ok(recorder)
    }

    /// Appends an event to the journal and adds it to the record. Returns the length of its line in bytes, which may be at
    /// most `most`. If the journal cannot be written, the event is added to the record anyway.
    ///
    /// # Errors
    /// The line is too long ([`Error::is_too_long`]), and the event is in neither, or the journal cannot be written.
    pub fn append(&mut self, t_ns: u64, event: Event, most: u64) -> Result<u64, Error> {
        let line = JournalLine { t_ns, event };
        let written = self.journal.append(&line, most);
        if !written.as_ref().is_err_and(Error::is_too_long) {
            self.builder.add(line);
        }
        written
    }

    /// Ends the run: writes the journal's last line and then the whole record. If the journal cannot be written, the record is
    /// written anyway, and the journal's error is returned.
    pub fn finish(
        mut self,
        t_ns: u64,
        status: RunStatus,
        error: Option<String>,
    ) -> Result<RunRecord, Error> {
        let journal = self
            .append(t_ns, Event::Ended { status, error }, u64::MAX)
            .and_then(|_| self.journal.sync());
        let record = self.builder.finish();
        write_record(&self.folder, &record)?;
        journal.map(|()| record)
    }

    /// Writes a file of the script into the run's folder. Returns its path within the folder and its length in bytes.
    ///
    /// # Errors
    /// [`Error::ArtifactExists`] if the script has already written a file with this name, or the file cannot be written.
    pub fn write_artifact(&self, name: &str, content: &[u8]) -> Result<(String, u64), Error> {
        let folder = self.folder.join("artifacts");
        let path = folder.join(name);
        let written =
            fs::create_dir_all(&folder).and_then(|()| llem_files::write_new(&path, content));
        match written {
            Ok(()) => Ok((format!("artifacts/{name}"), content.len() as u64)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(Error::ArtifactExists(name.to_owned()))
            }
            Err(source) => Err(Error::Io { path, source }),
        }
    }

    /// Returns the journal's first event.
    pub fn started(&self) -> &Event {
        &self.started
    }

    /// Returns the run's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Writes `run.json`, or leaves it as it was if that fails. The text is streamed, because it may be as long as the journal.
pub(crate) fn write_record(folder: &Path, record: &RunRecord) -> Result<(), Error> {
    let path = folder.join(RECORD);
    let written = llem_files::write_with(&path, |file| {
        let mut file = BufWriter::new(file);
        outline::write(&mut file, record)?;
        file.flush()
    });
    written.map_err(|source| Error::Io { path, source })
}

/// Formats a moment, in nanoseconds since 1970-01-01 UTC, for the record: RFC 3339, UTC, in whole seconds.
pub(crate) fn moment(unix_ns: i64) -> String {
    crate::date(unix_ns.div_euclid(1_000_000_000))
}

fn given_folder(folder: &Path) -> Result<PathBuf, Error> {
    let io = |source| Error::Io { path: folder.to_path_buf(), source };
    fs::create_dir_all(folder).map_err(io)?;
    if fs::read_dir(folder).map_err(io)?.next().is_some() {
        return Err(Error::NotEmpty(folder.to_path_buf()));
    }
    Ok(folder.to_path_buf())
}

/// Creates a folder that no other run has, even if another run began in the same second.
fn fresh_folder(name: &str) -> Result<PathBuf, Error> {
    let root = PathBuf::from("runs");
    fs::create_dir_all(&root).map_err(|source| Error::Io { path: root.clone(), source })?;
    for attempt in 1.. {
        let path =
            root.join(if attempt == 1 { name.to_owned() } else { format!("{name}-{attempt}") });
        match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(Error::Io { path, source }),
            Ok(()) => return Ok(path),
        }
    }
    unreachable!("a free name is found, or the file system says why not")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_told_in_bytes() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut recorder = Recorder::create(Some(folder.path()), "run", 0, RunPlan::default())
            .expect("a new folder");
        let journal = || fs::metadata(folder.path().join("events.jsonl")).expect("there").len();
        for message in ["", "\u{20ac} \"quoted\"\n"] {
            let before = journal();
            let event = Event::Warning { message: message.to_owned() };
            let written = recorder.append(7, event.clone(), u64::MAX).expect("written");
            assert_eq!(written, journal() - before);
            assert!(recorder.append(7, event.clone(), written - 1).is_err_and(|e| e.is_too_long()));
            assert_eq!(written, journal() - before, "a line that is too long leaves nothing");
            assert_eq!(recorder.append(7, event, written).expect("written"), written);
        }
        let (path, bytes) = recorder.write_artifact("a.txt", b"four").expect("written");
        assert_eq!(bytes, fs::metadata(folder.path().join(path)).expect("there").len());
    }
}
