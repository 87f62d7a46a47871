//! Readings of NVML that `scripts/tools/gpu-energy` recorded on real cards, replayed below our parsers.

use crate::support::{Hardware, TestContext, fixtures, guest};
use serde_json::Value;
use std::{fs, path::Path, process::Command};

/// Runs windows that only wait on a recorded trace: each must report the energy that the card used at some time. `late` is
/// the energy that a recorder which came late to a tick of the counter wrote down too late, J.
fn replay(trace: &Path, late: f64) {
    let (hardware, context) = (Hardware::new().replaying(trace), TestContext::new());
    let told = fs::read_to_string(trace).unwrap();
    // As many windows as fit the trace.
    let end: u64 =
        told.lines().last().and_then(|line| line.split(',').next()?.parse().ok()).unwrap();
    let windows = format!("windows={}", (end / 1000 - 1).min(5));
    hardware.llem(&context, &["exec", &guest("metering"), "-p", &windows, "-p", "length=800"]).ok();
    let power = told.lines().skip_while(|line| !line.starts_with(|c: char| c.is_ascii_digit()));
    let power = power.filter_map(|line| line.split(',').nth(2)?.parse::<f64>().ok());
    let (least, most) = power.fold((f64::MAX, 0.0_f64), |(least, most), milliwatts| {
        (least.min(milliwatts / 1e3), most.max(milliwatts / 1e3))
    });
    for window in context.record()["windows"].as_array().unwrap() {
        let parts = window["energy"].as_array().unwrap();
        let gpu = &parts.iter().find(|part| part["device"] == "cuda:0").unwrap()["energy"];
        let (joules, uncertainty) =
            (gpu["value"].as_f64().unwrap(), gpu["uncertainty"].as_f64().unwrap());
        let seconds = window["wall_ns"].as_f64().unwrap() * 1e-9;
        let allowed = (2.0 * uncertainty + late) / seconds + 0.02 * most;
        let watts = joules / seconds;
        assert!(uncertainty > 0.0 && watts > least - allowed && watts < most + allowed, "{gpu}");
    }
}

#[test]
fn energy_beside_another_monitor_is_recorded_and_replayed() {
    let (hardware, folder) = (Hardware::new().gpu(300, 600, |_| {}), tempfile::tempdir().unwrap());
    let python = std::env::var_os("LLEM_PYTHON").unwrap_or_else(|| "python3".into());
    let mut command = Command::new(python);
    command.arg(fixtures().join("../../scripts/tools/gpu-energy")).arg(folder.path());
    // The double draws constant power while the model waits 7 ms for each token, for more than a second on any machine.
    command.args(["--model", "synthetic:fixed-latency", "--dtype", "f32", "--device", "cpu"]);
    command.args(["--new-tokens", "150", "--rounds", "1", "--shortest", "0.5"]);
    let command = hardware.environment(&mut command).env("LLEM", env!("CARGO_BIN_EXE_llem"));
    let ran = command.output().unwrap();
    let told = String::from_utf8_lossy(&ran.stderr).into_owned();
    let energy = fs::read(folder.path().join("energy.json")).expect(&told);
    let energy: Value = serde_json::from_slice(&energy).unwrap();
    // On a busy machine the two may differ, because one begins and ends later.
    assert!(ran.status.success() || told.contains("the two disagree"), "{told}");
    let period = energy["counter_period_s"].as_f64().unwrap();
    let trace = folder.path().join("nvml.csv");
    let (between, late) = lateness(&fs::read_to_string(&trace).unwrap());
    assert!((period - 0.1).abs() <= between.max(0.03), "{energy}");
    assert!(!energy["windows"].as_array().unwrap().is_empty(), "{energy}");
    for window in energy["windows"].as_array().unwrap() {
        let number = |name: &str| window[name].as_f64().unwrap();
        let drawn = 300.0 * number("seconds");
        let allowed = (3.0 * number("uncertainty")).max(0.02 * drawn);
        assert!((number("llem_joules") - drawn).abs() < allowed, "{window}");
    }
    replay(&trace, late);
}

/// Returns how late a trace of 300 W saw the ticks of a counter that ticks every 100 ms: the median of what its changes are
/// off from 100 ms apart, s, and the largest energy that it wrote down too late, J.
fn lateness(trace: &str) -> (f64, f64) {
    let row = |line: &str| {
        let mut cells = line.split(',').map(|cell| cell.parse::<f64>().ok());
        Some((cells.next()?? * 1e-3, cells.next()?? * 1e-3))
    };
    let mut changes: Vec<(f64, f64)> = trace.lines().filter_map(row).collect();
    changes.dedup_by_key(|(_, joules)| *joules);
    let mut off: Vec<f64> =
        changes.windows(2).map(|pair| (pair[1].0 - pair[0].0 - 0.1).abs()).collect();
    off.sort_by(f64::total_cmp);
    // The first row is no tick: the recorder began within a period of the counter.
    let behind = changes[1..].iter().map(|(at, joules)| 300.0 * at - joules);
    let (least, most) =
        behind.fold((f64::MAX, f64::MIN), |(least, most), one| (least.min(one), most.max(one)));
    (off[off.len() / 2], most - least)
}

#[test]
fn traces_of_real_cards_are_replayed() {
    let Ok(results) = fs::read_dir(fixtures().join("../gpu-results")) else { return };
    let traces = results.map(|folder| folder.unwrap().path().join("nvml.csv"));
    traces.filter(|trace| trace.exists()).for_each(|trace| replay(&trace, 0.0));
}
