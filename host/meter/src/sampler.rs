//! A thread that reads every gauge at a steady pace, so that counters' ticks are seen, wraps are not missed, and the
//! course of power, clocks and temperature is known.

use crate::{
    clock::Seconds,
    gauge::Gauge,
    lock::locked,
    memory::ResidentSet,
    processor::{CpuTime, Processor},
    sources::{UNMEASURED, nvml::Gpus},
    timeline::{Condition, History, Sample},
};
use std::{
    collections::{BTreeMap, HashMap},
    mem,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How often clocks, temperatures and the like are read: they change slowly, and asking costs more than a counter.
const CONDITION_PERIOD: Seconds = 0.1;

/// The same of a processor, whose kernel writes pages of text for each answer and asks every core for its clock.
const PROCESSOR_PERIOD: Seconds = 1.0;

/// How often samples are handed on.
const HAND_ON: Seconds = 1.0;

/// A sample that comes later than this has left a gap, s.
const GAP: Seconds = 0.25;

/// Where samples go.
pub trait Sink: Send {
    /// Takes the samples of about a second, in order.
    fn take(&mut self, samples: Vec<Sample>);
}

/// What sampler and meter share.
pub struct Shared {
    /// When the meter's clock was 0.
    pub epoch: Instant,
    /// What is metered.
    pub gauges: Vec<Mutex<Gauge>>,
    /// The newest samples.
    pub history: Mutex<History>,
    /// The peak memory of this process in each open window.
    pub resident: Arc<ResidentSet>,
    /// From when on all that gauges tell is kept, for each that needs it.
    keeps: Mutex<BTreeMap<u64, Seconds>>,
    next_keep: AtomicU64,
    sink: Mutex<Option<Box<dyn Sink>>>,
    /// Samples that have not been handed on.
    held: Mutex<Vec<Sample>>,
    stop: AtomicBool,
    /// Processor time of the sampler, ns.
    cost: AtomicU64,
    samples: AtomicU64,
}

/// What sampling cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplerCost {
    /// Processor time.
    pub busy: Duration,
    /// Since it began.
    pub wall: Duration,
    /// How often all gauges were read.
    pub rounds: u64,
}

impl Shared {
    /// Nothing read yet.
    pub fn new(gauges: Vec<Gauge>) -> Self {
        Self {
            epoch: Instant::now(),
            gauges: gauges.into_iter().map(Mutex::new).collect(),
            history: Mutex::default(),
            resident: Arc::new(ResidentSet::of_process()),
            keeps: Mutex::default(),
            next_keep: AtomicU64::new(0),
            sink: Mutex::default(),
            held: Mutex::default(),
            stop: AtomicBool::new(false),
            cost: AtomicU64::new(0),
            samples: AtomicU64::new(0),
        }
    }

    /// Now, on the meter's clock.
    pub fn now(&self) -> Seconds {
        self.at(Instant::now())
    }

    /// A moment on the meter's clock.
    pub fn at(&self, moment: Instant) -> Seconds {
        moment.saturating_duration_since(self.epoch).as_secs_f64()
    }

    /// Reads every gauge.
    pub fn read_all(&self) {
        for gauge in &self.gauges {
            locked(gauge).read(|| self.now());
        }
    }

