//! One power domain, its instruments, and everything that has been read of it.

use crate::{
    clock::Seconds,
    curve::{Curve, Knot},
    domain::DomainId,
    faults::Faults,
    instrument_readers::{CounterReader, SensorReader},
    integral::IntegralSnapshot,
    processor::CpuTime,
    sources::{
        Instrument, MeteredDomain, declared::DeclaredPowerReader, synthetic::SyntheticReader,
    },
    tick_counter::CounterSnapshot,
    uncertain_value::UncertainValue,
    warning::Warning,
};
use llem_quantity::{Cause, Quantity, Reading, Source, Unavailable};
use std::sync::Arc;

/// The shortest window in which the counter and the integrated power are compared, s. A sensor may average over one
/// second, so shorter windows would compare different times.
const COMPARABLE: Seconds = 2.0;

/// How much the counter and the integrated power may differ beyond their uncertainties, as a share of the energy: the
/// rounding of the sensor's watts alone can cause this much.
const TOLERANCE: f64 = 0.01;

/// A power domain, its instruments, and the history of their readings.
pub(crate) struct DomainMeter {
    pub id: Arc<DomainId>,
    counter: Option<CounterReader>,
    sensor: Option<SensorReader>,
    declared: Option<DeclaredPowerReader>,
    synthetic: Option<SyntheticReader>,
}

/// The state of a domain's meter at one end of a window.
#[derive(Clone, Debug)]
pub(crate) struct DomainSnapshot {
    at: Seconds,
    counter: Option<(CounterSnapshot, Faults)>,
    integral: Option<(IntegralSnapshot, Faults)>,
    processor: Option<Result<CpuTime, Unavailable>>,
    given: Option<Knot>,
}

impl DomainMeter {
    pub(crate) fn new(metered: MeteredDomain) -> Self {
        let id = Arc::new(metered.id);
        let mut meter = Self { id, counter: None, sensor: None, declared: None, synthetic: None };
        match metered.instrument {
            Instrument::Counter(counter) => meter.counter = Some(CounterReader::new(counter)),
            Instrument::Both(counter, sensor) => {
                meter.counter = Some(CounterReader::new(counter));
                meter.sensor = Some(SensorReader::new(sensor));
            }
            Instrument::Sensor(sensor) => meter.sensor = Some(SensorReader::new(sensor)),
            Instrument::Declared(declared) => {
                meter.declared = Some(DeclaredPowerReader::new(declared));
            }
            Instrument::Synthetic(synthetic) => meter.synthetic = Some(synthetic),
        }
        meter
    }

    /// Returns the source of the domain's energy.
    pub(crate) fn source(&self) -> Source {
        match (&self.counter, &self.sensor) {
            (Some(reader), _) => reader.counter.source(),
            (None, Some(_)) => Source::NvmlPower,
            (None, None) if self.synthetic.is_some() => Source::Simulated,
            (None, None) => Source::Modelled,
        }
    }

    /// Reads all instruments. A failed reading makes the energy of every open window unavailable.
    pub(crate) fn read(&mut self, clock: impl Fn() -> Seconds) {
        if let Some(reader) = &mut self.counter {
            reader.read(&clock);
        }
        if let Some(reader) = &mut self.sensor {
            reader.read(&clock);
        }
        if let Some(declared) = &mut self.declared {
            declared.read_if_due(clock());
        }
        if let Some(synthetic) = &mut self.synthetic {
            synthetic.read(clock());
        }
    }

    /// Returns the known points of a synthetic host's energy since the last call, each with the mean power since the point
    /// before, W. Every other meter is sampled by the sampler's thread and returns nothing.
    pub(crate) fn take_fresh(&mut self) -> Vec<(Knot, f64)> {
        self.synthetic.as_mut().map_or_else(Vec::new, SyntheticReader::take_fresh)
    }

