//! Measured scoring: on the engine's thread, bracketed there by the meter, so that no guest instruction
//! falls between a reading and what it measures. And what is kept of it, in lines while it goes on.

use super::{
    communication::Communication,
    window::{Before, closed},
};
use crate::{
    energy_shares::{self, Phase, Step},
    engine_thread::EngineThread,
    error::{Answer, Refusal},
    holdings::During,
    run::Run,
    sha256,
};
use llem_engine::{
    Control, Info, Model,
    flops::Counted,
    score::{Ran, Score, ScoreRequest, Scoring},
};
use llem_meter::Span;
use llem_record::{
    Event,
    event::{
        Activity, EstimatedFlops, ScoreProgressRecord, ScoreRecord, ScoreResult, UsedAdapter,
        WindowRecord,
    },
};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How often a call that goes on writes what it has completed: a `kill -9` loses no more than what was
/// completed in this time, and a line costs less than a thousandth of it.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// What is to be scored.
pub enum Task {
    /// Continuations of contexts.
    Continuations(Vec<ScoreRequest>),
    /// Whole texts, the first token of each after a prefix.
    Texts(Vec<Vec<u32>>, u32),
}

impl Task {
    fn is_rolling(&self) -> bool {
        matches!(self, Self::Texts(..))
    }

    /// Names the calls in the record, which a script cannot.
    fn label(&self) -> &'static str {
        if self.is_rolling() { "score-rolling" } else { "score" }
    }

    /// SHA-256 of what is asked ([`ScoreRecord::digest`]).
    fn digest(&self) -> String {
        let mut hash = Sha256::new();
        let mut add = |tokens: &[u32]| {
            hash.update((tokens.len() as u32).to_le_bytes());
            hash.update(sha256::bytes_of(tokens));
        };
        match self {
            Self::Continuations(requests) => requests.iter().for_each(|request| {
                add(&request.context);
                add(&request.continuation);
            }),
            Self::Texts(texts, prefix) => {
                add(&[*prefix]);
                texts.iter().for_each(|text| {
                    add(&[]);
                    add(text);
                });
            }
        }
        sha256::finished(hash)
    }

    fn requests(&self) -> usize {
        match self {
            Self::Continuations(requests) => requests.len(),
            Self::Texts(texts, _) => texts.len(),
        }
    }

    /// Tokens to score.
    fn tokens(&self) -> usize {
        match self {
            Self::Continuations(all) => all.iter().map(|request| request.continuation.len()).sum(),
            Self::Texts(texts, _) => texts.iter().map(Vec::len).sum(),
        }
    }
}

/// A scoring and its span.
pub struct Measured {
    task: Task,
    scoring: Scoring,
    span: Span,
    /// What the ranks had spent in communication before and after.
    communication: [Communication; 2],
    /// What no line of progress holds.
    results: Vec<ScoreResult>,
}

/// Scores within a window. Runs on the engine's thread. The outer error is the record's, which ends the run.
pub fn measure(
    model: &mut Model,
    run: &Run,
    model_number: u64,
    task: Task,
) -> wasmtime::Result<llem_engine::Result<Measured>> {
    let before =
        match Communication::of(model).and_then(|before| model.synchronize().map(|()| before)) {
            Ok(before) => before,
            Err(error) => return Ok(Err(error)),
        };
    let (observer, phase) = (run.output.observer(), run.phases.path());
    observer.request(task.label(), task.tokens() as u64);
    let window = run.meter().follow();
    let progress = Progress {
        run,
        task: &task,
        model: model_number,
        phase,
        started_ns: run.clock.at(window.started),
        lines: Mutex::new(Lines {
            pending: Vec::new(),
            completed: 0,
            written: window.started,
            failure: None,
        }),
    };
    let control = Control {
        cancelled: &|| run.stop.is_requested() || progress.lines().failure.is_some(),
        progress: &|scored| {
            progress.write_now_and_then(scored as u64);
            observer.tokens(scored as u64);
        },
    };
    let completed = |request: usize, score: &Score| progress.keep(request, score);
    let scoring = match &task {
        Task::Continuations(requests) => model.score(requests, &control, &completed),
        Task::Texts(texts, prefix) => model.score_rolling(texts, *prefix, &control, &completed),
    };
    if model.info().ranks.len() > 1 {
        // The rank that leads has its last scores; what the others still do belongs to them. Of ranks of
        // which one has failed, nothing is waited for.
        let _ = model.synchronize();
    }
    let span = run.meter().close(window);
    let lines = progress.lines.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = lines.failure {
        return Err(error);
    }
    Ok(scoring.map(|scoring| {
        // Ranks of which one has failed tell nothing any more.
        let after = Communication::of(model).unwrap_or_default();
        Measured { task, scoring, span, communication: [before, after], results: lines.pending }
    }))
}

