//! Waits until a device is steady, and reports what it was told.

use llem_sdk::{
    meter::{self, Condition, Steady},
    prelude::*,
    report::Level,
};

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
    let steady = Steady { device: (!device.is_empty()).then_some(device), within };
    let condition = match parameter::<String>("what")?.as_str() {
        "temperature" => Condition::TemperatureSteady(steady),
        _ => Condition::PowerSteady(steady),
    };
    let timeout = parameter::<u64>("timeout")? * 1_000_000;
    let answer = match meter::wait_until(&condition, timeout) {
        Ok(_) => "steady".to_owned(),
        Err(error) => format!("{error:?}"),
    };
    report::log(Level::Info, &answer);
    Ok(())
}