    /// Keeps all readings from `moment` on, for [`DomainMeter::curve`], until another moment is set. Older readings are
    /// dropped.
    pub(crate) fn retain_from(&mut self, moment: Seconds) {
        if let Some(reader) = &mut self.counter {
            reader.ticks.retain_from(moment);
        } else if let Some(reader) = &mut self.sensor {
            reader.integral.retain_from(moment);
        }
        if let Some(declared) = &mut self.declared {
            declared.retain_from(moment);
        }
        if let Some(synthetic) = &mut self.synthetic {
            synthetic.retain_from(moment);
        }
    }

    /// Returns the state at `at`. The meter must have just been read.
    pub(crate) fn snapshot(&self, at: Seconds) -> DomainSnapshot {
        DomainSnapshot {
            at,
            counter: self.counter.as_ref().map(|it| (it.ticks.snapshot(at), it.faults.clone())),
            integral: self
                .sensor
                .as_ref()
                .and_then(|it| Some((it.integral.snapshot(at)?, it.faults.clone()))),
            processor: self.declared.as_ref().map(DeclaredPowerReader::read),
            given: self.synthetic.as_ref().map(|it| it.position(at)),
        }
    }

    /// Bounds the energy between the last tick before a snapshot and the snapshot, once the next tick has come: it
    /// cannot exceed what that tick added.
    pub(crate) fn bound_by_next_tick(&self, snapshot: &mut DomainSnapshot) {
        if let (Some(reader), Some((counter, _))) = (&self.counter, &mut snapshot.counter) {
            let ticked = reader.ticks.total() - counter.counted;
            counter.most = (ticked > 0.0).then_some(ticked);
        }
    }

    /// Returns the joules from the first reading to the last one. A declared model has no such total.
    pub(crate) fn total(&self) -> Option<f64> {
        if let Some(synthetic) = &self.synthetic {
            return Some(synthetic.total());
        }
        match (&self.counter, &self.sensor) {
            (Some(reader), _) => Some(reader.ticks.total()),
            (None, sensor) => sensor.as_ref().map(|reader| reader.integral.total()),
        }
    }

    /// Returns the sensor's last reading, W.
    pub(crate) fn watts(&self) -> Option<f64> {
        let reader = self.sensor.as_ref().filter(|reader| reader.faults.is_ok())?;
        reader.integral.power()
    }

    /// Returns when the counter was last seen to change. Returns `None` if there is no counter, or if it ticks faster
    /// than it is read.
    pub(crate) fn last_tick(&self) -> Option<Option<Seconds>> {
        let ticks = &self.counter.as_ref()?.ticks;
        ticks.has_visible_ticks().then(|| ticks.last_change())
    }

    /// Returns the time between two updates, s: observed if enough ticks were seen, otherwise nominal. A declared model
    /// and a synthetic host have no period.
    pub(crate) fn period(&self) -> Option<Quantity> {
        let nominal = |seconds: Seconds| {
            // A window's end may fall anywhere within the period: a rectangular distribution (GUM 4.3.7).
            Quantity::new(seconds, seconds / 12f64.sqrt(), "s", Source::Modelled)
        };
        if let Some(CounterReader { ticks, .. }) = &self.counter {
            let observed = ticks.observed_period();
            let observed = observed
                .map(|seen| Quantity::new(seen.value, seen.uncertainty, "s", Source::Sensor));
            return Some(observed.unwrap_or_else(|| nominal(ticks.longest_period())));
        }
        self.sensor.as_ref().map(|reader| nominal(reader.sensor.period()))
    }

