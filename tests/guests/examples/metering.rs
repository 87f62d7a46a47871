//! Opens windows in which it only waits, and reports the meter's numbers for each.

use llem_sdk::{
    Sample,
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
        .integer("until-gap", 0, "the first window also lasts until no sample came for so long, ms")
        .number("until-power", 0.0, "the first window also lasts until a sample has this power, W")
}

fn rest(parameter_name: &str) -> Result<()> {
    llem_sdk::sleep_for(Duration::from_millis(parameter(parameter_name)?));
    Ok(())
}

/// Returns the times between the samples of the first device among them, s.
fn distances(samples: &[Sample]) -> Vec<f64> {
    let Some(first) = samples.first() else { return Vec::new() };
    let of_first = samples.iter().filter(|one| one.device == first.device);
    let times: Vec<u64> = of_first.map(|one| one.at).collect();
    times.windows(2).map(|pair| (pair[1] - pair[0]) as f64 * 1e-9).collect()
}

/// Returns true if a sample has this power, W, and all other readings of devices have been taken since: they are taken with
/// the next sample after a tenth of a second, which is complete when another follows.
fn is_reached(samples: &[Sample], power: f64) -> bool {
    let Some(first) = samples.iter().find(|one| one.power.value >= power) else { return false };
    samples.iter().filter(|one| one.at >= first.at + 150_000_000).count() >= 2
}

/// Rests on until the window's samples show what the test does to the hardware meanwhile.
fn rest_until_it_happened(window: &Window) -> Result<()> {
    let gap = parameter::<u64>("until-gap")? as f64 * 1e-3;
    let power: f64 = parameter("until-power")?;
    for _ in 0..1200 {
        let samples = window.timeline(0);
        let longest = distances(&samples).into_iter().fold(0.0, f64::max);
        if longest >= gap && (power <= 0.0 || is_reached(&samples, power)) {
            return Ok(());
        }
        llem_sdk::sleep_for(Duration::from_millis(50));
    }
    Err("nothing happened in a minute".into())
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
        report::log(Level::Info, &format!("window {index} is open"));
        if index == 0 {
            rest_until_it_happened(&window)?;
        }
        let samples = window.timeline(0);
        let measurement = window.close()?;
        let mut distances = distances(&samples);
        distances.sort_by(f64::total_cmp);
        for (name, distance) in [
            // The shortest are of samples at the ends of windows, which come beside the usual ones.
            ("tenth_distance", distances.get(distances.len() / 10).copied()),
            ("longest_distance", distances.last().copied()),
        ] {
            if let Some(distance) = distance {
                let distance = Quantity::exact(distance, "s", Source::Clock);
                report::add_metric(&distance.into_metric(name))?;
            }
        }
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
