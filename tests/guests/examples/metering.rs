//! Opens windows in which it only waits, and reports the meter's numbers for each.

use llem_sdk::{
    meter::{self, Baseline},
    prelude::*,
};
use std::time::Duration;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("metering", "0.1.0", "Reports what the meter says of windows of rest.")
        .integer("windows", 1, "how many windows, one after the other")
        .integer("length", 1000, "how long each is, ms")
        .integer("settle", 700, "rest before the first, ms")
        .integer("baseline", 0, "length of an idle baseline before them, ms; 0 for none")
        .integer("lifetime", 0, "how old an earlier run's baseline may be, s")
}

fn rest(parameter_name: &str) -> Result<()> {
    llem_sdk::sleep_for(Duration::from_millis(parameter(parameter_name)?));
    Ok(())
}

fn run() -> Result<()> {
    // The meter looks for devices at its first use.
    meter::counter_resolution();
    rest("settle")?;
    let baseline: u64 = parameter("baseline")?;
    if baseline > 0 {
        let lifetime: u64 = parameter("lifetime")?;
        let idle = Baseline::recall_or_measure(
            Duration::from_millis(baseline),
            Duration::from_secs(lifetime),
        )?;
        report::log(Level::Info, &format!("baseline: {idle:?}"));
    }
    for index in 0..parameter::<u64>("windows")? {
        let window = Window::open(&format!("window {index}"))?;
        rest("length")?;
        let samples = window.timeline(0);
        let measurement = window.close()?;
        report::add_metric(
            &Quantity::exact(samples.len() as f64, "{sample}", Source::Counted)
                .into_metric("samples"),
        )?;
        for part in &measurement.energy {
            if let Ok(energy) = &part.energy {
                report::add_metric(
                    &energy.clone().into_metric("energy").label("device", &part.device),
                )?;
            }
        }
        if let Ok(energy) = &measurement.energy_above_idle {
            report::add_metric(&energy.clone().into_metric("energy_above_idle"))?;
        }
    }
    for resolution in meter::counter_resolution() {
        if let Ok(period) = resolution.update_period {
            report::add_metric(
                &period.into_metric("update_period").label("device", resolution.device),
            )?;
        }
    }
    Ok(())
}
