//! The models and batches of a run: which there are, and which devices they have been on, when.

use crate::{
    engine_thread::EngineThread,
    holdings::{During, Holdings},
    stop::Stop,
};
use llem_meter::Span;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// All models and batches of a run.
#[derive(Default)]
pub struct Engines {
    all: Mutex<All>,
}

#[derive(Default)]
struct All {
    /// Loaded models.
    threads: Vec<EngineThread>,
    holdings: Holdings,
    /// Models that were loaded.
    models: u64,
    /// Continuous batches that were opened.
    batches: u64,
    /// Whether a warning about replicas stands in the record.
    has_warned_of_replicas: bool,
}

impl Engines {
    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Models that are loaded.
    pub fn count(&self) -> usize {
        self.all().threads.len()
    }

    /// The loaded models that are like this.
    pub fn which(&self, is_like: impl Fn(&EngineThread) -> bool) -> Vec<EngineThread> {
        self.all().threads.iter().filter(|engine| is_like(engine)).cloned().collect()
    }

    /// The device of the model that was loaded last, if there is one.
    pub fn last_device(&self) -> Option<llem_engine::Device> {
        self.all().threads.last().map(|engine| engine.info().device)
    }

    /// A model begins to be loaded onto these devices, which work from now on. Returns what [`Engines::loaded`] and
    /// [`Engines::failed`] are told.
    pub fn loading(&self, devices: Vec<String>) -> usize {
        self.all().holdings.loading(devices)
    }

    /// It is loaded onto these devices, of which not all may be `unmeasured` from here for this reason. Numbers it.
    pub fn loaded(
        &self,
        loading: usize,
        thread: &mut EngineThread,
        devices: Vec<String>,
        unmeasured: Option<String>,
    ) {
        let mut all = self.all();
        thread.number = all.models;
        all.models += 1;
        all.holdings.loaded(loading, thread.number, devices, unmeasured);
        all.threads.push(thread.clone());
    }

    /// It could not be loaded.
    pub fn failed(&self, loading: usize) {
        self.all().holdings.failed(loading);
    }

    /// Lets go of a model for one of its holders: the script's model, or a batch of it. With the last of them the model
    /// is no longer among those that are measured, and its memory has been given back when this returns, unless the run
    /// is to end.
    pub async fn let_go(&self, thread: EngineThread, stop: &Stop) {
        let number = thread.number;
        // This one, and the one of the list.
        let is_last = thread.holders() == 2;
        if is_last {
            self.all().threads.retain(|engine| engine.number != number);
        }
        tokio::select! {
            () = thread.release() => {}
            _ = stop.requested() => {}
        }
        if is_last {
            self.all().holdings.dropped(number);
        }
    }

    /// A batch is open. Returns its number.
    pub fn opened_batch(&self) -> u64 {
        let mut all = self.all();
        let batch = all.batches;
        all.batches += 1;
        all.holdings.opened(batch);
        batch
    }

    /// It is not any more.
    pub fn closed_batch(&self, batch: u64) {
        self.all().holdings.closed(batch);
    }

    /// What is held now.
    pub fn now(&self) -> During {
        self.all().holdings.now()
    }

    /// What was held at some time of a span.
    pub fn during(&self, span: &Span) -> During {
        self.all().holdings.during(span.started, span.started + span.wall)
    }

    /// Whether readers are yet to be warned of replicas; from now on they are not.
    pub fn warns_of_replicas(&self) -> bool {
        !std::mem::replace(&mut self.all().has_warned_of_replicas, true)
    }
}