    /// Returns the energy between two snapshots, J, and a warning if the counter and the power sensor disagree.
    pub(crate) fn energy(
        &self,
        from: &DomainSnapshot,
        to: &DomainSnapshot,
    ) -> (Reading, Option<Warning>) {
        let wall = to.at - from.at;
        let quantity = |energy: UncertainValue, source| {
            Quantity::new(energy.value, energy.uncertainty, "J", source)
        };
        if let (Some(before), Some(after)) = (from.given, to.given) {
            let energy = Quantity::exact(after.joules - before.joules, "J", Source::Simulated);
            return (Ok(energy), None);
        }
        let integrated = self.integrated(from, to);
        if let Some(reader) = &self.counter {
            let counted = reader.between(from, to);
            let warning = match (&counted, &integrated) {
                (Ok(counted), Some(Ok(integrated))) if wall >= COMPARABLE => {
                    self.disagreement(*counted, *integrated)
                }
                _ => None,
            };
            return (counted.map(|counted| quantity(counted, reader.counter.source())), warning);
        }
        if let (Some(declared), Some(before), Some(after)) =
            (&self.declared, &from.processor, &to.processor)
        {
            let both = before.clone().and_then(|before| Ok((before, after.clone()?)));
            let energy = both.map(|(before, after)| declared.energy(before, after, wall));
            return (energy.map(|energy| quantity(energy, Source::Modelled)), None);
        }
        let energy = integrated.unwrap_or_else(|| Err(not_read()));
        (energy.map(|energy| quantity(energy, Source::NvmlPower)), None)
    }

    /// Returns the energy until a moment, counted from the first reading. Returns `None` if too little has been read.
    pub(crate) fn position(&self, at: Seconds) -> Option<Knot> {
        if let Some(synthetic) = &self.synthetic {
            return Some(synthetic.position(at));
        }
        match (&self.counter, &self.declared, &self.sensor) {
            (Some(reader), ..) => reader.ticks.position(at),
            (None, Some(declared), _) => declared.position(at),
            (None, None, sensor) => sensor.as_ref()?.integral.position(at),
        }
    }

    /// Returns the last moment until which the energy is known rather than estimated.
    pub(crate) fn known_until(&self) -> Option<Seconds> {
        if let Some(synthetic) = &self.synthetic {
            return Some(synthetic.known_until());
        }
        match (&self.counter, &self.declared, &self.sensor) {
            (Some(reader), ..) => reader.ticks.known_until(),
            (None, Some(declared), _) => declared.known_until(),
            (None, None, sensor) => sensor.as_ref()?.integral.known_until(),
        }
    }

    /// Returns the known points of the energy curve after `from` and before `to`.
    pub(crate) fn knots(&self, from: Knot, to: Seconds) -> Vec<Knot> {
        if let Some(synthetic) = &self.synthetic {
            return synthetic.knots(from.at, to);
        }
        match (&self.counter, &self.declared, &self.sensor) {
            (Some(reader), ..) => reader.ticks.knots(from, to),
            (None, Some(declared), _) => declared.knots(from, to),
            (None, None, sensor) => {
                let reader = sensor.as_ref();
                reader.map_or_else(Vec::new, |reader| reader.integral.knots(from, to))
            }
        }
    }

    /// Widens the uncertainty of a curve by what its instrument does not see. A counter without a tick in the curve cannot
    /// see a change of power: it may have been anything up to the device's power limit. A sensor does not see a burst
    /// between two updates.
    pub(crate) fn with_unseen_energy(&self, curve: Curve) -> Curve {
        let limit = self.sensor.as_ref().and_then(|reader| reader.sensor.limit());
        match (&self.counter, limit) {
            (Some(_), _) => curve.with_unseen(limit),
            (None, Some(limit)) => curve.with_unseen_burst(limit),
            (None, None) => curve,
        }
    }

    /// Returns how far the readings may lag behind the device, s.
    pub(crate) fn lag(&self) -> Seconds {
        match (&self.counter, &self.sensor) {
            (None, Some(reader)) => reader.sensor.period(),
            _ => 0.0,
        }
    }

    /// Returns the failed readings of the instrument that the domain's energy comes from.
    pub(crate) fn faults(&self) -> Faults {
        let counter = self.counter.as_ref().map(|reader| &reader.faults);
        let faults = counter.or(self.sensor.as_ref().map(|reader| &reader.faults));
        faults.cloned().unwrap_or_default()
    }

