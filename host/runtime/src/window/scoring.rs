//! Scores on the engine's thread. The meter is read there too, so that no guest instruction falls between a reading and
//! the work that it measures. Results are written to the journal while the call goes on.

use super::{
    communication_times::CommunicationTimes,
    window_record::{WorkSnapshot, window_record},
};
use crate::{
    energy_shares::{self, SharedStep, StepPhase},
    engine_thread::EngineThread,
    error::{CallResult, Refusal},
    run::RunContext,
    sha256,
    usage_history::Usage,
};
use llem_engine::{
    Control, Model, ModelInfo, Score, ScoreRequest, ScoreWork, Scoring, flops::FlopCounter,
};
use llem_meter::ClosedWindow;
use llem_record::{
    Activity, EstimatedFlops, Event, ScoreProgressRecord, ScoreRecord, ScoreResult, UsedAdapter,
    WindowRecord,
};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How often a running call writes the results that it has completed. A `kill -9` loses no more than the results of
/// this time, and a line costs less than a thousandth of it.
const LINE_EVERY: Duration = Duration::from_secs(1);

pub(crate) enum ScoringTask {
    /// Continuations of contexts.
    Continuations(Vec<ScoreRequest>),
    /// Whole texts. The first token of each is scored after the prefix token.
    Texts(Vec<Vec<u32>>, u32),
}

impl ScoringTask {
    fn is_rolling(&self) -> bool {
        matches!(self, Self::Texts(..))
    }

    /// The label of the call in the record. A script cannot choose it.
    fn label(&self) -> &'static str {
        if self.is_rolling() { "score-rolling" } else { "score" }
    }

    /// The SHA-256 digest of the requests ([`ScoreRecord::digest`]).
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

    /// The number of tokens to score.
    fn tokens(&self) -> usize {
        match self {
            Self::Continuations(all) => all.iter().map(|request| request.continuation.len()).sum(),
            Self::Texts(texts, _) => texts.iter().map(Vec::len).sum(),
        }
    }
}

/// A scoring that was measured.
pub(crate) struct MeasuredScoring {
    task: ScoringTask,
    scoring: Scoring,
    span: ClosedWindow,
    /// The time that the ranks had spent in communication, before and after.
    communication: [CommunicationTimes; 2],
    /// The results that no line of progress contains.
    results: Vec<ScoreResult>,
}

/// Scores within a window. Runs on the engine's thread. The outer error means that the record could not be written, and
/// ends the run.
pub(crate) fn measure(
    model: &mut Model,
    run: &RunContext,
    model_number: u64,
    task: ScoringTask,
) -> wasmtime::Result<llem_engine::Result<MeasuredScoring>> {
    let before = match CommunicationTimes::read(model)
        .and_then(|before| model.synchronize().map(|()| before))
    {
        Ok(before) => before,
        Err(error) => return Ok(Err(error)),
    };
    let (observer, phase) = (run.output.observer(), run.phases.path());
    observer.request(task.label(), task.tokens() as u64);
    let window = run.meter().open_with_curves();
    let progress = ScoringProgress {
        run,
        task: &task,
        model: model_number,
        phase,
        started_ns: run.clock.at(window.started),
        lines: Mutex::new(PendingResults {
            pending: Vec::new(),
            completed: 0,
            written: window.started,
            failure: None,
        }),
    };
    let control = Control {
        cancelled: &|| run.stop.is_requested() || progress.lines().failure.is_some(),
        progress: &|scored| {
            progress.write_if_due(scored as u64);
            observer.tokens(scored as u64);
        },
    };
    let completed = |request: usize, score: &Score| progress.add_result(request, score);
    let scoring = match &task {
        ScoringTask::Continuations(requests) => model.score(requests, &control, &completed),
        ScoringTask::Texts(texts, prefix) => {
            model.score_rolling(texts, *prefix, &control, &completed)
        }
    };
    if model.info().ranks.len() > 1 {
        // The leading rank has its last scores, but the others may still work, and their work belongs to the call. If a
        // rank has failed, nothing is waited for.
        let _ = model.synchronize();
    }
    let span = run.meter().close(window);
    let lines = progress.lines.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = lines.failure {
        return Err(error);
    }
    Ok(scoring.map(|scoring| {
        // If a rank has failed, the times are not known any more.
        let after = CommunicationTimes::read(model).unwrap_or_default();
        MeasuredScoring {
            task,
            scoring,
            span,
            communication: [before, after],
            results: lines.pending,
        }
    }))
}

