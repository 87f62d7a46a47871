//! A synthetic host. These tests have a process of their own, because the virtual clock holds for a whole process.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod arrivals;
mod passes;

use llem_clock::{VirtualClock, WorkLedger, start_virtual};
use llem_engine::{LoadOptions, Model, SyntheticPasses};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Waits until no other test runs, and starts the clock that the tests share before a test reads the time.
fn alone() -> (MutexGuard<'static, ()>, VirtualClock) {
    static ALONE: Mutex<()> = Mutex::new(());
    (ALONE.lock().unwrap_or_else(PoisonError::into_inner), start_virtual())
}

/// Loads a model whose prompts take 1 ms a token, and whose other steps take 10 ms. Returns what its work draws, too.
fn load(seed: u64) -> (Model, WorkLedger) {
    let work = WorkLedger::default();
    let passes = SyntheticPasses {
        clock: start_virtual(),
        work: work.clone(),
        seed,
        load: Duration::from_secs(2),
        prefill_s_per_token: 1e-3,
        decode_s_per_step: 1e-2,
        prefill_joules_per_token: 0.1,
        decode_joules_per_token: 0.5,
    };
    let source = "synthetic:tiny".parse().unwrap();
    let options = LoadOptions { synthetic: Some(passes), ..LoadOptions::new(source) };
    (Model::load(&options).unwrap(), work)
}