/// Writes what was measured into the record, however far it came, and returns the scores, if all are there, with their
/// window.
pub fn record(
    run: &Run,
    thread: &EngineThread,
    measured: Measured,
) -> Answer<(Vec<Score>, WindowRecord)> {
    let Measured { task, scoring, span, communication: [sent, received], results } = measured;
    let info = thread.info();
    let before = Before::now(run);
    run.work.done().activity.add(&activity(info, &scoring));
    let held = run.held_by(thread);
    count_energy(run, &span, &held);
    let window = closed(run, task.label(), &span, &before, held, received.since(&sent))?;
    let (requests, completed) = (scoring.scores.len(), scoring.completed());
    let cut_short = match &scoring.failure {
        Some(error) => Some(error.to_string()),
        None => (completed < requests).then(|| "interrupted".to_owned()),
    };
    run.output.keep(Event::Score(ScoreRecord {
        window: window.clone(),
        model: Some(thread.number),
        digest: Some(task.digest()),
        rolling: task.is_rolling(),
        requests: requests as u64,
        completed: completed as u64,
        context_tokens: scoring.context_tokens as u64,
        continuation_tokens: scoring.continuation_tokens as u64,
        scored_tokens: scoring.scored_tokens as u64,
        passes: scoring.passes as u64,
        adapter: scoring.adapter.map(|adapted| UsedAdapter {
            name: adapted.adapter.name.clone(),
            mode: adapted.mode.to_string(),
        }),
        cut_short,
        results,
    }))?;
    // The call is recorded as far as it came; then the run ends.
    run.check_stop()?;
    if let Some(error) = scoring.failure {
        return Ok(Err(error.into()));
    }
    let all: Option<Vec<Score>> = scoring.scores.into_iter().collect();
    let scores = all.ok_or_else(|| Refusal::Failed("scoring was interrupted".to_owned()));
    Ok(scores.map(|scores| (scores, window)))
}

/// What scoring did: all of it is prefill, and logits are needed for the continuations only.
fn activity(info: &Info, scoring: &Scoring) -> Activity {
    let counted = Counted::new(&info.shape, scoring.adapter.as_ref());
    let begun = || scoring.ran.iter().filter(|ran| ran.tokens > 0);
    let flops = |ran: &Ran| counted.pass(ran.tokens, 0, ran.logits).total();
    Activity {
        requests: begun().count() as u64,
        prompt_tokens: begun().map(|ran| ran.tokens as u64).sum(),
        prefill_ns: (scoring.finished - scoring.started).as_nanos() as u64,
        flops_estimated: EstimatedFlops::new(begun().map(flops).sum(), 0.0, 0.0),
        ..Activity::default()
    }
}

/// Counts a call's energy, all of which is prefill.
fn count_energy(run: &Run, span: &Span, held: &During) {
    let (from, to) = (span.started, span.started + span.wall);
    let steps = [Step { phase: Phase::Prefill, from, to, sequences: Vec::new() }];
    let (covers, energy) = energy_shares::followed(span, held, &steps);
    let phases = &mut run.work.done().energy;
    energy_shares::share_out(&energy, &covers, &steps, phases, &mut BTreeMap::new());
}

/// How far a call is, in the journal.
struct Progress<'a> {
    run: &'a Run,
    task: &'a Task,
    model: u64,
    phase: String,
    started_ns: u64,
    lines: Mutex<Lines>,
}

/// What a call has written, and what not yet.
struct Lines {
    /// Completed since the last line.
    pending: Vec<ScoreResult>,
    completed: u64,
    /// When the last line was written, or the call began.
    written: Instant,
    /// Why a line could not be written: it ends the run.
    failure: Option<wasmtime::Error>,
}

impl Progress<'_> {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a result for the next line.
    fn keep(&self, request: usize, score: &Score) {
        let log_likelihood: f64 = score.log_likelihoods.iter().sum();
        let mut lines = self.lines();
        lines.completed += 1;
        lines.pending.push(ScoreResult {
            request: request as u64,
            tokens: score.log_likelihoods.len() as u64,
            log_likelihood: log_likelihood.is_finite().then_some(log_likelihood),
            is_greedy: score.is_greedy,
        });
    }

    /// Writes a line if the last was long ago and there is something to write.
    fn write_now_and_then(&self, scored_tokens: u64) {
        let mut lines = self.lines();
        if lines.pending.is_empty() || lines.written.elapsed() < LINE_EVERY {
            return;
        }
        let event = Event::ScoreProgress(ScoreProgressRecord {
            label: self.task.label().to_owned(),
            model: Some(self.model),
            phase: self.phase.clone(),
            started_ns: self.started_ns,
            requests: self.task.requests() as u64,
            completed: lines.completed,
            scored_tokens,
            results: mem::take(&mut lines.pending),
        });
        if let Err(error) = self.run.output.keep(event) {
            lines.failure = Some(error);
        }
        lines.written = Instant::now();
    }
}
