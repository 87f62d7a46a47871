//! A power domain with all that has been read of it.

use crate::{
    account::{Account, Edge},
    clock::Seconds,
    curve::{Curve, Knot},
    estimate::Estimate,
    integral::{Integral, Reached},
    processor::CpuTime,
    sources::{Counter, Instrument, Metered, Raw, Sensor, declared::Declaring},
    warning::Warning,
};
use llem_quantity::{Quantity, Reading, Source};
use std::sync::Arc;

/// Spans from here on are long enough for a counter and a sensor that averages to be compared, s.
const COMPARABLE: Seconds = 2.0;

/// How much a counter and integrated power may differ beyond their uncertainties, as a share: what rounding of the
/// sensor's watts alone may do.
const TOLERANCE: f64 = 0.01;

/// Why a gauge tells nothing.
const UNREAD: &str = "it has not been read yet";

/// A power domain and its history.
pub struct Gauge {
    /// The device's id.
    pub device: Arc<str>,
    /// The power domain within it.
    pub domain: Arc<str>,
    counter: Option<Counting>,
    sensor: Option<Sensing>,
    declared: Option<Declaring>,
}

struct Counting {
    counter: Box<dyn Counter>,
    account: Account,
    last: Option<Raw>,
    faults: Faults,
}

struct Sensing {
    sensor: Box<dyn Sensor>,
    integral: Integral,
    faults: Faults,
}

/// Readings that failed: a span with one in it, or at its edge, has no energy.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    count: u64,
    /// Why the latest reading failed, if it did.
    now: Option<String>,
    /// Why the last that failed did.
    last: String,
}

impl Faults {
    fn note(&mut self, outcome: Result<(), String>) {
        self.now = outcome.err();
        if let Some(reason) = &self.now {
            self.count += 1;
            self.last.clone_from(reason);
        }
    }

    /// What was so when a span began stands in `before`.
    pub fn since(&self, before: &Self) -> Result<(), String> {
        match before.now.as_ref() {
            Some(reason) => Err(reason.clone()),
            None if self.count > before.count => Err(self.last.clone()),
            None => Ok(()),
        }
    }
}

/// What was on a gauge at a moment.
#[derive(Clone, Debug)]
pub struct Mark {
    at: Seconds,
    edge: Option<(Edge, Faults)>,
    reached: Option<(Reached, Faults)>,
    processor: Option<Result<CpuTime, String>>,
}

impl Gauge {
    /// Nothing read yet.
    pub fn new(metered: Metered) -> Self {
        let counting = |counter: Box<dyn Counter>| Counting {
            account: Account::new(counter.period()),
            counter,
            last: None,
            faults: Faults::default(),
        };
        let sensing = |sensor: Box<dyn Sensor>| Sensing {
            integral: Integral::new(sensor.period(), sensor.limit()),
            sensor,
            faults: Faults::default(),
        };
        let (counter, sensor, declared) = match metered.instrument {
            Instrument::Counter(counter) => (Some(counting(counter)), None, None),
            Instrument::Both(counter, sensor) => {
                (Some(counting(counter)), Some(sensing(sensor)), None)
            }
            Instrument::Sensor(sensor) => (None, Some(sensing(sensor)), None),
            Instrument::Declared(declared) => (None, None, Some(Declaring::new(declared))),
        };
        let (device, domain) = (metered.device.into(), metered.domain.into());
        Self { device, domain, counter, sensor, declared }
    }

    /// What kind of reading its energy is.
    pub fn source(&self) -> Source {
        match (&self.counter, &self.sensor) {
            (Some(counting), _) => counting.counter.source(),
            (None, Some(_)) => Source::NvmlPower,
            (None, None) => Source::Modelled,
        }
    }

    /// Reads it; what cannot be read breaks every window that is open.
    pub fn read(&mut self, clock: impl Fn() -> Seconds) {
        if let Some(counting) = &mut self.counter {
            counting.read(&clock);
        }
        if let Some(sensing) = &mut self.sensor {
            sensing.read(&clock);
        }
        if let Some(declared) = &mut self.declared {
            declared.read_now_and_then(clock());
        }
    }

    /// Remembers all that is read from a moment on, for [`Gauge::curve`], until it is told another.
    pub fn keep_from(&mut self, moment: Seconds) {
        if let Some(counting) = &mut self.counter {
            counting.account.keep_from(moment);
        } else if let Some(sensing) = &mut self.sensor {
            sensing.integral.keep_from(moment);
        }
        if let Some(declared) = &mut self.declared {
            declared.keep_from(moment);
        }
    }

