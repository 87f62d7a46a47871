//! Waiting until a device's power or temperature is steady.
//!
//! ```text
//! reading ── reading ── reading ── ... the last second (power) or ten (temperature)
//!            steady: the highest of them less the lowest is below the limit
//! ```

use crate::{
    error::{Answer, Refusal},
    run::Run,
};
use llem_quantity::{Quantity, Reading, Source};
use std::time::{Duration, Instant};

/// Time between two readings of a sensor.
const POLL: Duration = Duration::from_millis(100);

/// Time over which a counter tells power: long beside a processor's counter's ticks of 1 ms and the kernel's of 10 ms.
const SLOPE: Duration = Duration::from_millis(200);

/// What is to be steady.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// Power, W.
    Power,
    /// Temperature, in kelvin from one reading to another.
    Temperature,
}

impl Course {
    /// The WIT's name for it.
    fn name(self) -> &'static str {
        match self {
            Self::Power => "power-steady",
            Self::Temperature => "temperature-steady",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Power => "W",
            Self::Temperature => "K",
        }
    }

    /// How long it must not move.
    fn span(self) -> Duration {
        match self {
            Self::Power => Duration::from_secs(1),
            Self::Temperature => Duration::from_secs(10),
        }
    }
}

impl Run {
    /// Waits until a device, or else the one that the run measures, is steady within a limit, in W or K; returns how long
    /// that took, ns.
    pub async fn wait_until_steady(
        &self,
        course: Course,
        device: Option<String>,
        limit: f64,
        timeout: Duration,
    ) -> Answer<u64> {
        let (unit, span) = (course.unit(), course.span());
        if !(limit.is_finite() && limit > 0.0) {
            return Ok(Err(Refusal::InvalidArgument(format!(
                "{}: within is {limit} {unit}; give a finite number above 0",
                course.name()
            ))));
        }
        let device = device.unwrap_or_else(|| self.measured_device());
        let devices = self.meter().devices();
        if !devices.iter().any(|known| known.id == device) {
            let known: Vec<&str> = devices.iter().map(|known| known.id.as_str()).collect();
            return Ok(Err(Refusal::NotFound(format!(
                "{}: no device '{device}'; this machine has {}",
                course.name(),
                known.join(", ")
            ))));
        }
        let started = Instant::now();
        let mut seen: Vec<(Instant, f64)> = Vec::new();
        loop {
            let value = match self.told(course, &device).await? {
                Ok(quantity) => quantity.value,
                Err(reason) => {
                    return Ok(Err(Refusal::Unsupported(format!("{}: {reason}", course.name()))));
                }
            };
            let now = Instant::now();
            seen.retain(|(when, _)| now.duration_since(*when) <= span);
            seen.push((now, value));
            let values = seen.iter().map(|(_, value)| *value);
            let spread = values.clone().fold(f64::MIN, f64::max) - values.fold(f64::MAX, f64::min);
            let watched = now.duration_since(started);
            if watched >= span && spread < limit {
                return Ok(Ok(watched.as_nanos() as u64));
            }
            if watched >= timeout {
                return Ok(Err(Refusal::Failed(format!(
                    "{}: {device} still moved by {spread} {unit} after {} s",
                    course.name(),
                    timeout.as_secs_f64()
                ))));
            }
        }
    }

    /// What a device tells, after a moment, or the device and why it does not.
    async fn told(&self, course: Course, device: &str) -> wasmtime::Result<Reading> {
        let state = || self.meter().state(device).ok_or_else(|| "the device is gone".to_owned());
        if course == Course::Temperature {
            self.rest(POLL).await?;
            let temperature = state().and_then(|state| state.temperature);
            return Ok(temperature.map_err(|reason| format!("{device}: {reason}")));
        }
        if let Ok(Ok(power)) = state().map(|state| state.power) {
            self.rest(POLL).await?;
            return Ok(Ok(power));
        }
        // Without a power sensor, whatever meters its energy tells the mean power of a short while.
        let window = self.meter().open();
        self.rest(SLOPE).await?;
        let span = self.meter().close(window);
        let seconds = Quantity::exact(span.wall.as_secs_f64(), "s", Source::Clock);
        let energy = span.sum(&[device.to_owned()]);
        Ok(energy.and_then(|energy| {
            energy.per(&seconds, "W").ok_or_else(|| "no time has passed".to_owned())
        }))
    }

    /// The device that the run measures: that of the last loaded model, or the one that was granted.
    fn measured_device(&self) -> String {
        let device = self.engines.last_device();
        device.unwrap_or(self.settings.models.default().device).measured().to_string()
    }
}
