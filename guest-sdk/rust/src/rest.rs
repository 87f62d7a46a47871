//! Waiting.

use crate::{Result, bindings::meter};
use std::time::Duration;

/// Rests for this long.
pub fn rest(length: Duration) {
    meter::sleep_until(meter::now().saturating_add(nanoseconds(length)));
}

/// Waits until a device's power moves by less than `watts` within a second, and returns how long that took. No
/// `device` means the one that the run measures. Fails after `timeout`, and where nothing meters the device.
pub fn until_power_is_steady(
    device: Option<&str>,
    watts: f64,
    timeout: Duration,
) -> Result<Duration> {
    let waited = meter::wait_until_power_steady(device, watts, nanoseconds(timeout))?;
    Ok(Duration::from_nanos(waited))
}

/// Waits until a device's temperature moves by less than `kelvin` within ten seconds, and returns how long that took.
/// No `device` means the one that the run measures. Fails after `timeout`, and where nothing reads the temperature.
pub fn until_temperature_is_steady(
    device: Option<&str>,
    kelvin: f64,
    timeout: Duration,
) -> Result<Duration> {
    let waited = meter::wait_until_temperature_steady(device, kelvin, nanoseconds(timeout))?;
    Ok(Duration::from_nanos(waited))
}

/// A length as host calls take it: the longest that they can, where it is longer.
pub fn nanoseconds(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}
