//! All devices and gauges of this machine.

use crate::{
    clock::Seconds,
    curve::Curve,
    device::{Device, DeviceState},
    following::{Following, Stand},
    gauge::{Gauge, Mark},
    lock::locked,
    memory::{MemoryKind, MemoryPeak},
    processor::{Processor, Roots},
    sampler::{Sampler, SamplerCost, Shared, Sink},
    sources::{
        Found, Instrument, Metered, UNMEASURED, Unmetered,
        declared::{Declared, PowerModel},
        nvml::{self, Gpus},
        rapl,
    },
    timeline::{DeviceSpan, Sample},
    window::{Curves, DeviceEnergy, Domain, Resolution, Span, Window},
};
use llem_quantity::Source;
use std::{
    mem,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// How often gauges are read unless told otherwise.
pub const SAMPLE_PERIOD: Duration = Duration::from_millis(10);

/// How often a gauge is read while its tick is waited for.
const WATCH_PERIOD: Duration = Duration::from_millis(1);

/// How long a tick is waited for, as a multiple of the longest that one has taken.
const PATIENCE: f64 = 3.0;

/// How to meter.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the kernel's files are.
    pub roots: Roots,
    /// What the processor draws, for where nothing measures it.
    pub power_model: Option<PowerModel>,
    /// How often gauges are read.
    pub period: Duration,
    /// Whether windows open and close at ticks of the counters.
    pub align: bool,
    /// UUIDs of GPUs that other ranks on this machine use, which CUDA may not show to this process.
    pub more_gpus: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        let roots = Roots::of_environment();
        Self {
            roots,
            power_model: None,
            period: SAMPLE_PERIOD,
            align: false,
            more_gpus: Vec::new(),
        }
    }
}

/// A counter that has not ticked for so long, s, is not waited for.
const STANDS_STILL: Seconds = 1.0;

/// All devices and gauges of this machine.
pub struct Meter {
    shared: Arc<Shared>,
    unmetered: Vec<Unmetered>,
    processor: Processor,
    gpus: Result<Gpus, String>,
    align: bool,
    /// Where each power domain of each device is read.
    places: Vec<(String, String, String)>,
    /// What the person who runs it must know.
    notes: Vec<String>,
    _sampler: Sampler,
}

impl Meter {
    /// Looks for every device and gauge, and begins to sample them.
    pub fn discover(options: &Options) -> Self {
        let gpus = Gpus::open(&options.more_gpus);
        let mut found = rapl::discover(&options.roots.sys);
        let processor = Processor::new(&options.roots);
        let notes = options.power_model.and_then(|model| declare(model, &processor, &mut found));
        let more = match &gpus {
            Ok(gpus) => gpus.find(),
            Err(reason) => nvml::unmetered(&options.more_gpus, reason),
        };
        found.metered.extend(more.metered);
        found.unmetered.extend(more.unmetered);
        let place = |one: &Metered| Some((one.device.clone(), one.domain.clone(), one.at.clone()?));
        let places = found.metered.iter().filter_map(place).collect();
        let gauges = found.metered.into_iter().map(Gauge::new).collect();
        let shared = Arc::new(Shared::new(gauges));
        shared.read_all();
        let sampler = Sampler::start(&shared, options.period, processor.clone(), gpus.clone().ok());
        Self {
            shared,
            unmetered: found.unmetered,
            processor,
            gpus,
            align: options.align,
            places,
            notes: notes.into_iter().collect(),
            _sampler: sampler,
        }
    }

    /// Opens a window. The clock is read last, next to the work.
    pub fn open(&self) -> Window {
        self.begin(false)
    }

    /// The same for a span whose energy is to be told at moments within it, too ([`Span::curves`]).
    pub fn follow(&self) -> Window {
        self.begin(true)
    }

    fn begin(&self, is_followed: bool) -> Window {
        if self.align {
            self.wait_for_ticks();
        }
        // Before the clock, so that no window has what it costs.
        let resident = self.shared.resident.open();
        // Held until the clock has been read: a slow reading of the sampler's in between would be in the window.
        let mut gauges: Vec<_> = self.shared.gauges.iter().map(locked).collect();
        let keep = is_followed.then(|| self.shared.keep(&mut gauges, self.shared.now()));
        gauges.iter_mut().for_each(|gauge| gauge.read(|| self.shared.now()));
        let started = Instant::now();
        let at = self.shared.at(started);
        let marks = gauges.iter().map(|gauge| gauge.mark(at)).collect();
        Window { started, marks, resident, keep }
    }

