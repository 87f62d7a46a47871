//! Waiting for a time, or until the power or temperature of a device is steady.

use crate::{Result, bindings::meter};
use std::time::Duration;

/// Waits for this long.
pub fn sleep_for(length: Duration) {
    meter::sleep_until(meter::now().saturating_add(nanoseconds(length)));
}

/// Waits until a device's power changes by less than `watts` within one second, and returns how long that took.
///
/// `device` is a device's id. `None` means the device that the run measures. Fails with `failed` after `timeout`, and
/// with `unsupported` if nothing meters the device.
pub fn wait_until_power_steady(
    device: Option<&str>,
    watts: f64,
    timeout: Duration,
) -> Result<Duration> {
    let waited = meter::wait_until_power_steady(device, watts, nanoseconds(timeout))?;
    Ok(Duration::from_nanos(waited))
}

/// Waits until a device's temperature changes by less than `kelvin` within ten seconds, and returns how long that took.
///
/// `device` is a device's id. `None` means the device that the run measures. Fails with `failed` after `timeout`, and
/// with `unsupported` if nothing reads the temperature.
pub fn wait_until_temperature_steady(
    device: Option<&str>,
    kelvin: f64,
    timeout: Duration,
) -> Result<Duration> {
    let waited = meter::wait_until_temperature_steady(device, kelvin, nanoseconds(timeout))?;
    Ok(Duration::from_nanos(waited))
}

/// Converts a duration to the nanoseconds that host calls take. Durations beyond their range become the longest one.
pub(crate) fn nanoseconds(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}
