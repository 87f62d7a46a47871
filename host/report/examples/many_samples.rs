//! Adds samples to a run, for a test of large timelines: `many_samples RUN COUNT`. The run's own samples are replaced by three
//! domains at 10 ms with noise, steps and spikes.

use llem_record::{TimelineRow, TimelineWriter};
use std::{fs, path::Path};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [run, count] = &args[..] else { return Err("usage: many_samples RUN COUNT".into()) };
    let (run, count): (&Path, i64) = (Path::new(run), count.parse()?);
    let timeline = run.join("timeline");
    if timeline.exists() {
        fs::remove_dir_all(timeline)?;
    }
    let mut writer = TimelineWriter::new(run);
    let mut state = 1u64;
    let mut noise = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1 << 24) as f64
    };
    for place in 0..count {
        let (round, which) = (place / 3, place % 3);
        let seconds = round as f64 * 0.01;
        let busy = if (seconds / 60.0) as i64 % 3 == 0 { 90.0 } else { 380.0 };
        let (device, domain) =
            [("cpu", "package-0"), ("cuda:0", "gpu"), ("cuda:1", "gpu")][which as usize];
        let gpu = which > 0;
        writer.add([TimelineRow {
            t_ns: (seconds * 1e9) as i64 + (noise() * 2e5) as i64,
            device: device.to_owned(),
            domain: domain.to_owned(),
            power_w: Some(if gpu { busy + 15.0 * noise() } else { 60.0 + 5.0 * noise() }),
            temperature_cel: gpu.then(|| 45.0 + (20.0 * (seconds / 500.0).sin()).round()),
            core_clock_mhz: gpu.then_some(if busy > 100.0 { 1980.0 } else { 1755.0 }),
            utilisation_percent: gpu.then_some(if busy > 100.0 { 99.0 } else { 3.0 }),
            ..TimelineRow::default()
        }])?;
    }
    writer.finish()?;
    Ok(())
}
