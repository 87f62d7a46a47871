//! Shows a run of this process while it goes on.

use super::{
    update::Update,
    view::{Source, View},
};
use crate::untrusted::cell;
use llem_meter::{Clock, Sample};
use llem_record::Event;
use llem_runtime::{Observer, StopSignal};
use std::sync::{Arc, atomic::Ordering};

/// The observer of a run that feeds a live view. No call waits for the view.
pub(crate) struct LiveObserver {
    clock: Clock,
    view: View,
}

impl LiveObserver {
    /// Starts a view of the run that began when `clock` was started, and that `stop` ends.
    pub(crate) fn start(clock: Clock, stop: &Arc<StopSignal>) -> Self {
        Self { clock, view: View::start(Source::Run(clock, Arc::clone(stop))) }
    }

    fn send(&self, update: Update) {
        self.view.send(self.clock.now(), update);
    }
}

impl Observer for LiveObserver {
    fn event(&self, event: &Event) {
        if let Some(update) = Update::from_event(event) {
            self.send(update);
        }
        if let Event::Ended { .. } = event {
            self.view.end();
        }
    }

    fn progress(&self, done: u64, total: u64, label: &str) {
        self.send(Update::Progress { done, total, label: cell(label) });
    }

    fn samples(&self, samples: &[Sample]) {
        self.send(Update::from_samples(samples));
    }

    fn request(&self, label: &str, most: u64) {
        self.view.shared.generated.store(0, Ordering::Relaxed);
        self.send(Update::RequestBegan { label: cell(label), most });
    }

    fn tokens(&self, generated: u64) {
        self.view.shared.generated.store(generated, Ordering::Relaxed);
    }
}
