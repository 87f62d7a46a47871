//! Waiting.

use crate::{
    Result,
    bindings::meter::{self, Condition, Steady},
};
use std::time::Duration;

/// Added to a rest's length as its timeout: it only guards against a clock that stands still.
const PATIENCE: Duration = Duration::from_secs(60);

/// Rests for this long.
pub fn rest(length: Duration) -> Result<()> {
    meter::wait_until(&Condition::Elapsed(nanoseconds(length)), nanoseconds(length + PATIENCE))?;
    Ok(())
}

/// Waits until a device's power moves by less than `watts` within a second, and returns how long that took. No
/// `device` means the one that the run measures. Fails after `timeout`, and where nothing meters the device.
pub fn until_power_is_steady(
    device: Option<&str>,
    watts: f64,
    timeout: Duration,
) -> Result<Duration> {
    until(Condition::PowerSteady(steady(device, watts)), timeout)
}

/// Waits until a device's temperature moves by less than `kelvin` within ten seconds, and returns how long that took.
/// No `device` means the one that the run measures. Fails after `timeout`, and where nothing reads the temperature.
pub fn until_temperature_is_steady(
    device: Option<&str>,
    kelvin: f64,
    timeout: Duration,
) -> Result<Duration> {
    until(Condition::TemperatureSteady(steady(device, kelvin)), timeout)
}

fn until(condition: Condition, timeout: Duration) -> Result<Duration> {
    Ok(Duration::from_nanos(meter::wait_until(&condition, nanoseconds(timeout))?))
}

fn steady(device: Option<&str>, within: f64) -> Steady {
    Steady { device: device.map(str::to_owned), within }
}

/// A length as host calls take it.
pub fn nanoseconds(length: Duration) -> u64 {
    length.as_nanos() as u64
}