    /// Begins to follow the energy of everything, from now on.
    pub fn following(&self) -> Following {
        let mut gauges: Vec<_> = self.shared.gauges.iter().map(locked).collect();
        let keep = self.shared.keep(&mut gauges, self.shared.now());
        gauges.iter_mut().for_each(|gauge| gauge.read(|| self.shared.now()));
        let until = Instant::now();
        let at = self.shared.at(until);
        let stands = gauges.iter().map(|gauge| Stand::of(gauge, at)).collect();
        Following { until, stands, keep }
    }

    /// Until when the energy of everything is known, rather than guessed: every counter has ticked since. One that has
    /// stood still for long is not waited for.
    pub fn known_until(&self) -> Instant {
        let now = self.shared.now();
        let known = self.shared.gauges.iter().filter_map(|gauge| locked(gauge).known_until());
        self.moment(known.filter(|known| now - known < STANDS_STILL).fold(now, f64::min))
    }

    /// What there is from where the last part ended until a later moment. Nothing is read for it but what the sampler has
    /// read. How devices were, how much memory was in use, and what a reader must know, is not told.
    pub fn part(&self, following: &mut Following, until: Instant) -> Span {
        let mut gauges: Vec<_> = self.shared.gauges.iter().map(locked).collect();
        let started = mem::replace(&mut following.until, until);
        let at = self.shared.at(until);
        let courses = gauges
            .iter()
            .zip(&mut following.stands)
            .map(|(gauge, stand)| (domain(gauge), gauge.source(), stand.go_on(gauge, at)));
        let curves = Curves { epoch: Some(self.shared.epoch), all: courses.collect() };
        following.keep.only_from(&mut gauges, at);
        drop(gauges);
        let unmetered = self.unmetered.iter().map(DeviceEnergy::from);
        let energy = curves.energies().chain(unmetered).collect();
        let (devices, memory, warnings) = (Vec::new(), Vec::new(), Vec::new());
        let wall = until.saturating_duration_since(started);
        Span { started, wall, energy, curves, devices, memory, warnings }
    }

    /// Closes a window. The clock is read first, next to the work.
    pub fn close(&self, window: Window) -> Span {
        let wall = window.started.elapsed();
        let (from, to) = (self.shared.at(window.started), self.shared.at(window.started + wall));
        self.shared.read_all();
        let gauges = &self.shared.gauges;
        let mut closed: Vec<_> = gauges.iter().map(|gauge| locked(gauge).mark(to)).collect();
        let peak = window.resident.close();
        if self.align {
            self.wait_for_ticks();
            for (gauge, mark) in gauges.iter().zip(&mut closed) {
                locked(gauge).bound(mark);
            }
        }
        let mut energy = Vec::new();
        let mut warnings = Vec::new();
        let mut curves = Curves::default();
        for ((gauge, before), after) in gauges.iter().zip(&window.marks).zip(&closed) {
            let gauge = locked(gauge);
            let (reading, warning) = gauge.energy(before, after);
            warnings.extend(warning);
            energy.push(DeviceEnergy {
                device: gauge.device.to_string(),
                domain: gauge.domain.to_string(),
                energy: reading,
            });
            if window.keep.is_some() {
                curves.epoch = Some(self.shared.epoch);
                curves.all.push(curve(&gauge, before, after));
            }
        }
        energy.extend(self.unmetered.iter().map(DeviceEnergy::from));
        let history = locked(&self.shared.history);
        let devices = history.devices(from, to);
        warnings.extend(devices.iter().flat_map(|device| device.warnings()));
        warnings.extend(history.gap(from, to));
        let (device, kind) = ("cpu".to_owned(), MemoryKind::ProcessResident);
        let resident = MemoryPeak { device, kind, peak };
        let memory =
            [resident].into_iter().chain(devices.iter().flat_map(DeviceSpan::memory)).collect();
        Span { started: window.started, wall, energy, curves, devices, memory, warnings }
    }

    /// Waits until every counter whose ticks can be told apart has ticked, but not for one that does not.
    fn wait_for_ticks(&self) {
        let ticks = |gauge: &std::sync::Mutex<Gauge>| locked(gauge).last_tick();
        let before: Vec<_> = self.shared.gauges.iter().map(ticks).collect();
        let longest = self.longest_period();
        let began = Instant::now();
        while began.elapsed().as_secs_f64() < PATIENCE * longest {
            let mut after = self.shared.gauges.iter().map(ticks).zip(&before);
            if after.all(|(now, before)| before.is_none() || now != *before) {
                return;
            }
            thread::sleep(WATCH_PERIOD);
            self.shared.read_all();
        }
    }

    fn longest_period(&self) -> Seconds {
        let watched = self.shared.gauges.iter().filter_map(|gauge| {
            let gauge = locked(gauge);
            gauge.last_tick()?;
            Some(gauge.period()?.value)
        });
        watched.fold(0.0, f64::max)
    }

