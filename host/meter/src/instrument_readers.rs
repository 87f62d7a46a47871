//! The instruments of a domain, each with what has been read of it and how often a reading failed.

use crate::{
    clock::Seconds,
    faults::Faults,
    integral::Integral,
    sources::{Counter, CounterValue, Sensor},
    tick_counter::TickCounter,
};
use llem_quantity::{Cause, Unavailable};

/// A counter of energy and its ticks.
pub(crate) struct CounterReader {
    pub counter: Box<dyn Counter>,
    pub ticks: TickCounter,
    last: Option<CounterValue>,
    pub faults: Faults,
}

/// A sensor of power and its integral.
pub(crate) struct SensorReader {
    pub sensor: Box<dyn Sensor>,
    pub integral: Integral,
    pub faults: Faults,
}

impl CounterReader {
    pub(crate) fn new(counter: Box<dyn Counter>) -> Self {
        let ticks = TickCounter::new(counter.period());
        Self { counter, ticks, last: None, faults: Faults::default() }
    }

    /// Reads the counter. The reading's time is the middle of the call.
    pub(crate) fn read(&mut self, clock: &impl Fn() -> Seconds) {
        let began = clock();
        let value = self.counter.read();
        let at = (began + clock()) / 2.0;
        let gained = value.and_then(|value| match self.last.replace(value) {
            Some(before) => self.counter.joules(before, value),
            None => Ok(0.0),
        });
        let outcome = gained.map(|gained| self.ticks.observe(at, gained));
        self.faults.note(outcome);
    }
}

impl SensorReader {
    pub(crate) fn new(sensor: Box<dyn Sensor>) -> Self {
        let integral = Integral::new(sensor.period(), sensor.limit());
        Self { sensor, integral, faults: Faults::default() }
    }

    /// Reads the sensor. The reading's time is the middle of the call.
    pub(crate) fn read(&mut self, clock: &impl Fn() -> Seconds) {
        let began = clock();
        let watts = self.sensor.read().and_then(|watts| match watts.is_finite() && watts >= 0.0 {
            true => Ok(watts),
            false => {
                Err(Unavailable::new(Cause::Unreadable, format!("the power sensor told {watts} W")))
            }
        });
        let at = (began + clock()) / 2.0;
        let outcome = watts.map(|watts| self.integral.observe(at, watts));
        self.faults.note(outcome);
    }
}