    /// What is on it at `at`, when it has just been read.
    pub fn mark(&self, at: Seconds) -> Mark {
        Mark {
            at,
            edge: self.counter.as_ref().map(|it| (it.account.edge(at), it.faults.clone())),
            reached: self
                .sensor
                .as_ref()
                .and_then(|it| Some((it.integral.reach(at)?, it.faults.clone()))),
            processor: self.declared.as_ref().map(Declaring::read),
        }
    }

    /// Bounds what was used until a mark by the tick that has come after it.
    pub fn bound(&self, mark: &mut Mark) {
        if let (Some(counting), Some((edge, _))) = (&self.counter, &mut mark.edge) {
            let ticked = counting.account.total() - edge.counted;
            edge.most = (ticked > 0.0).then_some(ticked);
        }
    }

    /// Joules since it was first read, as far as it has been read.
    pub fn total(&self) -> Option<f64> {
        match (&self.counter, &self.sensor) {
            (Some(counting), _) => Some(counting.account.total()),
            (None, sensing) => sensing.as_ref().map(|sensing| sensing.integral.total()),
        }
    }

    /// What the sensor told last, W.
    pub fn watts(&self) -> Option<f64> {
        let sensing = self.sensor.as_ref().filter(|sensing| sensing.faults.now.is_none())?;
        sensing.integral.power()
    }

    /// When the counter was last seen to change, if its ticks can be told apart.
    pub fn last_tick(&self) -> Option<Option<Seconds>> {
        let account = &self.counter.as_ref()?.account;
        account.ticks_are_seen().then(|| account.last_change())
    }

    /// Time between two updates, s: as observed, or else as it is known of its kind.
    pub fn period(&self) -> Option<Quantity> {
        let known = |seconds: Seconds| {
            // Nominal: an edge may fall anywhere within, so half of it is uncertain (GUM 4.3.7).
            Quantity::new(seconds, seconds / 12f64.sqrt(), "s", Source::Modelled)
        };
        if let Some(Counting { account, .. }) = &self.counter {
            let observed = account.observed_period();
            let observed = observed
                .map(|seen| Quantity::new(seen.value, seen.uncertainty, "s", Source::Sensor));
            return Some(observed.unwrap_or_else(|| known(account.longest())));
        }
        self.sensor.as_ref().map(|sensing| known(sensing.sensor.period()))
    }

    /// Energy from one mark to a later one, J, and what a reader must know of it.
    pub fn energy(&self, from: &Mark, to: &Mark) -> (Reading, Option<Warning>) {
        let wall = to.at - from.at;
        let stated = |estimate: Estimate, source| {
            Quantity::new(estimate.value, estimate.uncertainty, "J", source)
        };
        let integrated = self.integrated(from, to);
        if let Some(counting) = &self.counter {
            let counted = counting.between(from, to);
            let warning = match (&counted, &integrated) {
                (Ok(counted), Some(Ok(integrated))) if wall >= COMPARABLE => {
                    self.disagreement(*counted, *integrated)
                }
                _ => None,
            };
            return (counted.map(|counted| stated(counted, counting.counter.source())), warning);
        }
        if let (Some(declared), Some(before), Some(after)) =
            (&self.declared, &from.processor, &to.processor)
        {
            let both = before.clone().and_then(|before| Ok((before, after.clone()?)));
            let energy = both.map(|(before, after)| declared.energy(before, after, wall));
            return (energy.map(|energy| stated(energy, Source::Modelled)), None);
        }
        let unread = || Err(UNREAD.to_owned());
        let energy = integrated.unwrap_or_else(unread);
        (energy.map(|energy| stated(energy, Source::NvmlPower)), None)
    }

    /// Joules until a moment, as far as it has been read; none where nothing is known of it yet.
    pub fn position(&self, at: Seconds) -> Option<Knot> {
        match (&self.counter, &self.declared, &self.sensor) {
            (Some(counting), ..) => counting.account.position(at),
            (None, Some(declared), _) => declared.position(at),
            (None, None, sensing) => sensing.as_ref()?.integral.position(at),
        }
    }

    /// Until when its joules are known, rather than guessed.
    pub fn known_until(&self) -> Option<Seconds> {
        match (&self.counter, &self.declared, &self.sensor) {
            (Some(counting), ..) => counting.account.known_until(),
            (None, Some(declared), _) => declared.known_until(),
            (None, None, sensing) => sensing.as_ref()?.integral.known_until(),
        }
    }

    /// What was told between two moments.
    pub fn knots(&self, from: Knot, to: Seconds) -> Vec<Knot> {
        match (&self.counter, &self.declared, &self.sensor) {
            (Some(counting), ..) => counting.account.knots(from, to),
            (None, Some(declared), _) => declared.knots(from, to),
            (None, None, sensing) => {
                let sensing = sensing.as_ref();
                sensing.map_or_else(Vec::new, |sensing| sensing.integral.knots(from, to))
            }
        }
    }

