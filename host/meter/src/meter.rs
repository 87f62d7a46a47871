//! The meter of this machine: all devices, all domains, and the windows that measure them.

use crate::{
    clock::Seconds,
    continuous_window::{ContinuousWindow, DomainCursor},
    device::{Device, DeviceState},
    domain::{DomainId, Resolution},
    domain_curves::{DomainCurve, DomainCurves},
    domain_meter::DomainMeter,
    history::{DeviceSummary, Sample},
    lock::lock,
    memory::{MemoryKind, MemoryPeak, ResidentSet},
    processor::{Processor, Roots},
    sampler::{SamplerCost, SamplerThread, Sink},
    shared_state::SharedState,
    sources::{
        Discovery, Instrument, MeteredDomain, UnmeteredDomain,
        declared::{DeclaredPower, PowerModel},
        nvml::{self, Gpus},
        rapl,
        synthetic::{self, SyntheticPower, SyntheticReader},
    },
    window::{ClosedWindow, DeviceEnergy, Window},
};
use llem_quantity::{Cause, Source, Unavailable};
use std::{
    mem,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

/// The default time between two readings of every counter and sensor.
pub const SAMPLE_PERIOD: Duration = Duration::from_millis(10);

/// Time between two readings of a counter while its next tick is waited for.
const TICK_POLL: Duration = Duration::from_millis(1);

/// How long a tick is waited for, as a multiple of the longest time between two ticks.
const PATIENCE: f64 = 3.0;

/// A counter that has not ticked for this long, s, is not waited for.
const STANDSTILL: Seconds = 1.0;

/// How the machine is metered.
#[derive(Clone, Debug)]
pub struct MeterOptions {
    /// The folders of the kernel's files.
    pub roots: Roots,
    /// A power model of the processor. It is used only if nothing measures the processor.
    pub power_model: Option<PowerModel>,
    /// Time between two readings of every counter and sensor.
    pub period: Duration,
    /// Whether windows open and close at ticks of the counters.
    pub align: bool,
    /// The given power of a synthetic host. The machine's own devices are not looked for then.
    pub synthetic: Option<SyntheticPower>,
    /// UUIDs of GPUs that other ranks on this machine use. CUDA may not show them to this process.
    pub more_gpus: Vec<String>,
}

/// Reads `/proc` and `/sys` unless `LLEM_PROC` or `LLEM_SYS` name other folders, every [`SAMPLE_PERIOD`], without a power
/// model and without waiting for ticks.
impl Default for MeterOptions {
    fn default() -> Self {
        Self {
            roots: Roots::from_environment(),
            power_model: None,
            period: SAMPLE_PERIOD,
            align: false,
            synthetic: None,
            more_gpus: Vec::new(),
        }
    }
}

/// All devices of this machine, and the meters of their power domains. A thread reads them until the meter is dropped.
pub struct Meter {
    shared: Arc<SharedState>,
    unmetered: Vec<UnmeteredDomain>,
    processor: Processor,
    gpus: Result<Gpus, Unavailable>,
    align: bool,
    /// Where each metered domain is read.
    locations: Vec<(DomainId, String)>,
    notes: Vec<String>,
    /// `None` on a synthetic host, which is read whenever its energy is asked for.
    sampler: Option<SamplerThread>,
}

impl Meter {
    /// Finds all devices and their counters, and starts to sample them.
    pub fn discover(options: &MeterOptions) -> Self {
        if let Some(power) = &options.synthetic {
            return Self::synthetic(options, power.clone());
        }
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
        let location = |one: &MeteredDomain| Some((one.id.clone(), one.at.clone()?));
        let locations = found.metered.iter().filter_map(location).collect();
        let meters = found.metered.into_iter().map(DomainMeter::new).collect();
        let resident = ResidentSet::from_process();
        let shared = Arc::new(SharedState::new(meters, llem_clock::now(), resident));
        shared.read_all();
        let sampler =
            SamplerThread::start(&shared, options.period, processor.clone(), gpus.clone().ok());
        Self {
            shared,
            unmetered: found.unmetered,
            processor,
            gpus,
            align: options.align,
            locations,
            notes: notes.into_iter().collect(),
            sampler: Some(sampler),
        }
    }

    /// Meters a synthetic host, whose energy is given.
    fn synthetic(options: &MeterOptions, power: SyntheticPower) -> Self {
        let epoch = llem_clock::now();
        let instrument = Instrument::Synthetic(SyntheticReader::new(power, epoch));
        let domain = MeteredDomain { id: synthetic::domain(), at: None, instrument };
        let resident = ResidentSet::unknown(synthetic::not_given("resident set"));
        let meters = vec![DomainMeter::new(domain)];
        Self {
            shared: Arc::new(SharedState::new(meters, epoch, resident)),
            unmetered: Vec::new(),
            processor: Processor::new(&options.roots),
            gpus: Err(synthetic::not_given("GPUs")),
            align: false,
            locations: Vec::new(),
            notes: Vec::new(),
            sampler: None,
        }
    }

    fn is_synthetic(&self) -> bool {
        self.sampler.is_none()
    }

    /// Reads a synthetic host until now. On every other host, the sampler's thread reads.
    fn catch_up(&self) {
        if self.is_synthetic() {
            self.shared.read_all();
        }
    }

    /// Opens a window. The clock is read last, next to the work.
    pub fn open(&self) -> Window {
        self.open_window(false)
    }

    /// Opens a window whose energy will also be known at moments within it ([`ClosedWindow::curves`]).
    pub fn open_with_curves(&self) -> Window {
        self.open_window(true)
    }

    fn open_window(&self, has_curves: bool) -> Window {
        if self.align {
            self.wait_for_ticks();
        }
        // Before the clock is read, so that its cost is not in the window.
        let resident = self.shared.resident.open();
        // The locks are held until the clock has been read. Otherwise a slow reading by the sampler could fall in between
        // and be part of the window.
        let mut meters: Vec<_> = self.shared.meters.iter().map(lock).collect();
        let retention = has_curves.then(|| self.shared.retain(&mut meters, self.shared.now()));
        meters.iter_mut().for_each(|meter| meter.read(|| self.shared.now()));
        let started = llem_clock::now();
        let at = self.shared.at(started);
        let snapshots = meters.iter().map(|meter| meter.snapshot(at)).collect();
        Window { started, snapshots, resident, retention }
    }

    /// Opens a window whose energy [`Meter::next_part`] returns in consecutive parts.
    pub fn open_continuous(&self) -> ContinuousWindow {
        let mut meters: Vec<_> = self.shared.meters.iter().map(lock).collect();
        let retention = self.shared.retain(&mut meters, self.shared.now());
        meters.iter_mut().for_each(|meter| meter.read(|| self.shared.now()));
        let until = llem_clock::now();
        let at = self.shared.at(until);
        let cursors = meters.iter().map(|meter| DomainCursor::new(meter, at)).collect();
        ContinuousWindow { until, cursors, retention }
    }

    /// Returns the last moment until which all energy is known rather than estimated, because every counter has ticked
    /// since. A counter that has stood still for long is not waited for.
    pub fn known_until(&self) -> Instant {
        self.catch_up();
        let now = self.shared.now();
        let known = self.shared.meters.iter().filter_map(|meter| lock(meter).known_until());
        self.moment(known.filter(|known| now - known < STANDSTILL).fold(now, f64::min))
    }

    /// Returns the part of a continuous window from the end of the last part until `until`. Nothing is read: the part is
    /// computed from what the sampler has read. It has no device summaries, no memory peaks and no warnings.
    pub fn next_part(&self, window: &mut ContinuousWindow, until: Instant) -> ClosedWindow {
        self.catch_up();
        let mut meters: Vec<_> = self.shared.meters.iter().map(lock).collect();
        let started = mem::replace(&mut window.until, until);
        let at = self.shared.at(until);
        let curves = meters.iter().zip(&mut window.cursors).map(|(meter, cursor)| DomainCurve {
            id: (*meter.id).clone(),
            source: meter.source(),
            curve: cursor.advance(meter, at),
        });
        let curves = DomainCurves { epoch: Some(self.shared.epoch), all: curves.collect() };
        window.retention.drop_before(&mut meters, at);
        drop(meters);
        let unmetered = self.unmetered.iter().map(DeviceEnergy::from);
        let energy = curves.energies().chain(unmetered).collect();
        let (devices, memory, warnings) = (Vec::new(), Vec::new(), Vec::new());
        let wall = until.saturating_duration_since(started);
        ClosedWindow { started, wall, energy, curves, devices, memory, warnings }
    }

    /// Closes a window. The clock is read first, next to the work.
    pub fn close(&self, window: Window) -> ClosedWindow {
        let wall = llem_clock::elapsed(window.started);
        let (from, to) = (self.shared.at(window.started), self.shared.at(window.started + wall));
        self.shared.read_all();
        let meters = &self.shared.meters;
        let mut closed: Vec<_> = meters.iter().map(|meter| lock(meter).snapshot(to)).collect();
        let peak = window.resident.close();
        if self.align {
            self.wait_for_ticks();
            for (meter, snapshot) in meters.iter().zip(&mut closed) {
                lock(meter).bound_by_next_tick(snapshot);
            }
        }
        let mut energy = Vec::new();
        let mut warnings = Vec::new();
        let mut curves = DomainCurves::default();
        for ((meter, before), after) in meters.iter().zip(&window.snapshots).zip(&closed) {
            let meter = lock(meter);
            let (reading, warning) = meter.energy(before, after);
            warnings.extend(warning);
            let id = (*meter.id).clone();
            energy.push(DeviceEnergy { id: id.clone(), energy: reading });
            if window.retention.is_some() {
                let (source, curve) = (meter.source(), meter.curve(before, after));
                curves.epoch = Some(self.shared.epoch);
                curves.all.push(DomainCurve { id, source, curve });
            }
        }
        energy.extend(self.unmetered.iter().map(DeviceEnergy::from));
        let history = lock(&self.shared.history);
        let devices = history.devices(from, to);
        warnings.extend(devices.iter().flat_map(|device| device.warnings()));
        warnings.extend(history.gap(from, to));
        let (device, kind) = ("cpu".to_owned(), MemoryKind::ProcessResident);
        let resident = MemoryPeak { device, kind, peak };
        let memory =
            [resident].into_iter().chain(devices.iter().flat_map(DeviceSummary::memory)).collect();
        ClosedWindow { started: window.started, wall, energy, curves, devices, memory, warnings }
    }

    /// Waits until every counter with visible ticks has ticked, but only for a limited time.
    fn wait_for_ticks(&self) {
        let last_tick = |meter: &Mutex<DomainMeter>| lock(meter).last_tick();
        let before: Vec<_> = self.shared.meters.iter().map(last_tick).collect();
        let longest = self.longest_period();
        let began = llem_clock::now();
        while llem_clock::elapsed(began).as_secs_f64() < PATIENCE * longest {
            let mut after = self.shared.meters.iter().map(last_tick).zip(&before);
            if after.all(|(now, before)| before.is_none() || now != *before) {
                return;
            }
            thread::sleep(TICK_POLL);
            self.shared.read_all();
        }
    }

    fn longest_period(&self) -> Seconds {
        let watched = self.shared.meters.iter().filter_map(|meter| {
            let meter = lock(meter);
            meter.last_tick()?;
            Some(meter.period()?.value)
        });
        watched.fold(0.0, f64::max)
    }

    /// Returns the source and the update period of every domain, including domains that nothing meters.
    pub fn resolutions(&self) -> Vec<Resolution> {
        let no_period =
            || Unavailable::new(Cause::NotSupported, "only counters and sensors have one");
        let metered = self.shared.meters.iter().map(|meter| {
            let meter = lock(meter);
            Resolution {
                id: (*meter.id).clone(),
                source: Ok(meter.source()),
                update_period: meter.period().ok_or_else(no_period),
            }
        });
        let missing = self.unmetered.iter().map(|unmetered| Resolution {
            id: unmetered.id.clone(),
            source: Err(unmetered.reason.clone()),
            update_period: Err(unmetered.reason.clone()),
        });
        metered.chain(missing).collect()
    }

    /// Returns every device, the CPU first.
    pub fn devices(&self) -> Vec<Device> {
        if self.is_synthetic() {
            return vec![synthetic::device()];
        }
        let mut devices = vec![self.processor.describe(self.energy_source("cpu"))];
        if let Ok(gpus) = &self.gpus {
            devices.extend(gpus.devices(|id| self.energy_source(id)));
        }
        devices
    }

    /// Returns what meters a device, or why nothing does.
    fn energy_source(&self, device: &str) -> Result<Source, Unavailable> {
        let metered = self.shared.meters.iter().map(lock).find(|meter| meter.id.device == device);
        metered.map(|meter| meter.source()).ok_or_else(|| {
            let unmetered = self.unmetered.iter().find(|unmetered| unmetered.id.device == device);
            let unknown = || Unavailable::new(Cause::Other, "");
            unmetered.map_or_else(unknown, |unmetered| unmetered.reason.clone())
        })
    }

    /// Returns where a domain is read: a folder of the kernel, or `nvml` and a card's UUID. Returns `None` if nothing is
    /// read.
    pub fn location(&self, id: &DomainId) -> Option<&str> {
        let location = self.locations.iter().find(|(of, _)| of == id);
        location.map(|(_, at)| &at[..])
    }

    /// Returns the id under which a physical card is metered. `identity` is the UUID of the card or of one of its MIG
    /// instances, or the id of a GPU. Two instances of a card have two ids, and the card's energy is under one of them.
    pub fn device_of(&self, identity: &str) -> Option<String> {
        self.gpus.as_ref().ok()?.device_of(identity)
    }

    /// Returns why there are no GPUs, or `None` if there are some.
    pub fn gpus_missing(&self) -> Option<&Unavailable> {
        self.gpus.as_ref().err()
    }

    /// Returns what the person who runs the program must know, such as that a declared power model is not used.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Reads the state of a device now. Returns `None` if no device has this id.
    pub fn state(&self, id: &str) -> Option<DeviceState> {
        match id {
            "cpu" if self.is_synthetic() => Some(synthetic::state()),
            "cpu" => Some(self.processor.state()),
            gpu => self.gpus.as_ref().ok()?.state(gpu),
        }
    }

    /// Returns the samples of power since a moment, each with the moment at which it was taken.
    pub fn samples_since(&self, moment: Instant) -> Vec<(Instant, Sample)> {
        self.catch_up();
        let samples = lock(&self.shared.history).since(self.shared.at(moment));
        samples.into_iter().map(|sample| (self.moment(sample.at), sample)).collect()
    }

    /// Converts a time on the meter's clock to a moment.
    pub fn moment(&self, at: Seconds) -> Instant {
        self.shared.epoch + Duration::from_secs_f64(at.max(0.0))
    }

    /// Hands every sample to `sink` from now on, or to nothing if it is `None`.
    pub fn hand_samples_to(&self, sink: Option<Box<dyn Sink>>) {
        self.catch_up();
        self.shared.set_sink(sink);
    }

    /// Returns what sampling has cost so far.
    pub fn sampler_cost(&self) -> SamplerCost {
        self.shared.cost()
    }
}

/// Uses a declared power model if the processor has no counter. Returns a note if the model is not used.
fn declare(model: PowerModel, processor: &Processor, found: &mut Discovery) -> Option<String> {
    if !found.metered.is_empty() {
        return Some("cpu has a counter: the declared power model is not used".to_owned());
    }
    let declared = DeclaredPower { model, processor: processor.clone() };
    if let Err(reason) = declared.read() {
        return Some(format!("the declared power model cannot be used: {reason}"));
    }
    found.unmetered.clear();
    found.metered.push(MeteredDomain {
        id: DomainId::new("cpu", "declared"),
        at: None,
        instrument: Instrument::Declared(declared),
    });
    None
}
