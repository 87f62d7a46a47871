//! The energy of a continuous batch's steps, which is divided among its sequences once it is known.
//!
//! ```text
//! steps     ├──┤├──┤├────┤   ├──┤├──┤
//! ticks         ·      ·        ·      ·
//! settled   ├──────────┤├───────────┤      up to the last step after which every counter has ticked
//! ```
//!
//! Until then steps only wait, so that nothing is read, computed or estimated between two of them. When a window of the
//! script opens or closes, all steps are settled, and the energy since the last tick is estimated.

use crate::{
    energy_shares::{self, SequenceTally, SharedStep, StepPhase},
    engine_thread::EngineThread,
    run::RunContext,
    usage_history::Usage,
};
use llem_engine::{
    BatchStep, ModelInfo, ScheduledTokens, SequenceRows, sequence_operations, step_shares,
};
use llem_meter::ContinuousWindow;
use llem_record::{Activity, EstimatedFlops, SequenceEnergy};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The number of waiting steps after which the batch tries to settle them.
const WAITING: usize = 1024;

/// For how long the meter's data is stored while there are no steps.
const IDLE: Duration = Duration::from_secs(10);

pub(super) struct BatchEnergy {
    /// What the batch's model uses: the model and its devices.
    held: Usage,
    steps: Mutex<Vec<SharedStep>>,
    settled: Mutex<SettledEnergy>,
}

struct SettledEnergy {
    following: ContinuousWindow,
    sequences: BTreeMap<u64, SequenceTally>,
}

impl BatchEnergy {
    /// Starts to follow the energy of a batch that has just been opened.
    pub(super) fn follow(run: &RunContext, thread: &EngineThread) -> Self {
        let (following, sequences) = (run.meter().open_continuous(), BTreeMap::new());
        Self {
            held: run.usage_of(thread),
            steps: Mutex::default(),
            settled: Mutex::new(SettledEnergy { following, sequences }),
        }
    }

    fn steps(&self) -> MutexGuard<'_, Vec<SharedStep>> {
        // A panic elsewhere does not make the measurements less useful.
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settled(&self) -> MutexGuard<'_, SettledEnergy> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a step. Returns the operations that it took, in FLOP.
    pub(super) fn add_step(&self, run: &RunContext, info: &ModelInfo, step: &BatchStep) -> f64 {
        let rows = step.scheduled.iter().map(|tokens| SequenceRows {
            new: tokens.new,
            past: tokens.past,
            logits: tokens.logits,
            adapter: tokens.adapter.as_ref(),
        });
        let rows: Vec<SequenceRows<'_>> = rows.collect();
        let operations = sequence_operations(info, &rows);
        if let Some(phase) = phase(step) {
            let shares = step_shares(info, &rows, &operations);
            let of = |(tokens, share): (&ScheduledTokens, _)| (tokens.name, tokens.prompt, share);
            let sequences = step.scheduled.iter().zip(shares).map(of).collect();
            let (from, to) = (step.started, step.finished);
            let waiting = {
                let mut steps = self.steps();
                steps.push(SharedStep { phase, from, to, sequences });
                steps.len()
            };
            if waiting.is_multiple_of(WAITING) {
                self.settle(run, run.meter().known_until());
            }
        }
        operations.iter().sum()
    }

    /// Adds the energy of steps that had ended at the moment `by` to their phases and sequences.
    pub(super) fn settle(&self, run: &RunContext, by: Instant) {
        let mut settled = self.settled();
        let steps = {
            let mut steps = self.steps();
            let ended = steps.partition_point(|step| step.to <= by);
            steps.drain(..ended).collect::<Vec<_>>()
        };
        let idle_until = by.checked_sub(IDLE).filter(|idle| *idle > settled.following.until());
        let Some(until) = steps.last().map(|last| last.to).or(idle_until) else { return };
        let span = run.meter().next_part(&mut settled.following, until);
        let (covers, energy) = energy_shares::span_energy(&span, &self.held, &steps);
        let phases = &mut run.work.totals().energy;
        energy_shares::share_out(&energy, &covers, &steps, phases, &mut settled.sequences);
    }

    /// Returns true if all steps that had ended at the moment `by` are settled.
    pub(super) fn is_settled(&self, by: Instant) -> bool {
        self.steps().first().is_none_or(|step| step.to > by)
    }

    /// Removes a sequence that has ended, and returns its energy. All its steps must be settled.
    pub(super) fn remove_sequence(&self, sequence: u64) -> SequenceEnergy {
        self.settled().sequences.remove(&sequence).unwrap_or_default().record()
    }
}

/// The phase of a step, or `None` if it ran nothing.
pub(super) fn phase(step: &BatchStep) -> Option<StepPhase> {
    let has = |prompt: bool| step.scheduled.iter().any(|tokens| tokens.prompt == prompt);
    match [has(true), has(false)] {
        [true, true] => Some(StepPhase::Mixed),
        [true, false] => Some(StepPhase::Prefill),
        [false, true] => Some(StepPhase::Decode),
        [false, false] => None,
    }
}

/// The requests, tokens, time and operations of a step, assigned to the step's phase.
pub(super) fn step_activity(step: &BatchStep, flops: f64) -> Activity {
    let (prompt_tokens, output_tokens) = (prompt_tokens(step), step.tokens.len() as u64);
    let time = (step.finished - step.started).as_nanos() as u64;
    let begun = |tokens: &&ScheduledTokens| tokens.prompt && tokens.past == 0;
    let all = Activity {
        requests: step.scheduled.iter().filter(begun).count() as u64,
        prompt_tokens,
        output_tokens,
        ..Activity::default()
    };
    match phase(step) {
        None => all,
        Some(StepPhase::Prefill) => Activity {
            prefill_ns: time,
            flops_estimated: EstimatedFlops::new(flops, 0.0, 0.0),
            ..all
        },
        Some(StepPhase::Decode) => Activity {
            decode_ns: time,
            flops_estimated: EstimatedFlops::new(0.0, flops, 0.0),
            ..all
        },
        Some(StepPhase::Mixed) => Activity {
            mixed_ns: time,
            mixed_prompt_tokens: prompt_tokens,
            mixed_output_tokens: output_tokens,
            flops_estimated: EstimatedFlops::new(0.0, 0.0, flops),
            ..all
        },
    }
}

/// The number of prompt tokens that a step ran.
pub(super) fn prompt_tokens(step: &BatchStep) -> u64 {
    step.scheduled.iter().filter(|tokens| tokens.prompt).map(|tokens| tokens.new as u64).sum()
}