/// Records a scoring, however far it came. Returns the scores with their window if all requests were scored.
pub(crate) fn record(
    run: &RunContext,
    thread: &EngineThread,
    measured: MeasuredScoring,
) -> CallResult<(Vec<Score>, WindowRecord)> {
    let MeasuredScoring { task, scoring, span, communication: [sent, received], results } =
        measured;
    let info = thread.info();
    let before = WorkSnapshot::now(run);
    run.work.totals().activity.add(&activity(info, &scoring));
    let held = run.usage_of(thread);
    count_energy(run, &span, &held);
    let window = window_record(run, task.label(), &span, &before, held, received.since(&sent))?;
    let (requests, completed) = (scoring.scores.len(), scoring.completed());
    let cut_short = match &scoring.failure {
        Some(error) => Some(error.to_string()),
        None => (completed < requests).then(|| "interrupted".to_owned()),
    };
    run.output.write_host_event(Event::Score(ScoreRecord {
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
    // The call is recorded as far as it came. Then the run ends.
    run.check_stop()?;
    if let Some(error) = scoring.failure {
        return Ok(Err(error.into()));
    }
    let all: Option<Vec<Score>> = scoring.scores.into_iter().collect();
    let scores = all.ok_or_else(|| Refusal::Failed("scoring was interrupted".to_owned()));
    Ok(scores.map(|scores| (scores, window)))
}

/// The requests, tokens, times and operations of a scoring. All of it is prefill, and logits are computed for the
/// continuations only.
fn activity(info: &ModelInfo, scoring: &Scoring) -> Activity {
    let counted = FlopCounter::new(&info.shape, scoring.adapter.as_ref());
    let begun = || scoring.work.iter().filter(|work| work.tokens > 0);
    let flops = |work: &ScoreWork| counted.pass(work.tokens, 0, work.logits).total();
    Activity {
        requests: begun().count() as u64,
        prompt_tokens: begun().map(|work| work.tokens as u64).sum(),
        prefill_ns: (scoring.finished - scoring.started).as_nanos() as u64,
        flops_estimated: EstimatedFlops::new(begun().map(flops).sum(), 0.0, 0.0),
        ..Activity::default()
    }
}

/// Adds a call's energy to the run. All of it is prefill.
fn count_energy(run: &RunContext, span: &ClosedWindow, held: &Usage) {
    let (from, to) = (span.started, span.started + span.wall);
    let steps = [SharedStep { phase: StepPhase::Prefill, from, to, sequences: Vec::new() }];
    let (covers, energy) = energy_shares::span_energy(span, held, &steps);
    let phases = &mut run.work.totals().energy;
    energy_shares::share_out(&energy, &covers, &steps, phases, &mut BTreeMap::new());
}

/// Writes how far a call is into the journal.
struct ScoringProgress<'a> {
    run: &'a RunContext,
    task: &'a ScoringTask,
    model: u64,
    phase: String,
    started_ns: u64,
    lines: Mutex<PendingResults>,
}

/// The results of a call that are not written yet.
struct PendingResults {
    /// The results since the last line.
    pending: Vec<ScoreResult>,
    completed: u64,
    /// When the last line was written, or when the call began.
    written: Instant,
    /// Why a line could not be written. It ends the run.
    failure: Option<wasmtime::Error>,
}

impl ScoringProgress<'_> {
    fn lines(&self) -> MutexGuard<'_, PendingResults> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores a result for the next line.
    fn add_result(&self, request: usize, score: &Score) {
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

    /// Writes a line if the last one is long ago and there are new results.
    fn write_if_due(&self, scored_tokens: u64) {
        let mut lines = self.lines();
        if lines.pending.is_empty() || llem_clock::elapsed(lines.written) < LINE_EVERY {
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
        if let Err(error) = self.run.output.write_host_event(event) {
            lines.failure = Some(error);
        }
        lines.written = llem_clock::now();
    }
}
