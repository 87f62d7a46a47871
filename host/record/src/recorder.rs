//! Keeps a run's record while it goes on: every event to the journal, and the sum of them in memory.

use crate::{
    Error, Journal,
    event::{Event, Line},
    schema::{Phase, Plan, RunRecord, SCHEMA_VERSION, Status},
    statistics::GroupSamples,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A run's record in the making.
pub struct Recorder {
    folder: PathBuf,
    journal: Journal,
    record: RunRecord,
    started: Event,
    /// By phase, then label, in the order of first appearance.
    groups: Groups,
}

type Groups = Vec<((String, String), GroupSamples)>;

/// The group of a phase and label, made if there is none.
fn group<'a>(groups: &'a mut Groups, phase: &str, label: &str) -> &'a mut GroupSamples {
    let known = groups.iter().position(|((p, l), _)| p == phase && l == label);
    let place = known.unwrap_or_else(|| {
        groups.push(((phase.to_owned(), label.to_owned()), GroupSamples::default()));
        groups.len() - 1
    });
    &mut groups[place].1
}

impl Recorder {
    /// Makes the run's folder and begins the record of a run that began at `unix_ns`, nanoseconds since 1970-01-01
    /// UTC, which is when `t_ns` is 0. Without `out`, the folder is `runs/<UTC time>-<name>`.
    pub fn create(out: Option<&Path>, name: &str, unix_ns: i64, plan: Plan) -> Result<Self, Error> {
        // What lies beyond the year 9999 is no time that a clock tells.
        let began = jiff::Timestamp::from_nanosecond(unix_ns.into()).unwrap_or_default();
        let folder = match out {
            Some(folder) => given_folder(folder)?,
            None => fresh_folder(&format!("{}-{name}", began.strftime("%Y%m%dT%H%M%SZ")))?,
        };
        let id = folder
            .file_name()
            .map_or_else(|| name.to_owned(), |name| name.to_string_lossy().into_owned());
        let llem_version = plan.llem_version.clone();
        let record = RunRecord {
            schema_version: SCHEMA_VERSION.to_owned(),
            id: id.clone(),
            status: Status::Running,
            error: None,
            started_at: began.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            wall_ns: 0,
            plan,
            models: Vec::new(),
            adapters: Vec::new(),
            phases: Vec::new(),
            groups: Vec::new(),
            windows: Vec::new(),
            devices: Vec::new(),
            baselines: Vec::new(),
            timeline: None,
            metrics: Vec::new(),
            series: Vec::new(),
            tables: Vec::new(),
            artifacts: Vec::new(),
            warnings: Vec::new(),
        };
        let journal = Journal::create(&folder)?;
        let started = Event::Started { id, llem_version, unix_ns };
        let mut recorder =
            Self { folder, journal, record, started: started.clone(), groups: Vec::new() };
        recorder.append(0, started)?;
        recorder.write_record()?;
        Ok(recorder)
    }

    /// Appends an event to the journal and to the record.
    pub fn append(&mut self, t_ns: u64, event: Event) -> Result<(), Error> {
        let line = Line { t_ns, event };
        self.journal.append(&line)?;
        let record = &mut self.record;
        match line.event {
            Event::Model(model) => record.models.push(model),
            Event::Adapter(adapter) => record.adapters.push(adapter),
            Event::PhaseEnded { phase, wall_ns } => {
                let started_ns = t_ns.saturating_sub(wall_ns);
                record.phases.push(Phase { phase, started_ns, wall_ns });
            }
            Event::Generation(generation) => {
                let (phase, label) = (&generation.window.phase, &generation.window.label);
                group(&mut self.groups, phase, label).add(&generation);
            }
            Event::BatchSequence(ended) => {
                group(&mut self.groups, &ended.phase, &ended.label).add_sequence(&ended.sequence);
            }
            Event::Window(window) => record.windows.push(window),
            Event::Devices { devices } => record.devices = devices,
            Event::Baseline(baseline) => record.baselines.push(baseline),
            Event::Timeline(timeline) => record.timeline = Some(timeline),
            Event::Metric(metric) => record.metrics.push(metric),
            Event::Series(series) => record.series.push(series),
            Event::Table(table) => record.tables.push(table),
            Event::Artifact(artifact) => record.artifacts.push(artifact),
            Event::Warning { message } => record.warnings.push(message),
            Event::Started { .. }
            | Event::PhaseBegan { .. }
            | Event::Log { .. }
            | Event::Ended { .. } => {}
        }
        Ok(())
    }

    /// Ends the run: the journal's last line, then the whole record.
    pub fn finish(
        mut self,
        t_ns: u64,
        status: Status,
        error: Option<String>,
    ) -> Result<RunRecord, Error> {
        self.append(t_ns, Event::Ended { status, error: error.clone() })?;
        self.journal.sync()?;
        self.record.status = status;
        self.record.error = error;
        self.record.wall_ns = t_ns;
        let groups = self.groups.iter();
        self.record.groups =
            groups.map(|((phase, label), samples)| samples.summarise(phase, label)).collect();
        self.write_record()?;
        Ok(self.record)
    }

    /// Writes a file of the script into the run's folder and returns its path within it.
    pub fn write_artifact(&self, name: &str, content: &[u8]) -> Result<String, Error> {
        let folder = self.folder.join("artifacts");
        let path = folder.join(name);
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(&path, content))
            .map_err(|source| Error::Io { path, source })?;
        Ok(format!("artifacts/{name}"))
    }

    /// The journal's first event.
    pub fn started(&self) -> &Event {
        &self.started
    }

    /// Where the record is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Under another name first, so that a reader never sees half of it.
    fn write_record(&self) -> Result<(), Error> {
        let path = self.folder.join("run.json");
        let unfinished = self.folder.join("run.json.part");
        serde_json::to_vec_pretty(&self.record)
            .map_err(std::io::Error::from)
            .and_then(|text| fs::write(&unfinished, text))
            .and_then(|()| fs::rename(&unfinished, &path))
            .map_err(|source| Error::Io { path, source })
    }
}

fn given_folder(folder: &Path) -> Result<PathBuf, Error> {
    let io = |source| Error::Io { path: folder.to_path_buf(), source };
    fs::create_dir_all(folder).map_err(io)?;
    if fs::read_dir(folder).map_err(io)?.next().is_some() {
        return Err(Error::NotEmpty(folder.to_path_buf()));
    }
    Ok(folder.to_path_buf())
}

/// A folder that no other run has, even one that began in the same second.
fn fresh_folder(name: &str) -> Result<PathBuf, Error> {
    let root = PathBuf::from("runs");
    fs::create_dir_all(&root).map_err(|source| Error::Io { path: root.clone(), source })?;
    for attempt in 1.. {
        let path =
            root.join(if attempt == 1 { name.to_owned() } else { format!("{name}-{attempt}") });
        match fs::create_dir(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(Error::Io { path, source }),
            Ok(()) => return Ok(path),
        }
    }
    unreachable!("a free name is found, or the file system says why not")
}
