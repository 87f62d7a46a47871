//! The sequences of an open batch in the journal, as they run: whatever ends the run, kill -9 included, their tokens
//! are there up to about a quarter of a second before. Nothing is written on the engine's thread or within a step.

use crate::{batch_energy::BatchEnergy, engine_thread::EngineThread, measure, state::Run};
use llem_engine::{
    Info,
    batch::{Ended, Step, StepToken, Submitted},
};
use llem_record::{
    Event,
    event::{
        BatchProgressRecord, BatchRequestRecord, BatchSequenceRecord, RequestRecord,
        SequenceProgress, SequenceRecord,
    },
};
use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a token may be on the host without being in the journal.
const LATENCY: Duration = Duration::from_millis(250);

/// Writes the sequences of one batch.
pub struct BatchJournal {
    run: Arc<Run>,
    /// The batch's number in its run.
    batch: u64,
    /// Its model's.
    model: u64,
    energy: Arc<BatchEnergy>,
    open: Mutex<Open>,
}

/// What has not ended.
#[derive(Default)]
struct Open {
    sequences: BTreeMap<u64, Sequence>,
    /// Whether a task waits to write what is new.
    is_scheduled: bool,
}

struct Sequence {
    label: String,
    phase: String,
    request: u64,
    arrival: u64,
    prompt_tokens: u32,
    /// How many tokens are in the journal.
    written: u32,
    tokens: Vec<u32>,
    times: Vec<u64>,
}

impl BatchJournal {
    /// The journal of a batch that was just opened.
    pub fn new(run: &Arc<Run>, thread: &EngineThread) -> Arc<Self> {
        let batch = {
            let mut progress = run.progress();
            let batch = progress.batches;
            progress.batches += 1;
            progress.holdings.opened(batch);
            batch
        };
        Arc::new(Self {
            run: Arc::clone(run),
            batch,
            model: thread.number,
            energy: BatchEnergy::follow(run, thread.info()),
            open: Mutex::default(),
        })
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Open> {
        // A panic elsewhere does not make what was measured less worth keeping.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a request whose sequences were submitted, and notes those.
    pub fn submitted(
        &self,
        submitted: &[Submitted],
        label: &str,
        arrival: u64,
        request: RequestRecord,
    ) -> wasmtime::Result<()> {
        let phase = self.run.phase_path();
        let mut open = self.open();
        for &Submitted { name, prompt_tokens } in submitted {
            let sequence = Sequence {
                prompt_tokens: prompt_tokens as u32,
                label: label.to_owned(),
                phase: phase.clone(),
                request: request.number,
                arrival,
                written: 0,
                tokens: Vec::new(),
                times: Vec::new(),
            };
            open.sequences.insert(name, sequence);
        }
        self.run.output.write(Event::BatchRequest(BatchRequestRecord {
            label: label.to_owned(),
            phase,
            model: self.model,
            batch: self.batch,
            sequences: submitted.iter().map(|one| one.name).collect(),
            arrival_ns: arrival,
            request,
        }))
    }

    /// Has the steps so far counted, for sequences that end now.
    pub fn settle(&self) {
        self.energy.settle(Instant::now());
    }

    /// Notes that the batch is gone.
    pub fn closed(&self) {
        self.run.progress().holdings.closed(self.batch);
    }

    /// Notes a step for its energy, and returns the operations that it took, FLOP.
    pub fn counted(&self, info: &Info, step: &Step) -> f64 {
        self.energy.stepped(info, step)
    }

    /// Notes the tokens of a step; they are written soon.
    pub fn stepped(self: &Arc<Self>, tokens: &[StepToken]) {
        if tokens.is_empty() {
            return;
        }
        let mut open = self.open();
        for token in tokens {
            if let Some(sequence) = open.sequences.get_mut(&token.sequence) {
                sequence.tokens.push(token.token);
                sequence.times.push(self.run.clock.at(token.at));
            }
        }
        if !mem::replace(&mut open.is_scheduled, true) {
            let journal = Arc::clone(self);
            tokio::spawn(async move {
                tokio::time::sleep(LATENCY).await;
                journal.write_progress();
            });
        }
    }

    /// Writes what is new of the sequences that have not ended. Where the record cannot be written, the next write of
    /// the run says so.
    fn write_progress(&self) {
        // Held while the line is written: once a sequence's end is in the journal, none of its progress may follow.
        let mut open = self.open();
        open.is_scheduled = false;
        let news = open.sequences.iter_mut().filter(|(_, sequence)| !sequence.tokens.is_empty());
        let sequences: Vec<_> = news.map(|(&name, sequence)| sequence.progress(name)).collect();
        if !sequences.is_empty() {
            let model = Some(self.model);
            let event = BatchProgressRecord { model, batch: self.batch, sequences };
            let _ = self.run.output.write(Event::BatchProgress(event));
        }
    }

    /// Writes a sequence that has ended, and returns it as the record keeps it.
    pub fn ended(&self, ended: &Ended) -> wasmtime::Result<SequenceRecord> {
        let mut open = self.open();
        let known = open.sequences.remove(&ended.sequence);
        let (label, request, arrival) = known.map_or_else(
            || (String::new(), None, self.run.clock.at(ended.completion.submitted)),
            |known| (known.label, Some(known.request), known.arrival),
        );
        let energy = self.energy.take(ended.sequence);
        let sequence = measure::sequence(&self.run, &ended.completion, arrival, energy);
        let event = BatchSequenceRecord {
            label,
            phase: self.run.phase_path(),
            model: Some(self.model),
            batch: self.batch,
            request,
            name: ended.sequence,
            sequence: sequence.clone(),
        };
        self.run.output.write(Event::BatchSequence(event))?;
        Ok(sequence)
    }
}

impl Sequence {
    fn progress(&mut self, name: u64) -> SequenceProgress {
        let (tokens, token_ns) = (mem::take(&mut self.tokens), mem::take(&mut self.times));
        let first = self.written;
        self.written += tokens.len() as u32;
        SequenceProgress {
            label: self.label.clone(),
            phase: self.phase.clone(),
            name,
            prompt_tokens: self.prompt_tokens,
            submitted_ns: self.arrival,
            first,
            tokens,
            token_ns,
        }
    }
}
