//! What a record says of devices during a window: peaks of memory, and warnings of throttling, of heat and of MIG.

use crate::support::{
    GpuReading, Hardware, NO_PERMISSION, TestContext,
    metering::{sample_distance, warnings, windows, windows_with_change},
};
use serde_json::Value;

/// Returns a peak of memory in a window: a quantity, or the reason why there is none.
fn memory<'a>(window: &'a Value, device: &str, kind: &str) -> &'a Value {
    let peaks = window["memory"].as_array().unwrap();
    let is_it = |peak: &&Value| peak["device"] == device && peak["kind"] == kind;
    &peaks.iter().find(is_it).unwrap()["peak"]
}

#[test]
fn a_window_tells_its_peaks_of_memory() {
    // Memory grows by 1 MB a millisecond; another process has 3 GB of it.
    let grows = |moment: &mut GpuReading| {
        let bytes = 10_000_000_000 + moment.ms * 1_000_000;
        moment.memory = [Some(bytes), Some(bytes - 3_000_000_000)];
    };
    let record =
        windows(&Hardware::new().gpu(300, 60, grows), &["-p", "windows=2", "-p", "length=1500"]);
    let windows = record["windows"].as_array().unwrap();
    let end = |window: &Value| {
        window["started_ns"].as_u64().unwrap() + window["wall_ns"].as_u64().unwrap()
    };
    // 1 MB a millisecond is a byte a nanosecond.
    let expected = (end(&windows[1]) - end(&windows[0])) as f64;
    let peak = |window: usize, kind| {
        let peak = memory(&windows[window], "cuda:0", kind);
        assert_eq!((&peak["unit"], &peak["source"]), (&"By".into(), &"sensor".into()));
        peak["value"].as_f64().unwrap()
    };
    // A reading may be a tenth of a second old, and a busy machine may take it late.
    let late = sample_distance(&record, "longest_distance", f64::max) * 1e9;
    for kind in ["device", "process-device"] {
        let grown = peak(1, kind) - peak(0, kind);
        assert!((grown - expected).abs() < 0.2e9 + 2.0 * late, "{kind}: {grown}, not {expected}");
    }
    for window in [0, 1] {
        let others = peak(window, "device") - peak(window, "process-device");
        assert!((others - 3e9).abs() <= 0.1e9 + late, "{others}");
        let resident = memory(&windows[window], "cpu", "process-resident");
        let machine = memory(&windows[window], "cpu", "device");
        let (resident, machine) = (resident["value"].as_f64(), machine["value"].as_f64());
        assert!(resident > Some(1e6) && resident < machine, "{resident:?} of {machine:?}");
    }
}

#[test]
fn memory_that_nvml_does_not_tell_is_absent_with_the_reason() {
    let untold = windows(&Hardware::new().gpu(300, 60, |_| {}), &["-p", "length=300"]);
    let denied =
        |moment: &mut GpuReading| moment.status = if moment.ms < 100 { 0 } else { NO_PERMISSION };
    let denied = windows(&Hardware::new().gpu(300, 60, denied), &["-p", "length=300"]);
    for (record, kind, words) in [
        (&untold, "process-device", "--pid=host"),
        (&untold, "device", "nothing tells"),
        (&denied, "process-device", "does not list the processes"),
    ] {
        let peak = memory(&record["windows"][0], "cuda:0", kind);
        let reason = peak["unavailable"].as_str().unwrap_or_default();
        assert!(reason.contains(words), "{kind}: {peak}");
    }
}

#[test]
fn what_happens_to_a_device_becomes_a_warning() {
    let trouble = |moment: &mut GpuReading| {
        // SW thermal slowdown (0x20) and an SM clock that falls, on a card that gets warmer.
        (moment.clock, moment.throttle, moment.temperature) = (1200, 0x20, 84);
    };
    let record = windows_with_change(trouble, &["-p", "length=1000"]);
    let told = warnings(&record);
    for sign in [
        "held below its clock: sw_thermal_slowdown",
        "fell from 1980 to 1200 MHz",
        "went from 60 to 84",
    ] {
        assert!(told.contains(sign), "no '{sign}' in {told}");
    }
    // This machine may have a warning of its own, of its processor or of a gap in sampling.
    let warnings = record["windows"][0]["warnings"].as_array().unwrap().iter();
    let of_gpu = warnings.filter(|warning| warning.to_string().contains("cuda:0"));
    assert_eq!(of_gpu.count(), 3, "{told}");
}

#[test]
fn instances_of_a_gpu_are_said() {
    let (hardware, context) = (Hardware::new().gpu(300, 60, |_| {}), TestContext::new());
    let mut command = hardware.command(&context, &["doctor", "--json"]);
    let output = command.env("LLEM_TEST_MIG", "1").output().unwrap();
    let doctor: Value = serde_json::from_slice(&output.stdout).unwrap();
    let gpu = &doctor["devices"][1];
    assert!(gpu["notes"][0].as_str().unwrap().contains("MIG is on"), "{gpu}");
    assert_eq!(gpu["core_clock"]["value"], 1980.0);
    assert_eq!(gpu["peaks"]["bandwidth"], 3.35e12);
    let period =
        doctor["counters"].as_array().unwrap().iter().find(|counter| counter["device"] == "cuda:0");
    assert_eq!(period.unwrap()["update_period"]["source"], "sensor");
}
