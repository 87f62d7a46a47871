//! The state that the meter and its sampling thread share.

use crate::{
    clock::Seconds,
    curve::Knot,
    domain_meter::DomainMeter,
    history::{History, Sample},
    lock::lock,
    memory::ResidentSet,
    sampler::{SamplerCost, Sink},
};
use std::{
    collections::BTreeMap,
    mem,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// The number of samples of a synthetic host after which they are handed to the sink: about as many as a sampling thread
/// hands over at a time.
const DELIVERY: usize = 1000;

/// The state that the meter and its sampling thread share.
pub(crate) struct SharedState {
    /// The moment at which the meter's clock was 0.
    pub epoch: Instant,
    pub meters: Vec<Mutex<DomainMeter>>,
    /// The newest samples.
    pub history: Mutex<History>,
    /// The peak memory of this process in each open window.
    pub resident: Arc<ResidentSet>,
    /// The moment from which all readings are kept, for each holder of a [`RetentionGuard`].
    retentions: Mutex<BTreeMap<u64, Seconds>>,
    next_retention: AtomicU64,
    sink: Mutex<Option<Box<dyn Sink>>>,
    /// Samples that have not been handed to the sink yet.
    pending: Mutex<Vec<Sample>>,
    pub stop: AtomicBool,
    /// Processor time of the sampling thread, ns.
    pub busy_ns: AtomicU64,
    /// The number of times that all meters were read.
    pub rounds: AtomicU64,
}

impl SharedState {
    /// Creates the state. `epoch` is the moment at which the meter's clock is 0.
    pub(crate) fn new(meters: Vec<DomainMeter>, epoch: Instant, resident: ResidentSet) -> Self {
        Self {
            epoch,
            meters: meters.into_iter().map(Mutex::new).collect(),
            history: Mutex::default(),
            resident: Arc::new(resident),
            retentions: Mutex::default(),
            next_retention: AtomicU64::new(0),
            sink: Mutex::default(),
            pending: Mutex::default(),
            stop: AtomicBool::new(false),
            busy_ns: AtomicU64::new(0),
            rounds: AtomicU64::new(0),
        }
    }

    /// Returns the time now on the meter's clock.
    pub(crate) fn now(&self) -> Seconds {
        self.at(llem_clock::now())
    }

    /// Converts a moment to the meter's clock.
    pub(crate) fn at(&self, moment: Instant) -> Seconds {
        moment.saturating_duration_since(self.epoch).as_secs_f64()
    }

    /// Reads every meter. The readings of a synthetic host become samples at once, because no thread samples it.
    pub(crate) fn read_all(&self) {
        for meter in &self.meters {
            let mut meter = lock(meter);
            meter.read(|| self.now());
            let (id, fresh) = (Arc::clone(&meter.id), meter.take_fresh());
            drop(meter);
            for (Knot { at, joules, .. }, watts) in fresh {
                let (id, power, energy) = (Arc::clone(&id), Some(watts), Some(joules));
                let sample = Sample { at, id, power, energy, condition: None };
                lock(&self.history).add(&sample);
                self.push(sample);
            }
            if lock(&self.pending).len() >= DELIVERY {
                self.flush();
            }
        }
    }

    /// Makes all meters keep their readings from a moment on, until the guard is dropped. `meters` must be all meters,
    /// locked.
    pub(crate) fn retain(
        self: &Arc<Self>,
        meters: &mut [MutexGuard<'_, DomainMeter>],
        from: Seconds,
    ) -> RetentionGuard {
        let id = self.next_retention.fetch_add(1, Ordering::Relaxed);
        self.set_retention(meters, id, Some(from));
        RetentionGuard { shared: Arc::clone(self), id }
    }

    fn set_retention(
        &self,
        meters: &mut [MutexGuard<'_, DomainMeter>],
        id: u64,
        from: Option<Seconds>,
    ) {
        let mut retentions = lock(&self.retentions);
        match from {
            Some(from) => retentions.insert(id, from),
            None => retentions.remove(&id),
        };
        let first = retentions.values().copied().fold(f64::INFINITY, f64::min);
        meters.iter_mut().for_each(|meter| meter.retain_from(first));
    }

    /// Adds a sample to those that wait for the sink.
    pub(crate) fn push(&self, sample: Sample) {
        lock(&self.pending).push(sample);
    }

    /// Replaces the sink. Samples that are still pending go to the old one.
    pub(crate) fn set_sink(&self, sink: Option<Box<dyn Sink>>) {
        self.flush();
        *lock(&self.sink) = sink;
    }

    /// Hands the pending samples to the sink, if there is one.
    pub(crate) fn flush(&self) {
        let samples = mem::take(&mut *lock(&self.pending));
        if let Some(sink) = lock(&self.sink).as_mut().filter(|_| !samples.is_empty()) {
            sink.take(samples);
        }
    }

    pub(crate) fn cost(&self) -> SamplerCost {
        SamplerCost {
            busy: Duration::from_nanos(self.busy_ns.load(Ordering::Relaxed)),
            wall: llem_clock::elapsed(self.epoch),
            rounds: self.rounds.load(Ordering::Relaxed),
        }
    }
}

/// Makes all meters keep their readings from a moment on, until it is dropped.
pub(crate) struct RetentionGuard {
    shared: Arc<SharedState>,
    id: u64,
}

impl RetentionGuard {
    /// Releases the readings before `from`. `meters` must be all meters, locked.
    pub(crate) fn drop_before(&self, meters: &mut [MutexGuard<'_, DomainMeter>], from: Seconds) {
        self.shared.set_retention(meters, self.id, Some(from));
    }
}

impl Drop for RetentionGuard {
    fn drop(&mut self) {
        // The same order of locks as when a window is opened: the meters first.
        let mut meters: Vec<_> = self.shared.meters.iter().map(lock).collect();
        self.shared.set_retention(&mut meters, self.id, None);
    }
}
