//! The sequences of an open batch in the journal, as they run: whatever ends the run, kill -9 included, their tokens
//! are there up to about a quarter of a second before. Nothing is written on the engine's thread or within a step.
//!
//! A sequence that has ended is written once its energy is known, which is when every counter has ticked since.

use super::energy::BatchEnergy;
use crate::{
    engine_thread::EngineThread,
    measure::sequence,
    run::{Run, Unsettled},
};
use llem_engine::{
    Info,
    batch::{BatchOptions, Ended, Step, StepToken, Submitted, WhenFull},
};
use llem_quantity::ReadingRecord;
use llem_record::{
    Event,
    event::{
        BatchProgressRecord, BatchRecord, BatchRequestRecord, BatchSequenceRecord, RequestRecord,
        SequenceProgress, SequenceRecord,
    },
};
use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a token may be on the host without being in the journal.
const LATENCY: Duration = Duration::from_millis(250);

/// How often who waits for a sequence's energy looks.
const LOOK: Duration = Duration::from_millis(10);

/// How long it is waited for: several ticks of the slowest counter.
const PATIENCE: Duration = Duration::from_millis(500);

/// Sequences that may wait for their energy. Beyond it, what has been used since the last tick is a guess.
const WAITING: usize = 1024;

/// Writes the sequences of one batch.
pub struct BatchJournal {
    run: Arc<Run>,
    /// The batch's number in its run.
    batch: u64,
    /// Its model's.
    model: u64,
    pub energy: BatchEnergy,
    open: Mutex<Open>,
}

/// What is not wholly written.
#[derive(Default)]
struct Open {
    sequences: BTreeMap<u64, Sequence>,
    /// Sequences that have ended, and by when, in order.
    ended: VecDeque<(Instant, BatchSequenceRecord)>,
    /// The energy of those that are written.
    told: BTreeMap<u64, ReadingRecord>,
    /// Whether a task waits to write what is new.
    is_scheduled: bool,
    /// Whether no more will come.
    is_closed: bool,
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
    pub fn new(run: &Arc<Run>, thread: &EngineThread, options: &BatchOptions) -> Arc<Self> {
        let batch = run.engines.opened_batch();
        let journal = Arc::new(Self {
            run: Arc::clone(run),
            batch,
            model: thread.number,
            energy: BatchEnergy::follow(run, thread),
            open: Mutex::default(),
        });
        run.work.remember(Arc::clone(&journal) as Arc<dyn Unsettled>);
        // Where the record cannot be written, the next write of the run says so.
        let _ = run.output.keep(Event::BatchOpened(BatchRecord {
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
        let phase = self.run.phases.path();
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
        self.run.output.keep(Event::BatchRequest(BatchRequestRecord {
            label: label.to_owned(),
            phase,
            model: self.model,
            batch: self.batch,
            sequences: submitted.iter().map(|one| one.name).collect(),
            arrival_ns: arrival,
            request,
        }))
    }

    /// Notes a step for its energy, and returns the operations that it took, FLOP.
    pub fn counted(&self, info: &Info, step: &Step) -> f64 {
        self.energy.stepped(&self.run, info, step)
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
        self.schedule(&mut open);
    }

    /// Notes a sequence that has ended, and returns it as the record will keep it, but for its energy.
    pub fn ended(self: &Arc<Self>, ended: &Ended) -> SequenceRecord {
        let mut open = self.open();
        let known = open.sequences.get(&ended.sequence);
        let (label, request, arrival) = known.map_or_else(
            || (String::new(), None, self.run.clock.at(ended.completion.submitted)),
            |known| (known.label.clone(), Some(known.request), known.arrival),
        );
        let sequence =
            sequence::sequence(&self.run, &ended.completion, arrival, Some(&ended.admission), None);
        let record = BatchSequenceRecord {
            label,
            phase: self.run.phases.path(),
            model: Some(self.model),
            batch: self.batch,
            request,
            name: ended.sequence,
            sequence: sequence.clone(),
        };
        open.ended.push_back((Instant::now(), record));
        self.schedule(&mut open);
        let is_full = open.ended.len() >= WAITING;
        drop(open);
        if is_full {
            // Where the record cannot be written, the next write of the run says so.
            let _ = self.flush(Instant::now());
        }
        sequence
    }

    /// Notes that the batch is gone.
    pub fn closed(self: &Arc<Self>) {
        self.run.engines.closed_batch(self.batch);
        let mut open = self.open();
        open.is_closed = true;
        self.schedule(&mut open);
    }

    /// The energy of a sequence that has ended, as soon as it is known; none where no such sequence has.
    pub async fn energy_of(&self, sequence: u64) -> wasmtime::Result<Option<ReadingRecord>> {
        let until = Instant::now() + PATIENCE;
        loop {
            let is_late = Instant::now() > until;
            let by = if is_late { Instant::now() } else { self.run.meter().known_until() };
            self.flush(by)?;
            {
                let open = self.open();
                let waits = open.ended.iter().any(|(_, record)| record.name == sequence);
                if !waits || is_late {
                    return Ok(open.told.get(&sequence).cloned());
                }
            }
            self.run.rest(LOOK).await?;
        }
    }

    /// Has what is new written soon. Where nobody is there to do so any more, the run's end does.
    fn schedule(self: &Arc<Self>, open: &mut Open) {
        if open.is_scheduled {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            open.is_scheduled = true;
            let journal = Arc::clone(self);
            runtime.spawn(async move {
                tokio::time::sleep(LATENCY).await;
                journal.write_news();
            });
        }
    }

    /// Writes what is new. Where the record cannot be written, the next write of the run says so.
    fn write_news(self: &Arc<Self>) {
        let _ = self.flush(self.run.meter().known_until());
        // Held while the line is written: once a sequence's end is in the journal, none of its progress may follow.
        let mut open = self.open();
        open.is_scheduled = false;
        let news = open.sequences.iter_mut().filter(|(_, sequence)| !sequence.tokens.is_empty());
        let sequences: Vec<_> = news.map(|(&name, sequence)| sequence.progress(name)).collect();
        if !sequences.is_empty() {
            let model = Some(self.model);
            let event = BatchProgressRecord { model, batch: self.batch, sequences };
            let _ = self.run.output.keep(Event::BatchProgress(event));
        }
        if !open.ended.is_empty() {
            self.schedule(&mut open);
        } else if open.is_closed {
            self.run.work.forget(&(Arc::clone(self) as Arc<dyn Unsettled>));
        }
    }
}

impl Unsettled for BatchJournal {
    fn settle(&self, by: Instant) {
        self.energy.settle(&self.run, by);
    }

    /// Writes the sequences that had ended by a moment, with the energy that is known by then.
    fn flush(&self, by: Instant) -> wasmtime::Result<()> {
        self.energy.settle(&self.run, by);
        let mut open = self.open();
        let mut written = Ok(());
        while let Some((over, _)) = open.ended.front()
            && *over <= by
            && self.energy.is_settled(*over)
            && let Some((_, mut record)) = open.ended.pop_front()
        {
            let energy = self.energy.take(record.name);
            open.sequences.remove(&record.name);
            open.told.insert(record.name, energy.share.clone());
            record.sequence.energy = Some(energy);
            // All are written, even where one of them cannot be.
            written = written.and(self.run.output.keep(Event::BatchSequence(record)));
        }
        written
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
