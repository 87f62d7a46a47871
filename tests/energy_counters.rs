//! Energy of windows on doubles of hardware, which stand below our parsers: a library in NVML's place, files in the
//! kernel's. The energy is what the double drew. If it cannot be known it is absent with the reason, and it is never zero,
//! negative or not a number.

use crate::support::{
    GPU_IS_LOST, GpuReading, Hardware, NO_PERMISSION, TestContext, guest, install_program,
    metering::{
        DOMAIN, RANGE, assert_joules, energy, no_nonsense, sample_distance, warnings, windows,
        windows_with_change,
    },
    signal,
};
use serde_json::Value;
use std::{os::unix::process::CommandExt, path::Path, process::Command, thread, time::Duration};

#[test]
fn a_gpu_and_a_processor_are_metered() {
    let hardware =
        Hardware::new().gpu(300, 60, |_| {}).domain(DOMAIN, "package-0", 1_000_000, RANGE);
    let drawing = hardware.drawing(DOMAIN, 80, RANGE);
    let record = windows(&hardware, &["-p", "windows=2", "-p", "length=1234"]);
    drop(drawing);
    let longest = sample_distance(&record, "longest_distance", f64::max);
    for window in record["windows"].as_array().unwrap() {
        let gpu = energy(window, "cuda:0");
        assert_joules(gpu, 300.0, &window["wall_ns"]);
        assert_eq!(gpu["source"], "nvml-counter");
        // The difference of two readings alone would be off by up to a tick of 30 J. What is left is when ticks were seen.
        assert!(gpu["uncertainty"].as_f64().unwrap() < 5.0 + 300.0 * longest, "{gpu}");
        assert_joules(energy(window, "cpu"), 80.0, &window["wall_ns"]);
        // The files are not the kernel's, so the source says so.
        assert_eq!(energy(window, "cpu")["source"], "simulated");
        assert_joules(&window["energy_total"], 80.0, &window["wall_ns"]);
        let state = window["devices"]
            .as_array()
            .unwrap()
            .iter()
            .find(|device| device["device"] == "cuda:0");
        assert_eq!(state.unwrap()["temperature"]["mean"], 60.0);
    }
    let metrics = record["metrics"].as_array().unwrap();
    let named = |name: &str, device: &str| {
        let is_it =
            |metric: &&Value| metric["name"] == name && metric["labels"]["device"] == device;
        metrics.iter().find(is_it).unwrap().clone()
    };
    // The counter's period is measured, not assumed. A tick is seen at the next sample.
    let period = named("update_period", "cuda:0");
    assert_eq!(period["claimed_source"], "sensor");
    let period = &period["quantity"];
    assert!((period["value"].as_f64().unwrap() - 0.1).abs() < longest.max(0.01), "{period}");
    // A busy machine takes many samples late, but not all: a tenth of them shows the period of 10 ms.
    let tenth = sample_distance(&record, "tenth_distance", f64::min);
    assert!(tenth < 0.03, "{tenth} s");
    assert_eq!(record["devices"][1]["name"], "NVIDIA H100 80GB HBM3");
    assert!(!warnings(&record).contains("cuda:0"), "{}", warnings(&record));
}

#[test]
fn windows_may_wait_for_ticks() {
    let hardware = Hardware::new().gpu(300, 60, |_| {});
    let record = windows(&hardware, &["--align-windows", "-p", "length=730"]);
    let gpu = energy(&record["windows"][0], "cuda:0");
    assert_joules(gpu, 300.0, &record["windows"][0]["wall_ns"]);
    let longest = sample_distance(&record, "longest_distance", f64::max);
    assert!(gpu["uncertainty"].as_f64().unwrap() < 300.0 * longest, "{gpu}");
}

#[test]
fn a_counter_that_wraps_again_and_again_is_followed() {
    // At 80 W a range of 120 J is passed every 1.5 s. A wrap can be followed if it is sampled within half of that.
    let range = 120_000_000;
    let hardware = Hardware::new().domain(DOMAIN, "package-0", 119_000_000, range);
    let drawing = hardware.drawing(DOMAIN, 80, range);
    let record = windows(&hardware, &["-p", "length=3500"]);
    drop(drawing);
    let window = &record["windows"][0];
    assert_joules(energy(window, "cpu"), 80.0, &window["wall_ns"]);
}

#[test]
fn a_counter_that_is_set_back_is_no_energy() {
    let back = |moment: &mut GpuReading| moment.millijoules -= 4_000_000;
    let record = windows_with_change(back, &["-p", "windows=3", "-p", "length=600"]);
    let all = record["windows"].as_array().unwrap();
    let lost: Vec<bool> =
        all.iter().map(|window| energy(window, "cuda:0")["value"].is_null()).collect();
    assert_eq!(lost, [true, false, false], "{record}");
    assert_joules(energy(&all[2], "cuda:0"), 300.0, &all[2]["wall_ns"]);
}

