//! The models and batches of a run, and the devices that they used.

use crate::{
    engine_thread::EngineThread,
    stop_signal::StopSignal,
    usage_history::{Usage, UsageHistory},
};
use llem_meter::ClosedWindow;
use llem_quantity::Unavailable;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Default)]
pub(crate) struct Engines {
    all: Mutex<EngineList>,
}

#[derive(Default)]
struct EngineList {
    threads: Vec<EngineThread>,
    usage: UsageHistory,
    /// The number of models that were loaded so far.
    models: u64,
    /// The number of continuous batches that were opened so far.
    batches: u64,
    /// Whether the record has a warning about replicas.
    has_warned_of_replicas: bool,
}

impl Engines {
    fn all(&self) -> MutexGuard<'_, EngineList> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of models that are loaded now.
    pub(crate) fn count(&self) -> usize {
        self.all().threads.len()
    }

    /// The loaded models for which `is_like` returns true.
    pub(crate) fn filter(&self, is_like: impl Fn(&EngineThread) -> bool) -> Vec<EngineThread> {
        self.all().threads.iter().filter(|engine| is_like(engine)).cloned().collect()
    }

    /// The device of the model that was loaded last, or `None` if no model is loaded.
    pub(crate) fn last_device(&self) -> Option<llem_engine::DeviceId> {
        self.all().threads.last().map(|engine| engine.info().device)
    }

    /// Notes that a model is being loaded onto these devices, which work from now on. Returns the index for
    /// [`Engines::finish_loading`] and [`Engines::fail_loading`].
    pub(crate) fn begin_loading(&self, devices: Vec<String>) -> usize {
        self.all().usage.begin_loading(devices)
    }

    /// Notes that a model is loaded on these devices, and gives it its number. `unmeasured` says why not all of them
    /// can be measured from here, if so.
    pub(crate) fn finish_loading(
        &self,
        loading: usize,
        thread: &mut EngineThread,
        devices: Vec<String>,
        unmeasured: Option<Unavailable>,
    ) {
        let mut all = self.all();
        thread.number = all.models;
        all.models += 1;
        all.usage.finish_loading(loading, thread.number, devices, unmeasured);
        all.threads.push(thread.clone());
    }

    /// Notes that the model could not be loaded.
    pub(crate) fn fail_loading(&self, loading: usize) {
        self.all().usage.fail_loading(loading);
    }

    /// Releases a model for one of its holders: the script's model, or a batch of it. When the last holder releases it,
    /// the model is no longer measured, and its memory is free when this returns, unless the run is stopped.
    pub(crate) async fn release(&self, thread: EngineThread, stop: &StopSignal) {
        let number = thread.number;
        // This handle, and the one in the list.
        let is_last = thread.handle_count() == 2;
        if is_last {
            self.all().threads.retain(|engine| engine.number != number);
        }
        tokio::select! {
            () = thread.release() => {}
            _ = stop.requested() => {}
        }
        if is_last {
            self.all().usage.drop_model(number);
        }
    }

    /// Notes that a batch was opened, and returns its number.
    pub(crate) fn open_batch(&self) -> u64 {
        let mut all = self.all();
        let batch = all.batches;
        all.batches += 1;
        all.usage.open_batch(batch);
        batch
    }

    pub(crate) fn close_batch(&self, batch: u64) {
        self.all().usage.close_batch(batch);
    }

    /// What is in use now.
    pub(crate) fn current_usage(&self) -> Usage {
        self.all().usage.now()
    }

    /// What was in use at some time in a span.
    pub(crate) fn usage_during(&self, span: &ClosedWindow) -> Usage {
        self.all().usage.during(span.started, span.started + span.wall)
    }

    /// Returns true if readers must still be warned about replicas. Later calls return false.
    pub(crate) fn take_replica_warning(&self) -> bool {
        !std::mem::replace(&mut self.all().has_warned_of_replicas, true)
    }
}
