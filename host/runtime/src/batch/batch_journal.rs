//! Writes the sequences of an open batch into the journal while they run. If the run ends, even by kill -9, all tokens
//! until about a quarter of a second before are in the journal. Nothing is written on the engine's thread or within a
//! step.
//!
//! A sequence that has ended is written once its energy is known, which is after every counter has ticked.

use super::batch_energy::BatchEnergy;
use crate::{
    engine_thread::EngineThread,
    run::{PendingWork, RunContext},
    window::sequence_record,
};
use llem_engine::{
    BatchOptions, BatchStep, EndedSequence, ModelInfo, StepToken, SubmittedSequence, WhenFull,
};
use llem_quantity::ReadingRecord;
use llem_record::{
    BatchProgressRecord, BatchRecord, BatchRequestRecord, BatchSequenceRecord, Event,
    RequestRecord, SequenceProgress, SequenceRecord,
};
use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a token may be on the host before it is in the journal.
const LATENCY: Duration = Duration::from_millis(250);

/// The time between two checks whether a sequence's energy is known.
const LOOK: Duration = Duration::from_millis(10);

/// How long a call waits for a sequence's energy: several ticks of the slowest counter.
const PATIENCE: Duration = Duration::from_millis(500);

/// The most sequences that may wait for their energy. Beyond it, the energy since the last tick is estimated.
const WAITING: usize = 1024;

/// The journal of one batch.
pub(super) struct BatchJournal {
    run: Arc<RunContext>,
    /// The number of the batch in its run.
    batch: u64,
    /// The number of its model in its run.
    model: u64,
    pub energy: BatchEnergy,
    open: Mutex<JournalState>,
}

/// What is not written completely.
#[derive(Default)]
struct JournalState {
    sequences: BTreeMap<u64, SequenceState>,
    /// Sequences that have ended, with the moments, in order.
    ended: VecDeque<(Instant, BatchSequenceRecord)>,
    /// The energy of sequences that are written.
    energies: BTreeMap<u64, ReadingRecord>,
    /// Whether a task will write the new tokens.
    is_scheduled: bool,
    /// When the new tokens are to be written. Only on a virtual clock, where no task waits for that moment.
    due: Option<Instant>,
    /// Whether the batch is closed.
    is_closed: bool,
}

struct SequenceState {
    label: String,
    phase: String,
    request: u64,
    arrival: u64,
    prompt_tokens: u32,
    /// The number of its tokens that are in the journal.
    written: u32,
    tokens: Vec<u32>,
    times: Vec<u64>,
}

impl BatchJournal {
    /// Starts the journal of a batch that has just been opened.
    pub(super) fn new(
        run: &Arc<RunContext>,
        thread: &EngineThread,
        options: &BatchOptions,
    ) -> Arc<Self> {
        let batch = run.engines.open_batch();
        let journal = Arc::new(Self {
            run: Arc::clone(run),
            batch,
            model: thread.number,
            energy: BatchEnergy::follow(run, thread),
            open: Mutex::default(),
        });
        run.work.add_pending(Arc::clone(&journal) as Arc<dyn PendingWork>);
        // If the record cannot be written, the next write of the run reports it.
        let _ = run.output.write_host_event(Event::BatchOpened(BatchRecord {
            batch,
            model: thread.number,
            phase: run.phases.path(),
            max_sequences: options.max_sequences as u64,
            max_tokens: options.max_tokens.map(|most| most as u64),
            prefill_chunk: options.prefill_chunk as u64,
            when_full: match options.when_full {
                WhenFull::Wait => "wait".to_owned(),
                WhenFull::Refuse => "refuse".to_owned(),
            },
        }));
        journal
    }