    /// Returns the energy between two snapshots as a curve over time, or why there is none. All readings in between must
    /// have been kept ([`DomainMeter::retain_from`]).
    pub(crate) fn curve(
        &self,
        from: &DomainSnapshot,
        to: &DomainSnapshot,
    ) -> Result<Curve, Unavailable> {
        if let (Some(synthetic), Some(before), Some(after)) =
            (&self.synthetic, from.given, to.given)
        {
            return Ok(synthetic.curve(before, after));
        }
        if let Some(reader) = &self.counter {
            let (Some((first, before)), Some((last, _))) = (&from.counter, &to.counter) else {
                return Err(not_read());
            };
            reader.faults.since(before)?;
            let curve = reader.ticks.curve(first, last).ok_or_else(too_few_ticks);
            return curve.map(|curve| self.with_unseen_energy(curve));
        }
        if let (Some(declared), Some(before), Some(after)) =
            (&self.declared, &from.processor, &to.processor)
        {
            let [before, after] = [before.clone()?, after.clone()?];
            return Ok(declared.curve((from.at, before), (to.at, after)));
        }
        let (Some(reader), Some((first, before)), Some((last, _))) =
            (&self.sensor, &from.integral, &to.integral)
        else {
            return Err(not_read());
        };
        reader.faults.since(before)?;
        reader.integral.curve(first, last).ok_or_else(empty_window)
    }

    /// Returns the integral of the sensor's power between two snapshots, or `None` if there is no sensor.
    fn integrated(
        &self,
        from: &DomainSnapshot,
        to: &DomainSnapshot,
    ) -> Option<Result<UncertainValue, Unavailable>> {
        let reader = self.sensor.as_ref()?;
        let ((first, before), (last, _)) = (from.integral.as_ref()?, to.integral.as_ref()?);
        let energy = reader
            .faults
            .since(before)
            .and_then(|()| reader.integral.between(first, last).ok_or_else(empty_window));
        Some(energy)
    }

    fn disagreement(&self, counted: UncertainValue, integrated: UncertainValue) -> Option<Warning> {
        let difference = (counted.value - integrated.value).abs();
        let expected = 2.0 * counted.uncertainty.hypot(integrated.uncertainty);
        (difference > expected + TOLERANCE * counted.value).then(|| Warning::Disagreement {
            device: self.id.device.clone(),
            counted: counted.value,
            integrated: integrated.value,
        })
    }
}

impl CounterReader {
    fn between(
        &self,
        from: &DomainSnapshot,
        to: &DomainSnapshot,
    ) -> Result<UncertainValue, Unavailable> {
        let (Some((first, before)), Some((last, _))) = (&from.counter, &to.counter) else {
            return Err(not_read());
        };
        self.faults.since(before)?;
        first.energy_until(last).ok_or_else(|| {
            let (wall, period) = ((to.at - from.at) * 1e3, self.ticks.longest_period() * 1e3);
            if last.counted <= first.counted && wall > 2.0 * period {
                Unavailable::new(Cause::Lost, format!("the counter has not moved in {wall:.0} ms, though it updates every {period:.0} ms: it stands still"))
            } else {
                Unavailable::new(Cause::TooShort, format!("the window of {wall:.3} ms is too short for a counter that updates every {period:.0} ms"))
            }
        })
    }
}

fn not_read() -> Unavailable {
    Unavailable::new(Cause::NotAsked, "it has not been read yet")
}

fn empty_window() -> Unavailable {
    Unavailable::new(Cause::TooShort, "the span is empty")
}

/// Returns the reason for which a curve cannot be made: fewer than two ticks have been seen.
pub(crate) fn too_few_ticks() -> Unavailable {
    Unavailable::new(
        Cause::TooShort,
        "the counter has ticked too seldom for its energy to be told apart",
    )
}
