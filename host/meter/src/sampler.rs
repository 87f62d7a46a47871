//! A thread that reads every meter at a steady pace, so that ticks of counters are seen, no wrap of a counter is missed,
//! and the history of power, clocks and temperature is known.

use crate::{
    clock::Seconds,
    domain::DomainId,
    history::{Condition, Sample},
    lock::lock,
    processor::{CpuTime, Processor},
    shared_state::SharedState,
    sources::nvml::Gpus,
};
use std::{
    collections::HashMap,
    mem,
    sync::{Arc, atomic::Ordering},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Time between two readings of a GPU's clocks, temperature and the like, s. They change slowly, and reading them costs
/// more than reading a counter.
const CONDITION_PERIOD: Seconds = 0.1;

/// Time between two readings of the processor's clock, temperature and the like, s. The kernel writes pages of text for
/// each answer and asks every core for its clock.
const PROCESSOR_PERIOD: Seconds = 1.0;

/// Time between two deliveries of samples to the sink, s.
const FLUSH_PERIOD: Seconds = 1.0;

/// A round of readings that comes this much too late leaves a gap in the history, s.
const GAP: Seconds = 0.25;

/// The receiver of samples.
pub trait Sink: Send {
    /// Takes the samples of about one second, in order of time.
    fn take(&mut self, samples: Vec<Sample>);
}

/// What sampling has cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplerCost {
    /// Processor time of the sampling thread.
    pub busy: Duration,
    /// Time since sampling began.
    pub wall: Duration,
    /// The number of times that all meters were read.
    pub rounds: u64,
}

/// The sampling thread. When it is dropped, the thread ends after it has handed its samples to the sink.
pub(crate) struct SamplerThread {
    shared: Arc<SharedState>,
    thread: Option<JoinHandle<()>>,
}

impl SamplerThread {
    /// Starts to read all meters every `period`.
    pub(crate) fn start(
        shared: &Arc<SharedState>,
        period: Duration,
        processor: Processor,
        gpus: Option<Gpus>,
    ) -> Self {
        let sampler = SamplerLoop {
            shared: Arc::clone(shared),
            processor,
            gpus,
            last_gains: HashMap::new(),
            due_conditions: Vec::new(),
            cpu_time: None,
            processor_read: f64::NEG_INFINITY,
            throttle_count: None,
        };
        let thread = thread::Builder::new().name("sampler".to_owned());
        // If no thread can be started, windows still read the meters at their ends.
        let thread = thread.spawn(move || sampler.run(period)).ok();
        Self { shared: Arc::clone(shared), thread }
    }
}

impl Drop for SamplerThread {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic of the thread has been printed already. It must not become a second panic here.
            let _ = thread.join();
        }
    }
}

struct SamplerLoop {
    shared: Arc<SharedState>,
    processor: Processor,
    gpus: Option<Gpus>,
    /// For each meter, the time and total of the last sample in which its counter had moved.
    last_gains: HashMap<usize, (Seconds, f64)>,
    /// Devices whose condition is to be read with the next sample.
    due_conditions: Vec<String>,
    cpu_time: Option<CpuTime>,
    /// When the processor's condition was last read.
    processor_read: Seconds,
    throttle_count: Option<u64>,
}

impl SamplerLoop {
    fn run(mut self, period: Duration) {
        // Without a meter there is no counter whose ticks must be seen.
        let period = match self.shared.meters.is_empty() {
            true => period.max(Duration::from_secs_f64(CONDITION_PERIOD)),
            false => period,
        };
        let (mut due, mut flushed) = (Instant::now(), 0.0);
        let (mut conditions, mut before) = (f64::NEG_INFINITY, self.shared.now());
        while !self.shared.stop.load(Ordering::Relaxed) {
            let now = self.shared.now();
            if now - before > GAP + period.as_secs_f64() {
                lock(&self.shared.history).add_gap(before, now);
            }
            before = now;
            if now - conditions >= CONDITION_PERIOD {
                conditions = now;
                self.due_conditions = self.find_due_conditions(now);
            }
            self.sample_all();
            if now - flushed >= FLUSH_PERIOD {
                flushed = now;
                self.shared.flush();
            }
            self.shared.busy_ns.store(thread_busy_nanoseconds(), Ordering::Relaxed);
            self.shared.rounds.fetch_add(1, Ordering::Relaxed);
            due += period;
            match due.checked_duration_since(Instant::now()) {
                Some(rest) => thread::park_timeout(rest),
                // Too late: the pace starts anew here, and missed rounds are not made up for.
                None => due = Instant::now(),
            }
        }
        self.sample_all();
        self.shared.flush();
    }

    /// Returns the devices whose condition is to be read now.
    fn find_due_conditions(&mut self, now: Seconds) -> Vec<String> {
        let is_due = now - self.processor_read >= PROCESSOR_PERIOD;
        if is_due {
            self.processor_read = now;
        }
        let gpus = self.gpus.iter().flat_map(Gpus::ids);
        is_due.then_some("cpu").into_iter().chain(gpus).map(str::to_owned).collect()
    }

    fn sample_all(&mut self) {
        let shared = Arc::clone(&self.shared);
        shared.resident.sample();
        for (index, meter) in shared.meters.iter().enumerate() {
            let mut meter = lock(meter);
            meter.read(|| shared.now());
            let at = shared.now();
            let energy = meter.total();
            let gained = energy.and_then(|total| self.counter_power(index, at, total));
            let power = meter.watts().or(gained);
            let id = Arc::clone(&meter.id);
            drop(meter);
            let condition = self.take_condition(&id.device);
            self.add(Sample { at, id, power, energy, condition });
        }
        // Devices without a meter have a condition, too.
        while let Some(device) = self.due_conditions.pop() {
            let condition = Some(self.read_condition(&device));
            let id = Arc::new(DomainId::unmeasured(device));
            self.add(Sample { at: shared.now(), id, power: None, energy: None, condition });
        }
    }

    /// Returns the mean power since the last sample in which this meter's counter had moved, W. Returns `None` if it has
    /// not moved since.
    fn counter_power(&mut self, index: usize, at: Seconds, total: f64) -> Option<f64> {
        let (then, before) = *self.last_gains.entry(index).or_insert((at, total));
        if total <= before {
            return None;
        }
        self.last_gains.insert(index, (at, total));
        Some((total - before) / (at - then))
    }

    /// Reads the condition of a device if it is due, and notes that it was read.
    fn take_condition(&mut self, device: &str) -> Option<Condition> {
        let place = self.due_conditions.iter().position(|due| due == device)?;
        self.due_conditions.swap_remove(place);
        Some(self.read_condition(device))
    }

    fn read_condition(&mut self, device: &str) -> Condition {
        match device {
            "cpu" => self.read_processor_condition(),
            gpu => self.gpus.as_ref().and_then(|gpus| gpus.condition(gpu)).unwrap_or_default(),
        }
    }

    fn read_processor_condition(&mut self) -> Condition {
        let time = self.processor.time().ok();
        let before = mem::replace(&mut self.cpu_time, time);
        let busy = time.zip(before).and_then(|(now, before)| now.busy_share_since(before));
        let count = self.processor.throttle_count();
        let known = mem::replace(&mut self.throttle_count, count);
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

    fn add(&mut self, sample: Sample) {
        if sample.power.is_none() && sample.energy.is_none() && sample.condition.is_none() {
            return;
        }
        lock(&self.shared.history).add(&sample);
        self.shared.push(sample);
    }
}

/// Returns the processor time that the calling thread has used, ns.
pub fn thread_busy_nanoseconds() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
