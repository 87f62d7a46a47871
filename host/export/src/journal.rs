//! What the journal of a run has beyond its record: the windows of single requests, and the times of sequences.

use crate::error::Error;
use llem_record::{Event, JournalLine, SequenceRecord, WindowRecord};
use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};

/// The windows and sequences of a journal, in order of ending.
#[derive(Default)]
pub(crate) struct Journal {
    /// Whether there is a journal. Without one, only the script's own windows are known, from the record.
    pub is_there: bool,
    /// The windows of static requests and of scoring, and the script's own.
    pub windows: Vec<WindowRecord>,
    /// The generated sequences.
    pub sequences: Vec<SequenceTimes>,
}

/// When a sequence was submitted, and when its tokens were on the host.
pub(crate) struct SequenceTimes {
    /// The names of the open phases, joined by `/`.
    pub phase: String,
    /// Whether the sequence was in a continuous batch, where it has no window of its own.
    pub is_batched: bool,
    /// When the sequence was submitted, or arrived, ns since the run began.
    pub submitted_ns: u64,
    /// When each token was on the host, ns since the run began.
    pub token_ns: Vec<u64>,
}

impl Journal {
    /// Reads the journal in the run's folder. Lines that are incomplete or of a later version are passed over.
    pub(crate) fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join("events.jsonl");
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(Error::Journal { path, source }),
        };
        let mut journal = Self { is_there: true, ..Self::default() };
        for line in BufReader::new(file).split(b'\n') {
            let line = line.map_err(|source| Error::Journal { path: path.clone(), source })?;
            if let Ok(JournalLine { event, .. }) = serde_json::from_slice(&line) {
                journal.add(event);
            }
        }
        Ok(journal)
    }

    fn add(&mut self, event: Event) {
        match event {
            Event::Window(window) => self.windows.push(window),
            Event::Score(score) => self.windows.push(score.window),
            Event::Generation(generation) => {
                for sequence in generation.sequences {
                    self.add_sequence(&generation.window.phase, false, sequence);
                }
                self.windows.push(generation.window);
            }
            Event::BatchSequence(ended) => self.add_sequence(&ended.phase, true, ended.sequence),
            _ => {}
        }
    }

    fn add_sequence(&mut self, phase: &str, is_batched: bool, sequence: SequenceRecord) {
        let SequenceRecord { submitted_ns, token_ns, .. } = sequence;
        let phase = phase.to_owned();
        self.sequences.push(SequenceTimes { phase, is_batched, submitted_ns, token_ns });
    }
}

/// Returns true if a phase is part of the load, the baseline or the warm-up, which are never inside measured totals.
pub(crate) fn is_preparation(phase: &str) -> bool {
    phase.split('/').any(|part| ["load", "baseline", "warmup"].contains(&part))
}
