//! The energy of a continuous batch's steps, shared among its sequences while it is open.
//!
//! ```text
//! steps     ├──┤├──┤├────┤   ├──┤├──┤
//! settled   ├─────────────┤├────────┤      the meter's curves, where a sequence has ended or many steps wait
//! ```
//!
//! Between two settlings steps only wait, so that nothing is read or computed on the engine's thread.

use crate::{
    energy_shares::{self, Phase, SequenceTally},
    state::Run,
};
use llem_engine::{
    Info,
    batch::{Piece, Step},
    shares::{self, Rows},
};
use llem_meter::Window;
use llem_record::event::SequenceEnergy;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

/// Steps that wait at most.
const WAITING: usize = 256;

/// How long they wait at most, and how long nothing need be settled where none wait: what gauges tell meanwhile is kept.
const PATIENCE: Duration = Duration::from_secs(10);

/// The energy of one batch.
pub struct BatchEnergy {
    run: Arc<Run>,
    /// The devices that its model is on.
    devices: Vec<String>,
    following: Mutex<Following>,
}

struct Following {
    window: Window,
    steps: Vec<energy_shares::Step>,
    sequences: BTreeMap<u64, SequenceTally>,
}

impl BatchEnergy {
    /// That of a batch of a model which has just been opened.
    pub fn follow(run: &Arc<Run>, info: &Info) -> Arc<Self> {
        let following = Following {
            window: run.meter().follow(),
            steps: Vec::new(),
            sequences: BTreeMap::new(),
        };
        let devices = run.places(info);
        let energy =
            Arc::new(Self { run: Arc::clone(run), devices, following: Mutex::new(following) });
        run.progress().batch_energies.push(Arc::downgrade(&energy));
        energy
    }

    fn following(&self) -> MutexGuard<'_, Following> {
        // A panic elsewhere does not make what was measured less worth keeping.
        self.following.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a step, and settles where a sequence has ended with it. Returns the operations that it took, FLOP.
    pub fn stepped(&self, info: &Info, step: &Step) -> f64 {
        let rows = step.pieces.iter().map(|piece| Rows {
            new: piece.new,
            past: piece.past,
            logits: usize::from(piece.sampled),
            adapter: piece.adapter.as_ref(),
        });
        let rows: Vec<Rows<'_>> = rows.collect();
        let operations = shares::operations(info, &rows);
        let mut following = self.following();
        if let Some(phase) = phase(step) {
            let shares = shares::of_step(info, &rows, &operations);
            let of = |(piece, share): (&Piece, _)| (piece.name, piece.prompt, share);
            let sequences = step.pieces.iter().zip(shares).map(of).collect();
            let (from, to) = (step.started, step.finished);
            following.steps.push(energy_shares::Step { phase, from, to, sequences });
        }
        let first = following.steps.first().map(|step| step.from);
        let is_old = first.is_some_and(|first| first.elapsed() > PATIENCE);
        if !step.ended.is_empty() || following.steps.len() >= WAITING || is_old {
            following.settle(&self.run, &self.devices, step.finished);
        }
        operations.iter().sum()
    }

    /// Counts the steps that wait to their phases and sequences. All of them are over by `until`.
    pub fn settle(&self, until: Instant) {
        let mut following = self.following();
        if !following.steps.is_empty() || following.window.started.elapsed() > PATIENCE {
            following.settle(&self.run, &self.devices, until);
        }
    }

    /// The share of a sequence that has ended; its steps have been settled.
    pub fn take(&self, sequence: u64) -> SequenceEnergy {
        self.following().sequences.remove(&sequence).unwrap_or_default().record()
    }
}

impl Following {
    fn settle(&mut self, run: &Run, devices: &[String], until: Instant) {
        let span = run.meter().part(&mut self.window, until);
        let total = run.total(&span, devices);
        let steps = std::mem::take(&mut self.steps);
        let energy = energy_shares::course(&span, &total, &steps);
        let phases = &mut run.progress().phase_energy;
        let (covers, sequences) = (&total.covers, &mut self.sequences);
        energy_shares::share_out(&energy, covers, &steps, phases, sequences);
    }
}

impl Run {
    /// Has every open batch count its steps until now.
    pub fn settle_batches(&self) {
        let now = Instant::now();
        self.progress().batch_energies.retain(|energy| energy.strong_count() > 0);
        let open: Vec<_> =
            self.progress().batch_energies.iter().filter_map(Weak::upgrade).collect();
        open.iter().for_each(|energy| energy.settle(now));
    }
}

/// What a step is; none where it ran nothing.
pub fn phase(step: &Step) -> Option<Phase> {
    let has = |prompt: bool| step.pieces.iter().any(|piece| piece.prompt == prompt);
    match [has(true), has(false)] {
        [true, true] => Some(Phase::Mixed),
        [true, false] => Some(Phase::Prefill),
        [false, true] => Some(Phase::Decode),
        [false, false] => None,
    }
}