#[test]
fn a_counter_that_stands_still_is_no_zero() {
    let still = |moment: &mut GpuReading| moment.millijoules = 5_000_000;
    let hardware =
        Hardware::new().gpu(300, 60, still).domain(DOMAIN, "package-0", 1_000_000, RANGE);
    let record = windows(&hardware, &["-p", "length=500"]);
    for device in ["cuda:0", "cpu"] {
        let reason = energy(&record["windows"][0], device)["unavailable"].as_str().unwrap();
        assert!(reason.contains("stands still"), "{reason}");
    }
}

#[test]
fn a_window_that_is_too_short_says_so() {
    let hardware = Hardware::new().gpu(300, 60, |_| {});
    let record = windows(&hardware, &["-p", "length=1", "-p", "windows=3"]);
    let reasons = record["windows"].to_string();
    assert!(reasons.contains("too short for a counter"), "{reasons}");
}

#[test]
fn a_gpu_that_vanishes_is_named() {
    let vanish = |moment: &mut GpuReading| {
        if moment.ms >= 1200 {
            moment.status = GPU_IS_LOST;
        }
    };
    let hardware = Hardware::new().gpu(300, 60, vanish);
    let record = windows(&hardware, &["-p", "windows=3", "-p", "length=600"]);
    let last = energy(&record["windows"][2], "cuda:0")["unavailable"].as_str().unwrap();
    assert!(last.contains("cuda:0 is gone"), "{last}");
}

#[test]
fn missing_permissions_are_told_with_the_remedy() {
    let deny = |moment: &mut GpuReading| moment.status = NO_PERMISSION;
    let hardware = Hardware::new().gpu(300, 60, deny);
    let record = windows(&hardware, &["-p", "length=100"]);
    let reason = energy(&record["windows"][0], "cuda:0")["unavailable"].as_str().unwrap();
    assert!(reason.contains("run as root"), "{reason}");
}

/// Runs as a user who may not read the counter, which only root can arrange.
#[test]
fn a_counter_for_root_only_is_told_with_the_remedy() {
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    if !is_root {
        return;
    }
    let (hardware, context) =
        (Hardware::new().domain(DOMAIN, "package-0", 1, RANGE), TestContext::new());
    let set = |path: &Path, mode: &str| {
        assert!(Command::new("chmod").arg(mode).arg(path).status().unwrap().success());
    };
    set(&hardware.rapl(DOMAIN, "energy_uj"), "0400");
    // Temporary folders are closed to other users.
    let binary = context.folder.path().join("llem");
    install_program(Path::new(env!("CARGO_BIN_EXE_llem")), &binary);
    for path in [hardware.folder(), context.folder.path()] {
        set(path, "0755");
    }
    let mut command = Command::new(&binary);
    command.args(["doctor", "--json"]).env("LLEM_SYS", hardware.folder().join("sys"));
    let output = command.uid(65_534).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("readable by root only: sudo chmod a+r"), "{text}");
}

#[test]
fn two_sources_that_disagree_become_a_warning() {
    let twice = |moment: &mut GpuReading| moment.milliwatts = 510_000;
    let hardware = Hardware::new().gpu(300, 60, twice);
    let record = windows(&hardware, &["-p", "length=2300"]);
    assert!(
        warnings(&record).contains("more apart than both are uncertain"),
        "{}",
        warnings(&record)
    );
}

#[test]
fn a_gap_in_sampling_is_told_and_the_counter_bridges_it() {
    let (hardware, context) = (Hardware::new().gpu(300, 60, |_| {}), TestContext::new());
    let metering = guest("metering");
    let args = ["exec", &metering, "-p", "length=500", "-p", "until-gap=1000"];
    let mut command = hardware.command(&context, &args);
    let child = command.spawn().unwrap();
    // The window lasts until the guest sees the gap, so that the process is stopped within it however late that is.
    context.wait_for_journal("window 0 is open", 1, Duration::from_secs(60));
    signal(&child, "-STOP");
    thread::sleep(Duration::from_millis(1500));
    signal(&child, "-CONT");
    assert!(child.wait_with_output().unwrap().status.success());
    let record = context.record();
    no_nonsense(&record);
    assert!(warnings(&record).contains("nothing was sampled for"), "{}", warnings(&record));
    let window = &record["windows"][0];
    assert_joules(energy(window, "cuda:0"), 300.0, &window["wall_ns"]);
}

#[test]
fn a_card_without_a_counter_has_its_power_integrated() {
    let hardware = Hardware::new().gpu(300, 60, |_| {});
    hardware.without_counter();
    let record = windows(&hardware, &["-p", "length=1500"]);
    let gpu = energy(&record["windows"][0], "cuda:0");
    assert_joules(gpu, 300.0, &record["windows"][0]["wall_ns"]);
    assert_eq!(gpu["source"], "nvml-power");
}