    /// A course without a tick in it does not see what was used: anything up to what the device may draw.
    pub fn seen(&self, course: Curve) -> Curve {
        let Some(_) = &self.counter else { return course };
        let limit = self.sensor.as_ref().and_then(|sensing| sensing.sensor.limit());
        course.with_unseen(limit)
    }

    /// By how much what it tells lags behind, s.
    pub fn lag(&self) -> Seconds {
        match (&self.counter, &self.sensor) {
            (None, Some(sensing)) => sensing.sensor.period(),
            _ => 0.0,
        }
    }

    /// Readings of what its energy is made of that have failed.
    pub fn faults(&self) -> Faults {
        let counter = self.counter.as_ref().map(|counting| &counting.faults);
        let faults = counter.or(self.sensor.as_ref().map(|sensing| &sensing.faults));
        faults.cloned().unwrap_or_default()
    }

    /// Energy from one mark to a later one as a curve over the time between them, all of whose readings were to be
    /// kept; or why there is none.
    pub fn curve(&self, from: &Mark, to: &Mark) -> Result<Curve, String> {
        if let Some(counting) = &self.counter {
            let (Some((first, before)), Some((last, _))) = (&from.edge, &to.edge) else {
                return Err(UNREAD.to_owned());
            };
            counting.faults.since(before)?;
            let course = counting.account.curve(first, last).ok_or_else(|| {
                "the counter has ticked too seldom for its energy to be told apart".to_owned()
            });
            return course.map(|course| self.seen(course));
        }
        if let (Some(declared), Some(before), Some(after)) =
            (&self.declared, &from.processor, &to.processor)
        {
            let [before, after] = [before.clone()?, after.clone()?];
            return Ok(declared.curve((from.at, before), (to.at, after)));
        }
        let (Some(sensing), Some((first, before)), Some((last, _))) =
            (&self.sensor, &from.reached, &to.reached)
        else {
            return Err(UNREAD.to_owned());
        };
        sensing.faults.since(before)?;
        sensing.integral.curve(first, last).ok_or_else(|| "the span is empty".to_owned())
    }

    fn integrated(&self, from: &Mark, to: &Mark) -> Option<Result<Estimate, String>> {
        let sensing = self.sensor.as_ref()?;
        let ((first, before), (last, _)) = (from.reached.as_ref()?, to.reached.as_ref()?);
        let energy = sensing.faults.since(before).and_then(|()| {
            sensing.integral.between(first, last).ok_or_else(|| "the span is empty".to_owned())
        });
        Some(energy)
    }

    fn disagreement(&self, counted: Estimate, integrated: Estimate) -> Option<Warning> {
        let difference = (counted.value - integrated.value).abs();
        let expected = 2.0 * counted.uncertainty.hypot(integrated.uncertainty);
        (difference > expected + TOLERANCE * counted.value).then(|| Warning::Disagreement {
            device: self.device.to_string(),
            counted: counted.value,
            integrated: integrated.value,
        })
    }
}

impl Counting {
    fn read(&mut self, clock: &impl Fn() -> Seconds) {
        let began = clock();
        let raw = self.counter.read();
        let at = (began + clock()) / 2.0;
        let gained = raw.and_then(|raw| match self.last.replace(raw) {
            Some(before) => self.counter.joules(before, raw),
            None => Ok(0.0),
        });
        let outcome = gained.map(|gained| self.account.observe(at, gained));
        self.faults.note(outcome);
    }

    fn between(&self, from: &Mark, to: &Mark) -> Result<Estimate, String> {
        let (Some((first, before)), Some((last, _))) = (&from.edge, &to.edge) else {
            return Err(UNREAD.to_owned());
        };
        self.faults.since(before)?;
        first.until(last).ok_or_else(|| {
            let (wall, period) = ((to.at - from.at) * 1e3, self.account.longest() * 1e3);
            if last.counted <= first.counted && wall > 2.0 * period {
                format!("the counter has not moved in {wall:.0} ms, though it updates every {period:.0} ms: it stands still")
            } else {
                format!("the window of {wall:.3} ms is too short for a counter that updates every {period:.0} ms")
            }
        })
    }
}

impl Sensing {
    fn read(&mut self, clock: &impl Fn() -> Seconds) {
        let began = clock();
        let watts = self.sensor.read().and_then(|watts| match watts.is_finite() && watts >= 0.0 {
            true => Ok(watts),
            false => Err(format!("the power sensor told {watts} W")),
        });
        let at = (began + clock()) / 2.0;
        let outcome = watts.map(|watts| self.integral.observe(at, watts));
        self.faults.note(outcome);
    }
}
