//! The energy of a continuous batch's steps, shared among its sequences once it is known.
//!
//! ```text
//! steps     ├──┤├──┤├────┤   ├──┤├──┤
//! ticks         ·      ·        ·      ·
//! settled   ├──────────┤├───────────┤      up to the last step after which every counter has ticked
//! ```
//!
//! Until then steps only wait, so that nothing is read, computed or guessed between two of them. Where a window of the
//! script opens or closes, all of them are settled, with what has been used since the last tick as a guess.

use crate::{
    energy_shares::{self, Phase, SequenceTally, Step as SharedStep},
    engine_thread::EngineThread,
    holdings::During,
    run::Run,
};
use llem_engine::{
    Info,
    batch::{ScheduledTokens, Step},
    shares::{self, Rows},
};
use llem_meter::Following;
use llem_record::event::{Activity, EstimatedFlops, SequenceEnergy};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Steps that wait before somebody looks whether they can be settled.
const WAITING: usize = 1024;

/// How long what gauges tell is kept where there are no steps.
const IDLE: Duration = Duration::from_secs(10);

/// The energy of one batch.
pub struct BatchEnergy {
    /// Its model and the devices that this is on.
    held: During,
    steps: Mutex<Vec<SharedStep>>,
    settled: Mutex<Settled>,
}

struct Settled {
    following: Following,
    sequences: BTreeMap<u64, SequenceTally>,
}

impl BatchEnergy {
    /// That of a batch of a model which has just been opened.
    pub fn follow(run: &Run, thread: &EngineThread) -> Self {
        let (following, sequences) = (run.meter().following(), BTreeMap::new());
        Self {
            held: run.held_by(thread),
            steps: Mutex::default(),
            settled: Mutex::new(Settled { following, sequences }),
        }
    }

    fn steps(&self) -> MutexGuard<'_, Vec<SharedStep>> {
        // A panic elsewhere does not make what was measured less worth keeping.
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settled(&self) -> MutexGuard<'_, Settled> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a step. Returns the operations that it took, FLOP.
    pub fn stepped(&self, run: &Run, info: &Info, step: &Step) -> f64 {
        let rows = step.scheduled.iter().map(|tokens| Rows {
            new: tokens.new,
            past: tokens.past,
            logits: tokens.logits,
            adapter: tokens.adapter.as_ref(),
        });
        let rows: Vec<Rows<'_>> = rows.collect();
        let operations = shares::operations(info, &rows);
        if let Some(phase) = phase(step) {
            let shares = shares::of_step(info, &rows, &operations);
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

    /// Counts the steps that had ended by a moment to their phases and sequences.
    pub fn settle(&self, run: &Run, by: Instant) {
        let mut settled = self.settled();
        let steps = {
            let mut steps = self.steps();
            let ended = steps.partition_point(|step| step.to <= by);
            steps.drain(..ended).collect::<Vec<_>>()
        };
        let idle_until = by.checked_sub(IDLE).filter(|idle| *idle > settled.following.until());
        let Some(until) = steps.last().map(|last| last.to).or(idle_until) else { return };
        let span = run.meter().part(&mut settled.following, until);
        let (covers, energy) = energy_shares::followed(&span, &self.held, &steps);
        let phases = &mut run.work.done().energy;
        energy_shares::share_out(&energy, &covers, &steps, phases, &mut settled.sequences);
    }

    /// Whether all that ended by a moment has been settled.
    pub fn is_settled(&self, by: Instant) -> bool {
        self.steps().first().is_none_or(|step| step.to > by)
    }

    /// The share of a sequence that has ended; its steps have been settled.
    pub fn take(&self, sequence: u64) -> SequenceEnergy {
        self.settled().sequences.remove(&sequence).unwrap_or_default().record()
    }
}

/// What a step is; none where it ran nothing.
pub fn phase(step: &Step) -> Option<Phase> {
    let has = |prompt: bool| step.scheduled.iter().any(|tokens| tokens.prompt == prompt);
    match [has(true), has(false)] {
        [true, true] => Some(Phase::Mixed),
        [true, false] => Some(Phase::Prefill),
        [false, true] => Some(Phase::Decode),
        [false, false] => None,
    }
}

/// What a batch's step did, which took these operations, counted to the phase that the step was.
pub fn step_activity(step: &Step, flops: f64) -> Activity {
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
        Some(Phase::Prefill) => Activity {
            prefill_ns: time,
            flops_estimated: EstimatedFlops::new(flops, 0.0, 0.0),
            ..all
        },
        Some(Phase::Decode) => Activity {
            decode_ns: time,
            flops_estimated: EstimatedFlops::new(0.0, flops, 0.0),
            ..all
        },
        Some(Phase::Mixed) => Activity {
            mixed_ns: time,
            mixed_prompt_tokens: prompt_tokens,
            mixed_output_tokens: output_tokens,
            flops_estimated: EstimatedFlops::new(0.0, 0.0, flops),
            ..all
        },
    }
}

/// Prompt tokens that a step ran.
pub fn prompt_tokens(step: &Step) -> u64 {
    step.scheduled.iter().filter(|tokens| tokens.prompt).map(|tokens| tokens.new as u64).sum()
}
