//! Waits until a device is steady, and reports the result.

use llem_sdk::{prelude::*, wait_until_power_steady, wait_until_temperature_steady};
use std::time::Duration;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("waits", "0.1.0", "Waits until a device is steady.")
        .text("what", "power", "power or temperature")
        .text("device", "", "the device's id; empty for the one that the run measures")
        .text("within", "1", "how little it may move, W or K")
        .integer("timeout", 5000, "how long it waits at most, ms")
}

fn run() -> Result<()> {
    let device: String = parameter("device")?;
    let within = parameter::<String>("within")?.parse().map_err(|_| "within is no number")?;
    let device = Some(&device[..]).filter(|device| !device.is_empty());
    let timeout = Duration::from_millis(parameter("timeout")?);
    let waited = match parameter::<String>("what")?.as_str() {
        "temperature" => wait_until_temperature_steady(device, within, timeout),
        _ => wait_until_power_steady(device, within, timeout),
    };
    let answer = match waited {
        Ok(_) => "steady".to_owned(),
        Err(error) => format!("{error:?}"),
    };
    report::log(Level::Info, &answer);
    Ok(())
}