    /// Has `gauges`, which are all of them, keep what they tell from a moment on.
    pub fn keep(self: &Arc<Self>, gauges: &mut [MutexGuard<'_, Gauge>], from: Seconds) -> Keep {
        let id = self.next_keep.fetch_add(1, Ordering::Relaxed);
        self.keep_as(gauges, id, Some(from));
        Keep { shared: Arc::clone(self), id }
    }

    fn keep_as(&self, gauges: &mut [MutexGuard<'_, Gauge>], id: u64, from: Option<Seconds>) {
        let mut keeps = locked(&self.keeps);
        match from {
            Some(from) => keeps.insert(id, from),
            None => keeps.remove(&id),
        };
        let first = keeps.values().copied().fold(f64::INFINITY, f64::min);
        gauges.iter_mut().for_each(|gauge| gauge.keep_from(first));
    }

    /// Where samples go from now on; what is held goes where they went before.
    pub fn hand_to(&self, sink: Option<Box<dyn Sink>>) {
        self.hand_on();
        *locked(&self.sink) = sink;
    }

    fn hand_on(&self) {
        let samples = mem::take(&mut *locked(&self.held));
        if let Some(sink) = locked(&self.sink).as_mut().filter(|_| !samples.is_empty()) {
            sink.take(samples);
        }
    }

    /// What sampling has cost so far.
    pub fn cost(&self) -> SamplerCost {
        SamplerCost {
            busy: Duration::from_nanos(self.cost.load(Ordering::Relaxed)),
            wall: self.epoch.elapsed(),
            rounds: self.samples.load(Ordering::Relaxed),
        }
    }
}

/// Holds on to what gauges tell from a moment on.
pub struct Keep {
    shared: Arc<Shared>,
    id: u64,
}

impl Keep {
    /// Lets go of what was told before `from`.
    pub fn only_from(&self, gauges: &mut [MutexGuard<'_, Gauge>], from: Seconds) {
        self.shared.keep_as(gauges, self.id, Some(from));
    }
}

impl Drop for Keep {
    fn drop(&mut self) {
        // In the order in which whoever opens a window takes the locks: gauges first.
        let mut gauges: Vec<_> = self.shared.gauges.iter().map(locked).collect();
        self.shared.keep_as(&mut gauges, self.id, None);
    }
}

/// The thread. Dropping it ends it, after what it holds has been handed on.
pub struct Sampler {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Sampler {
    /// Reads every `period` from now on.
    pub fn start(
        shared: &Arc<Shared>,
        period: Duration,
        processor: Processor,
        gpus: Option<Gpus>,
    ) -> Self {
        let rounds = Rounds {
            shared: Arc::clone(shared),
            processor,
            gpus,
            seen: HashMap::new(),
            conditions: Vec::new(),
            cpu: None,
            processor_read: f64::NEG_INFINITY,
            throttled: None,
        };
        let thread = thread::Builder::new().name("sampler".to_owned());
        // Without a thread windows still read their edges.
        let thread = thread.spawn(move || rounds.run(period)).ok();
        Self { shared: Arc::clone(shared), thread }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic in it has been printed, and must not become one here.
            let _ = thread.join();
        }
    }
}

struct Rounds {
    shared: Arc<Shared>,
    processor: Processor,
    gpus: Option<Gpus>,
    /// When and with what total each gauge was sampled last.
    seen: HashMap<usize, (Seconds, f64)>,
    /// Devices whose condition comes with the next sample.
    conditions: Vec<Arc<str>>,
    cpu: Option<CpuTime>,
    /// When the processor's condition was read.
    processor_read: Seconds,
    throttled: Option<u64>,
}

impl Rounds {
    fn run(mut self, period: Duration) {
        // Without a gauge there is nothing that ticks.
        let period = match self.shared.gauges.is_empty() {
            true => period.max(Duration::from_secs_f64(CONDITION_PERIOD)),
            false => period,
        };
        let (mut due, mut told) = (Instant::now(), 0.0);
        let (mut conditions, mut before) = (f64::NEG_INFINITY, self.shared.now());
        while !self.shared.stop.load(Ordering::Relaxed) {
            let now = self.shared.now();
            if now - before > GAP + period.as_secs_f64() {
                locked(&self.shared.history).add_gap(before, now);
            }
            before = now;
            if now - conditions >= CONDITION_PERIOD {
                conditions = now;
                self.conditions = self.devices(now);
            }
            self.round();
            if now - told >= HAND_ON {
                told = now;
                self.shared.hand_on();
            }
            self.shared.cost.store(busy_nanoseconds(), Ordering::Relaxed);
            self.shared.samples.fetch_add(1, Ordering::Relaxed);
            due += period;
            match due.checked_duration_since(Instant::now()) {
                Some(rest) => thread::park_timeout(rest),
                // Late: the pace is taken up from here rather than made up for.
                None => due = Instant::now(),
            }
        }
        self.round();
        self.shared.hand_on();
    }

    /// Every device that is asked how it is now.
    fn devices(&mut self, now: Seconds) -> Vec<Arc<str>> {
        let is_due = now - self.processor_read >= PROCESSOR_PERIOD;
        if is_due {
            self.processor_read = now;
        }
        let gpus = self.gpus.iter().flat_map(Gpus::ids);
        is_due.then_some("cpu").into_iter().chain(gpus).map(Into::into).collect()
    }

    fn round(&mut self) {
        let shared = Arc::clone(&self.shared);
        shared.resident.sample();
        for (index, gauge) in shared.gauges.iter().enumerate() {
            let mut gauge = locked(gauge);
            gauge.read(|| shared.now());
            let at = shared.now();
            let energy = gauge.total();
            let gained = energy.and_then(|total| self.gained(index, at, total));
            let power = gauge.watts().or(gained);
            let (device, domain) = (Arc::clone(&gauge.device), Arc::clone(&gauge.domain));
            drop(gauge);
            let condition = self.condition_of(&device);
            self.hold(Sample { at, device, domain, power, energy, condition });
        }
        // Devices without a gauge have a condition all the same.
        while let Some(device) = self.conditions.pop() {
            let condition = Some(self.condition(&device));
            let domain = UNMEASURED.into();
            self.hold(Sample {
                at: shared.now(),
                device,
                domain,
                power: None,
                energy: None,
                condition,
            });
        }
    }

    /// Mean power since the last sample in which the counter had moved.
    fn gained(&mut self, index: usize, at: Seconds, total: f64) -> Option<f64> {
        let (then, before) = *self.seen.entry(index).or_insert((at, total));
        if total <= before {
            return None;
        }
        self.seen.insert(index, (at, total));
        Some((total - before) / (at - then))
    }

    fn condition_of(&mut self, device: &Arc<str>) -> Option<Condition> {
        let place = self.conditions.iter().position(|known| known == device)?;
        self.conditions.swap_remove(place);
        Some(self.condition(device))
    }

    fn condition(&mut self, device: &str) -> Condition {
        match device {
            "cpu" => self.processor_condition(),
            gpu => self.gpus.as_ref().and_then(|gpus| gpus.reading(gpu)).unwrap_or_default(),
        }
    }

    fn processor_condition(&mut self) -> Condition {
        let time = self.processor.time().ok();
        let before = mem::replace(&mut self.cpu, time);
        let busy = time.zip(before).and_then(|(now, before)| now.busy_share_since(before));
        let count = self.processor.throttle_count();
        let known = mem::replace(&mut self.throttled, count);
        let is_throttled = known.is_some() && count > known;
        Condition {
            temperature: self.processor.temperature(),
            core_clock: self.processor.clock(),
            memory_clock: None,
            utilisation: busy.map(|share| share * 100.0),
            memory_used: self.processor.memory_used(),
            process_memory: None,
            throttle_reasons: if is_throttled {
                vec!["package_thermal".to_owned()]
            } else {
                Vec::new()
            },
        }
    }

    fn hold(&mut self, sample: Sample) {
        if sample.power.is_none() && sample.energy.is_none() && sample.condition.is_none() {
            return;
        }
        locked(&self.shared.history).add(&sample);
        locked(&self.shared.held).push(sample);
    }
}

/// Processor time that this thread has had, ns.
pub fn busy_nanoseconds() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