    fn open(&self) -> std::sync::MutexGuard<'_, JournalState> {
        // A panic elsewhere does not make the measurements less useful.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a request whose sequences were submitted.
    pub(super) fn add_request(
        &self,
        submitted: &[SubmittedSequence],
        label: &str,
        arrival: u64,
        request: RequestRecord,
    ) -> wasmtime::Result<()> {
        let phase = self.run.phases.path();
        let mut open = self.open();
        for &SubmittedSequence { name, prompt_tokens } in submitted {
            let sequence = SequenceState {
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
        self.run.output.write_host_event(Event::BatchRequest(BatchRequestRecord {
            label: label.to_owned(),
            phase,
            model: self.model,
            batch: self.batch,
            sequences: submitted.iter().map(|one| one.name).collect(),
            arrival_ns: arrival,
            request,
        }))
    }

    /// Adds a step to the energy, and returns the operations that it took, in FLOP.
    pub(super) fn count_step(&self, info: &ModelInfo, step: &BatchStep) -> f64 {
        self.energy.add_step(&self.run, info, step)
    }

    /// Adds the tokens of a step. They are written soon.
    pub(super) fn add_tokens(self: &Arc<Self>, tokens: &[StepToken]) {
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
        self.schedule(&mut open);
    }

    /// Adds a sequence that has ended. Returns its entry in the record, without its energy.
    pub(super) fn end_sequence(self: &Arc<Self>, ended: &EndedSequence) -> SequenceRecord {
        let mut open = self.open();
        let known = open.sequences.get(&ended.sequence);
        let (label, request, arrival) = known.map_or_else(
            || (String::new(), None, self.run.clock.at(ended.completion.submitted)),
            |known| (known.label.clone(), Some(known.request), known.arrival),
        );
        let sequence = sequence_record::sequence(
            &self.run,
            &ended.completion,
            arrival,
            Some(&ended.admission),
            None,
        );
        let record = BatchSequenceRecord {
            label,
            phase: self.run.phases.path(),
            model: Some(self.model),
            batch: self.batch,
            request,
            name: ended.sequence,
            sequence: sequence.clone(),
        };
        open.ended.push_back((llem_clock::now(), record));
        self.schedule(&mut open);
        let is_full = open.ended.len() >= WAITING;
        drop(open);
        if is_full {
            // If the record cannot be written, the next write of the run reports it.
            let _ = self.flush(llem_clock::now());
        }
        sequence
    }

    pub(super) fn close(self: &Arc<Self>) {
        self.run.engines.close_batch(self.batch);
        let mut open = self.open();
        open.is_closed = true;
        self.schedule(&mut open);
        drop(open);
        if llem_clock::virtual_clock().is_some() {
            self.write_new_tokens();
        }
    }

    /// Waits for the energy of a sequence that has ended. Returns `None` if no such sequence has ended.
    pub(super) async fn energy_of(&self, sequence: u64) -> wasmtime::Result<Option<ReadingRecord>> {
        let until = llem_clock::now() + PATIENCE;
        loop {
            let is_late = llem_clock::now() > until;
            let by = if is_late { llem_clock::now() } else { self.run.meter().known_until() };
            self.flush(by)?;
            {
                let open = self.open();
                let waits = open.ended.iter().any(|(_, record)| record.name == sequence);
                if !waits || is_late {
                    return Ok(open.energies.get(&sequence).cloned());
                }
            }
            self.run.sleep(LOOK).await?;
        }
    }

    /// Schedules a write of the new tokens. If no runtime is left to do it, the end of the run does.
    fn schedule(self: &Arc<Self>, open: &mut JournalState) {
        if llem_clock::virtual_clock().is_some() {
            open.due.get_or_insert_with(|| llem_clock::now() + LATENCY);
            return;
        }
        if open.is_scheduled {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            open.is_scheduled = true;
            let journal = Arc::clone(self);
            runtime.spawn(async move {
                tokio::time::sleep(LATENCY).await;
                journal.write_new_tokens();
            });
        }
    }

    /// Writes the new tokens if the virtual clock has come to their moment.
    pub(super) fn write_if_due(self: &Arc<Self>) {
        if self.open().due.is_some_and(|due| due <= llem_clock::now()) {
            self.write_new_tokens();
        }
    }

    /// Writes the new tokens. If the record cannot be written, the next write of the run reports it.
    fn write_new_tokens(self: &Arc<Self>) {
        let _ = self.flush(self.run.meter().known_until());
        // The lock is held while the line is written, because no progress of a sequence may follow its end in the
        // journal.
        let mut open = self.open();
        open.is_scheduled = false;
        open.due = None;
        let news = open.sequences.iter_mut().filter(|(_, sequence)| !sequence.tokens.is_empty());
        let sequences: Vec<_> = news.map(|(&name, sequence)| sequence.progress(name)).collect();
        if !sequences.is_empty() {
            let model = Some(self.model);
            let event = BatchProgressRecord { model, batch: self.batch, sequences };
            let _ = self.run.output.write_host_event(Event::BatchProgress(event));
        }
        if !open.ended.is_empty() {
            self.schedule(&mut open);
        } else if open.is_closed {
            self.run.work.remove_pending(&(Arc::clone(self) as Arc<dyn PendingWork>));
        }
    }
}

impl PendingWork for BatchJournal {
    fn settle(&self, by: Instant) {
        self.energy.settle(&self.run, by);
    }

    /// Writes the sequences that had ended at the moment `by`, with their energy.
    fn flush(&self, by: Instant) -> wasmtime::Result<()> {
        self.energy.settle(&self.run, by);
        let mut open = self.open();
        let mut written = Ok(());
        while let Some((over, _)) = open.ended.front()
            && *over <= by
            && self.energy.is_settled(*over)
            && let Some((_, mut record)) = open.ended.pop_front()
        {
            let energy = self.energy.remove_sequence(record.name);
            open.sequences.remove(&record.name);
            open.energies.insert(record.name, energy.share.clone());
            record.sequence.energy = Some(energy);
            // All are written, even if one of them fails.
            written = written.and(self.run.output.write_host_event(Event::BatchSequence(record)));
        }
        written
    }
}

impl SequenceState {
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
