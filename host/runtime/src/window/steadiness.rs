//! Waits until a device's power or temperature is steady.
//!
//! ```text
//! reading ── reading ── reading ── ... the last second (power) or the last ten (temperature)
//!            steady: the highest reading minus the lowest is below the limit
//! ```

use crate::{
    error::{CallResult, Refusal},
    run::RunContext,
};
use llem_quantity::{Cause, Quantity, Reading, Source, Unavailable};
use std::time::{Duration, Instant};

/// The time between two readings of a sensor.
const POLL: Duration = Duration::from_millis(100);

/// The time over which a counter gives a mean power. It is long compared with the 1 ms ticks of a processor's counter
/// and the kernel's 10 ms ticks.
const SLOPE: Duration = Duration::from_millis(200);

/// The quantity that is to be steady.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SteadyQuantity {
    /// Power in watts.
    Power,
    /// Temperature. Differences are in kelvin.
    Temperature,
}

impl SteadyQuantity {
    /// The name for messages, as in WIT.
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

    /// How long the readings must stay within the limit.
    fn span(self) -> Duration {
        match self {
            Self::Power => Duration::from_secs(1),
            Self::Temperature => Duration::from_secs(10),
        }
    }
}

impl RunContext {
    /// Waits until a device, or by default the device that the run measures, is steady within `limit` (watts or
    /// kelvin). Returns how long that took, in nanoseconds.
    pub(crate) async fn wait_until_steady(
        &self,
        quantity: SteadyQuantity,
        device: Option<String>,
        limit: f64,
        timeout: Duration,
    ) -> CallResult<u64> {
        let (unit, span) = (quantity.unit(), quantity.span());
        if !(limit.is_finite() && limit > 0.0) {
            return Ok(Err(Refusal::InvalidArgument(format!(
                "{}: within is {limit} {unit}; give a finite number above 0",
                quantity.name()
            ))));
        }
        let device = device.unwrap_or_else(|| self.measured_device());
        let devices = self.meter().devices();
        if !devices.iter().any(|known| known.id == device) {
            let known: Vec<&str> = devices.iter().map(|known| known.id.as_str()).collect();
            return Ok(Err(Refusal::NotFound(format!(
                "{}: no device '{device}'; this machine has {}",
                quantity.name(),
                known.join(", ")
            ))));
        }
        let started = llem_clock::now();
        let mut seen: Vec<(Instant, f64)> = Vec::new();
        loop {
            let value = match self.read_quantity(quantity, &device).await? {
                Ok(quantity) => quantity.value,
                Err(reason) => {
                    return Ok(Err(Refusal::Unsupported(format!("{}: {reason}", quantity.name()))));
                }
            };
            let now = llem_clock::now();
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
                    quantity.name(),
                    timeout.as_secs_f64()
                ))));
            }
        }
    }

    /// Reads the quantity from a device after a short wait. The inner error names the device and the reason.
    async fn read_quantity(
        &self,
        quantity: SteadyQuantity,
        device: &str,
    ) -> wasmtime::Result<Reading> {
        let state = || {
            self.meter()
                .state(device)
                .ok_or_else(|| Unavailable::new(Cause::Lost, "the device is gone"))
        };
        if quantity == SteadyQuantity::Temperature {
            self.sleep(POLL).await?;
            let temperature = state().and_then(|state| state.temperature);
            return Ok(temperature.map_err(|reason| reason.prefixed(device)));
        }
        if let Ok(Ok(power)) = state().map(|state| state.power) {
            self.sleep(POLL).await?;
            return Ok(Ok(power));
        }
        // If there is no power sensor, the energy counter gives the mean power over a short time.
        let window = self.meter().open();
        self.sleep(SLOPE).await?;
        let span = self.meter().close(window);
        let seconds = Quantity::exact(span.wall.as_secs_f64(), "s", Source::Clock);
        let energy = span.sum(&[device.to_owned()]);
        Ok(energy.and_then(|energy| {
            energy
                .per(&seconds, "W")
                .ok_or_else(|| Unavailable::new(Cause::TooShort, "no time has passed"))
        }))
    }

    /// The device that the run measures: the one of the model that was loaded last, otherwise the one that was granted.
    fn measured_device(&self) -> String {
        let device = self.engines.last_device();
        device.unwrap_or(self.settings.models.default_model().device).measured().to_string()
    }
}