    /// How finely each gauge tells.
    pub fn resolutions(&self) -> Vec<Resolution> {
        let metered = self.shared.gauges.iter().map(|gauge| {
            let gauge = locked(gauge);
            Resolution {
                device: gauge.device.to_string(),
                domain: gauge.domain.to_string(),
                source: Ok(gauge.source()),
                update_period: gauge
                    .period()
                    .ok_or_else(|| "a declared power model has none".to_owned()),
            }
        });
        let missing = self.unmetered.iter().map(|unmetered| Resolution {
            device: unmetered.device.clone(),
            domain: unmetered.domain.clone().unwrap_or_else(|| UNMEASURED.to_owned()),
            source: Err(unmetered.reason.clone()),
            update_period: Err(unmetered.reason.clone()),
        });
        metered.chain(missing).collect()
    }

    /// Every device, the CPU first.
    pub fn devices(&self) -> Vec<Device> {
        let mut devices = vec![self.processor.describe(self.energy_source("cpu"))];
        if let Ok(gpus) = &self.gpus {
            devices.extend(gpus.devices(|id| self.energy_source(id)));
        }
        devices
    }

    /// What meters a device, or why nothing does.
    fn energy_source(&self, device: &str) -> Result<Source, String> {
        let metered = self.shared.gauges.iter().map(locked).find(|gauge| &*gauge.device == device);
        metered.map(|gauge| gauge.source()).ok_or_else(|| {
            let reason = self.unmetered.iter().find(|unmetered| unmetered.device == device);
            reason.map_or_else(String::new, |unmetered| unmetered.reason.clone())
        })
    }

    /// Where a power domain of a device is read: a folder of the kernel's, or `nvml` and a card's UUID.
    pub fn place_of(&self, device: &str, domain: &str) -> Option<&str> {
        let place = self.places.iter().find(|(of, part, _)| of == device && part == domain);
        place.map(|(_, _, at)| &at[..])
    }

    /// The id under which the physical card is metered that has a UUID, of its own or of a MIG instance of it, or
    /// that is the GPU with this id. Two instances of a card have two ids, and one of them stands for its energy.
    pub fn device_of(&self, identity: &str) -> Option<String> {
        self.gpus.as_ref().ok()?.device_of(identity)
    }

    /// Why there are no GPUs, where there are none.
    pub fn gpus_missing(&self) -> Option<&str> {
        self.gpus.as_ref().err().map(String::as_str)
    }

    /// What the person who runs it must know.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// A device now; none where no device has that id.
    pub fn state(&self, id: &str) -> Option<DeviceState> {
        match id {
            "cpu" => Some(self.processor.state()),
            gpu => self.gpus.as_ref().ok()?.state(gpu),
        }
    }

    /// Samples of power since a moment, with when each was taken.
    pub fn samples_since(&self, moment: Instant) -> Vec<(Instant, Sample)> {
        let samples = locked(&self.shared.history).since(self.shared.at(moment));
        samples.into_iter().map(|sample| (self.moment(sample.at), sample)).collect()
    }

    /// When the meter's clock showed `at`.
    pub fn moment(&self, at: Seconds) -> Instant {
        self.shared.epoch + Duration::from_secs_f64(at.max(0.0))
    }

    /// Hands every sample to `sink` from now on, or to nobody.
    pub fn hand_samples_to(&self, sink: Option<Box<dyn Sink>>) {
        self.shared.hand_to(sink);
    }

    /// What sampling has cost so far.
    pub fn sampler_cost(&self) -> SamplerCost {
        self.shared.cost()
    }
}

/// A gauge's course between two marks.
fn curve(gauge: &Gauge, from: &Mark, to: &Mark) -> (Domain, Source, Result<Curve, String>) {
    (domain(gauge), gauge.source(), gauge.curve(from, to))
}

fn domain(gauge: &Gauge) -> Domain {
    Domain { device: gauge.device.to_string(), domain: gauge.domain.to_string() }
}

/// Puts a declared model in place of what is missing, and says where it is not used.
fn declare(model: PowerModel, processor: &Processor, found: &mut Found) -> Option<String> {
    if !found.metered.is_empty() {
        return Some("cpu has a counter: the declared power model is not used".to_owned());
    }
    let declared = Declared { model, processor: processor.clone() };
    if let Err(reason) = declared.read() {
        return Some(format!("the declared power model cannot be used: {reason}"));
    }
    found.unmetered.clear();
    found.metered.push(Metered {
        device: "cpu".to_owned(),
        domain: "declared".to_owned(),
        at: None,
        instrument: Instrument::Declared(declared),
    });
    None
}
