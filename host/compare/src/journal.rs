//! Reads requests and scores from a journal.
//!
//! ```text
//! generation                        a static request, whole
//! batch-request                     a request of a continuous batch, with the names of its sequences
//!   batch-progress, batch-sequence  a sequence by batch and name: its tokens
//! score-progress, score             results of a call, by the time at which it began
//! ```

use crate::{
    error::Error,
    generated::{GeneratedRequest, GeneratedSequence, Key},
    scored::ScoreCall,
};
use llem_record::{
    BatchProgressRecord, BatchRequestRecord, BatchSequenceRecord, Event, GenerationRecord,
    JournalLine, ScoreResult,
};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};

/// What a journal says about requests and scores.
#[derive(Default)]
pub(crate) struct Journal {
    /// The generated requests, in the order of their numbers.
    pub requests: Vec<GeneratedRequest>,
    /// The scoring calls, in the order in which they began.
    pub scores: Vec<ScoreCall>,
    /// Number of lines that are incomplete or of another version.
    pub skipped: u64,
    /// The place of a batch's sequence: its request in `requests`, and its index there.
    places: BTreeMap<(u64, u64), (usize, usize)>,
}

impl Journal {
    /// Reads a journal. Returns `None` if there is no such file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, Error> {
        let io = |source| Error::Io { path: path.to_path_buf(), source };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(io(source)),
        };
        let mut journal = Self::default();
        for line in BufReader::new(file).split(b'\n') {
            let line = line.map_err(io)?;
            if line.trim_ascii().is_empty() {
                continue;
            }
            match serde_json::from_slice::<JournalLine>(&line) {
                Ok(line) => journal.add(line.event),
                Err(_) => journal.skipped += 1,
            }
        }
        journal.requests.sort_by_key(|request| request.number);
        journal.scores.sort_by_key(|call| call.started_ns);
        Ok(Some(journal))
    }

    fn add(&mut self, event: Event) {
        match event {
            Event::Generation(generation) => self.add_generation(generation),
            Event::BatchRequest(request) => self.add_batch_request(request),
            Event::BatchProgress(progress) => self.add_progress(progress),
            Event::BatchSequence(ended) => self.add_batch_sequence(ended),
            Event::Score(call) => {
                let window = call.window;
                let key = Key { phase: window.phase, label: window.label, model: call.model };
                let known = self.add_score(key, window.started_ns, call.results);
                known.digest = call.digest;
            }
            Event::ScoreProgress(progress) => {
                let key =
                    Key { phase: progress.phase, label: progress.label, model: progress.model };
                self.add_score(key, progress.started_ns, progress.results);
            }
            _ => {}
        }
    }

    fn add_generation(&mut self, generation: GenerationRecord) {
        let window = generation.window;
        let place = self.requests.len() as u64;
        self.requests.push(GeneratedRequest {
            key: Key { phase: window.phase, label: window.label, model: generation.model },
            number: generation.request.as_ref().map_or(place, |request| request.number),
            asked: generation.request,
            sequences: generation.sequences.into_iter().map(Into::into).collect(),
        });
    }

    fn add_batch_request(&mut self, added: BatchRequestRecord) {
        let request = self.requests.len();
        for (index, name) in added.sequences.iter().enumerate() {
            self.places.insert((added.batch, *name), (request, index));
        }
        self.requests.push(GeneratedRequest {
            key: Key { phase: added.phase, label: added.label, model: Some(added.model) },
            number: added.request.number,
            asked: Some(added.request),
            sequences: vec![GeneratedSequence::default(); added.sequences.len()],
        });
    }

    fn add_progress(&mut self, progress: BatchProgressRecord) {
        for news in progress.sequences {
            let key =
                Key { phase: news.phase.clone(), label: news.label.clone(), model: progress.model };
            let sequence = self.sequence(progress.batch, news.name, key);
            // After a lost line, later progress has no place.
            if sequence.tokens.len() == news.first as usize {
                sequence.prompt_tokens = news.prompt_tokens;
                sequence.tokens.extend(news.tokens);
            }
        }
    }

    fn add_batch_sequence(&mut self, ended: BatchSequenceRecord) {
        let key = Key { phase: ended.phase, label: ended.label, model: ended.model };
        *self.sequence(ended.batch, ended.name, key) = ended.sequence.into();
    }

    /// Returns a sequence of a continuous batch. In older journals, which do not tell requests, each is a request of its own.
    fn sequence(&mut self, batch: u64, name: u64, key: Key) -> &mut GeneratedSequence {
        let next = self.requests.len();
        let (request, index) = *self.places.entry((batch, name)).or_insert((next, 0));
        if request == next {
            let sequences = vec![GeneratedSequence::default()];
            self.requests.push(GeneratedRequest {
                key,
                number: next as u64,
                asked: None,
                sequences,
            });
        }
        &mut self.requests[request].sequences[index]
    }

    fn add_score(
        &mut self,
        key: Key,
        started_ns: u64,
        results: Vec<ScoreResult>,
    ) -> &mut ScoreCall {
        let is_same = |call: &ScoreCall| call.started_ns == started_ns && call.key == key;
        let place = self.scores.iter().rposition(is_same).unwrap_or_else(|| {
            let results = BTreeMap::new();
            self.scores.push(ScoreCall { key, started_ns, digest: None, results });
            self.scores.len() - 1
        });
        self.scores[place].add(results);
        &mut self.scores[place]
    }
}
