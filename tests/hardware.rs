//! Metering on hardware that is a double below our parsers: a library in NVML's place, files in the kernel's. What is
//! measured is what they drew; what cannot be told is absent with the reason, never zero, negative or no number.

use crate::{
    gpu_trace::Moment,
    support::{Desk, GPU_IS_LOST, Hardware, NO_PERMISSION, guest},
};
use serde_json::Value;
use std::{fs, os::unix::process::CommandExt, process::Command, thread, time::Duration};

const DOMAIN: &str = "intel-rapl:0";
const RANGE: u64 = 262_143_328_850;

/// Runs windows of rest and returns the record.
pub fn windows(hardware: &Hardware, args: &[&str]) -> Value {
    let desk = Desk::new();
    let metering = guest("metering");
    let ran = hardware.llem(&desk, &[&["exec", &metering], args].concat()).ok();
    drop(ran);
    let record = desk.record();
    no_nonsense(&record);
    record
}

/// Nothing negative, nothing that is no number, nothing silently zero among energies.
fn no_nonsense(record: &Value) {
    for window in record["windows"].as_array().unwrap() {
        let total = [&window["energy_total"]];
        for energy in
            window["energy"].as_array().unwrap().iter().map(|part| &part["energy"]).chain(total)
        {
            match energy["value"].as_f64() {
                Some(joules) => {
                    assert!(
                        joules > 0.0 && energy["uncertainty"].as_f64().unwrap() > 0.0,
                        "{energy}"
                    );
                }
                None => assert!(energy["unavailable"].as_str().unwrap().len() > 20, "{energy}"),
            }
        }
    }
}

/// Energy of a device's domain in a window: the number, or the reason.
pub fn energy<'a>(window: &'a Value, device: &str) -> &'a Value {
    let parts = window["energy"].as_array().unwrap();
    &parts.iter().find(|part| part["device"] == device).unwrap()["energy"]
}

fn warnings(record: &Value) -> String {
    record["warnings"].to_string()
}

/// Within two standard uncertainties, or 2 % for what the machine that tests may be late by.
pub fn assert_joules(energy: &Value, watts: f64, wall_ns: &Value) {
    let expected = watts * wall_ns.as_f64().unwrap() * 1e-9;
    let (value, uncertainty) =
        (energy["value"].as_f64().unwrap(), energy["uncertainty"].as_f64().unwrap());
    let allowed = (2.0 * uncertainty).max(0.02 * expected);
    assert!(
        (value - expected).abs() < allowed,
        "{value} ± {uncertainty} J, where {expected} were drawn"
    );
    assert!(uncertainty < 0.1 * expected, "{value} ± {uncertainty} J");
}

#[test]
fn a_gpu_and_a_processor_are_metered() {
    let hardware =
        Hardware::new().gpu(300, 60, |_| {}).domain(DOMAIN, "package-0", 1_000_000, RANGE);
    let drawing = hardware.drawing(DOMAIN, 80, RANGE);
    let record = windows(&hardware, &["-p", "windows=2", "-p", "length=1234"]);
    drop(drawing);
    for window in record["windows"].as_array().unwrap() {
        let gpu = energy(window, "cuda:0");
        assert_joules(gpu, 300.0, &window["wall_ns"]);
        assert_eq!(gpu["source"], "nvml-counter");
        // The difference of two readings alone would be off by up to a tick of 30 J.
        assert!(gpu["uncertainty"].as_f64().unwrap() < 8.0, "{gpu}");
        assert_joules(energy(window, "cpu"), 80.0, &window["wall_ns"]);
        // Files of a folder, where the kernel's are expected.
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
    // The counter's period is found out, and not assumed.
    let period = named("update_period", "cuda:0");
    assert_eq!(period["claimed_source"], "sensor");
    let period = &period["quantity"];
    assert!((period["value"].as_f64().unwrap() - 0.1).abs() < 0.01, "{period}");
    let samples = metrics.iter().find(|metric| metric["name"] == "samples").unwrap();
    assert!(samples["quantity"]["value"].as_f64().unwrap() > 100.0, "{samples}");
    assert_eq!(record["devices"][1]["name"], "NVIDIA H100 80GB HBM3");
    assert!(!warnings(&record).contains("cuda:0"), "{}", warnings(&record));
}

/// A peak of memory in a window: the number, or the reason.
fn memory<'a>(window: &'a Value, device: &str, kind: &str) -> &'a Value {
    let peaks = window["memory"].as_array().unwrap();
    let is_it = |peak: &&Value| peak["device"] == device && peak["kind"] == kind;
    &peaks.iter().find(is_it).unwrap()["peak"]
}

#[test]
fn a_window_tells_its_peaks_of_memory() {
    // Memory that grows by 1 MB a millisecond, of which another process has 3 GB.
    let grows = |moment: &mut Moment| {
        let bytes = 10_000_000_000 + moment.ms * 1_000_000;
        moment.memory = [Some(bytes), Some(bytes - 3_000_000_000)];
    };
    let record =
        windows(&Hardware::new().gpu(300, 60, grows), &["-p", "windows=2", "-p", "length=1500"]);
    let windows = record["windows"].as_array().unwrap();
    let peak = |window: usize, kind| {
        let peak = memory(&windows[window], "cuda:0", kind);
        assert_eq!((&peak["unit"], &peak["source"]), (&"By".into(), &"sensor".into()));
        peak["value"].as_f64().unwrap()
    };
    // A reading may come late by a tenth of a second, and the machine that tests by as much.
    for kind in ["device", "process-device"] {
        let grown = peak(1, kind) - peak(0, kind);
        assert!((grown - 1.5e9).abs() < 0.4e9, "{kind}: {grown}");
    }
    for window in [0, 1] {
        let others = peak(window, "device") - peak(window, "process-device");
        assert!((others - 3e9).abs() <= 0.1e9, "{others}");
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
        |moment: &mut Moment| moment.status = if moment.ms < 100 { 0 } else { NO_PERMISSION };
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
fn windows_may_wait_for_ticks() {
    let hardware = Hardware::new().gpu(300, 60, |_| {});
    let record = windows(&hardware, &["--align-windows", "-p", "length=730"]);
    let gpu = energy(&record["windows"][0], "cuda:0");
    assert_joules(gpu, 300.0, &record["windows"][0]["wall_ns"]);
    assert!(gpu["uncertainty"].as_f64().unwrap() < 3.0, "{gpu}");
}

#[test]
fn a_counter_that_wraps_again_and_again_is_followed() {
    // 80 W go through 20 J every quarter of a second.
    let range = 20_000_000;
    let hardware = Hardware::new().domain(DOMAIN, "package-0", 19_000_000, range);
    let drawing = hardware.drawing(DOMAIN, 80, range);
    let record = windows(&hardware, &["-p", "length=1500"]);
    drop(drawing);
    let window = &record["windows"][0];
    assert_joules(energy(window, "cpu"), 80.0, &window["wall_ns"]);
}

#[test]
fn a_counter_that_is_set_back_is_no_energy() {
    let back = |moment: &mut crate::support::Moment| {
        if moment.ms >= 1200 {
            moment.millijoules -= 4_000_000;
        }
    };
    let hardware = Hardware::new().gpu(300, 60, back);
    let record = windows(&hardware, &["-p", "windows=3", "-p", "length=600"]);
    let all = record["windows"].as_array().unwrap();
    let lost: Vec<bool> =
        all.iter().map(|window| energy(window, "cuda:0")["value"].is_null()).collect();
    assert_eq!(lost.iter().filter(|lost| **lost).count(), 1, "{record}");
    assert_joules(energy(&all[2], "cuda:0"), 300.0, &all[2]["wall_ns"]);
}

#[test]
fn a_counter_that_stands_still_is_no_zero() {
    let still = |moment: &mut crate::support::Moment| moment.millijoules = 5_000_000;
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
    let vanish = |moment: &mut crate::support::Moment| {
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
    let deny = |moment: &mut crate::support::Moment| moment.status = NO_PERMISSION;
    let hardware = Hardware::new().gpu(300, 60, deny);
    let record = windows(&hardware, &["-p", "length=100"]);
    let reason = energy(&record["windows"][0], "cuda:0")["unavailable"].as_str().unwrap();
    assert!(reason.contains("run as root"), "{reason}");
}

/// As a user who may not read the counter. Only root can become one.
#[test]
fn a_counter_for_root_only_is_told_with_the_remedy() {
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    if !is_root {
        return;
    }
    let (hardware, desk) = (Hardware::new().domain(DOMAIN, "package-0", 1, RANGE), Desk::new());
    let set = |path: &std::path::Path, mode: &str| {
        assert!(Command::new("chmod").arg(mode).arg(path).status().unwrap().success());
    };
    set(&hardware.rapl(DOMAIN, "energy_uj"), "0400");
    // Within reach of that user: folders of tests are for their makers only.
    let binary = desk.folder.path().join("llem");
    fs::copy(env!("CARGO_BIN_EXE_llem"), &binary).unwrap();
    for path in [hardware.folder(), desk.folder.path()] {
        set(path, "0755");
    }
    let mut command = Command::new(&binary);
    command.args(["doctor", "--json"]).env("LLEM_SYS", hardware.folder().join("sys"));
    let output = command.uid(65_534).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("readable by root only: sudo chmod a+r"), "{text}");
}

#[test]
fn what_happens_to_a_device_becomes_a_warning() {
    let trouble = |moment: &mut crate::support::Moment| {
        // SW thermal slowdown (0x20) and an SM clock that falls, on a card that gets warmer.
        if moment.ms >= 1200 {
            (moment.clock, moment.throttle, moment.temperature) = (1200, 0x20, 84);
        }
    };
    let hardware = Hardware::new().gpu(300, 60, trouble);
    let record = windows(&hardware, &["-p", "length=1500"]);
    let told = warnings(&record);
    for sign in [
        "held below its clock: sw_thermal_slowdown",
        "fell from 1980 to 1200 MHz",
        "went from 60 to 84",
    ] {
        assert!(told.contains(sign), "no '{sign}' in {told}");
    }
    assert_eq!(record["windows"][0]["warnings"].as_array().unwrap().len(), 3);
}

#[test]
fn two_sources_that_disagree_become_a_warning() {
    let twice = |moment: &mut crate::support::Moment| moment.milliwatts = 510_000;
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
    let (hardware, desk) = (Hardware::new().gpu(300, 60, |_| {}), Desk::new());
    let metering = guest("metering");
    let mut command = hardware.command(&desk, &["exec", &metering, "-p", "length=2500"]);
    let child = command.spawn().unwrap();
    let signal = |name: &str| {
        let id = child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    };
    thread::sleep(Duration::from_millis(1800));
    signal("-STOP");
    thread::sleep(Duration::from_millis(700));
    signal("-CONT");
    assert!(child.wait_with_output().unwrap().status.success());
    let record = desk.record();
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

#[test]
fn a_declared_power_model_is_marked_everywhere() {
    let hardware = Hardware::new();
    let model = ["--power-model", "tdp=100,idle=40"];
    let record =
        windows(&hardware, &[&model[..], &["-p", "length=600", "-p", "baseline=500"]].concat());
    let window = &record["windows"][0];
    let total = &window["energy_total"];
    assert_eq!(total["source"], "modelled");
    let watts = total["value"].as_f64().unwrap() / (window["wall_ns"].as_f64().unwrap() * 1e-9);
    // A busy machine draws all of it, but for rounding.
    assert!((39.99..=100.01).contains(&watts), "{watts} W");
    // Nothing else is known than that it lies between both: 60 W x 0.6 s / sqrt(12).
    assert!((total["uncertainty"].as_f64().unwrap() - 10.4).abs() < 0.5, "{total}");
    assert_eq!(record["devices"][0]["gauges"][0]["source"], "modelled");
    assert_eq!(record["baselines"][0]["power"][0]["power"]["source"], "modelled");
    assert_eq!(window["energy_above_idle"]["source"], "modelled");
    // Where there is a counter, that counts.
    let hardware = Hardware::new().domain(DOMAIN, "package-0", 1_000_000, RANGE);
    let drawing = hardware.drawing(DOMAIN, 80, RANGE);
    let record = windows(&hardware, &[&model[..], &["-p", "length=300"]].concat());
    drop(drawing);
    assert_eq!(record["windows"][0]["energy_total"]["source"], "simulated");
    assert!(warnings(&record).contains("the declared power model is not used"));
}

#[test]
fn a_baseline_is_subtracted_in_its_own_field_and_kept() {
    let hardware =
        Hardware::new().gpu(70, 60, |_| {}).domain(DOMAIN, "package-0", 1_000_000, RANGE);
    let drawing = hardware.drawing(DOMAIN, 30, RANGE);
    let args = ["-p", "baseline=1500", "-p", "lifetime=600", "-p", "length=800"];
    let first = windows(&hardware, &args);
    let second = windows(&hardware, &args);
    drop(drawing);
    let baseline = &first["baselines"][0];
    assert_eq!(baseline["from_earlier_run"], false);
    let watts = |device: &str| {
        let parts = baseline["power"].as_array().unwrap();
        parts.iter().find(|part| part["device"] == device).unwrap()["power"]["value"]
            .as_f64()
            .unwrap()
    };
    assert!(
        (watts("cpu") - 30.0).abs() < 1.5 && (watts("cuda:0") - 70.0).abs() < 3.5,
        "{baseline}"
    );
    let window = &first["windows"][0];
    let above = window["energy_above_idle"]["value"].as_f64().unwrap();
    assert!(above.abs() < 0.1 * window["energy_total"]["value"].as_f64().unwrap(), "{window}");
    assert_joules(&window["energy_total"], 30.0, &window["wall_ns"]);
    assert_eq!(second["baselines"][0]["from_earlier_run"], true);
    assert_eq!(second["baselines"][0]["measured_at"], baseline["measured_at"]);
    let third = windows(&hardware, &["-p", "baseline=500", "-p", "lifetime=0", "-p", "length=100"]);
    assert_eq!(third["baselines"][0]["from_earlier_run"], false);
}

#[test]
fn policies_may_have_a_baseline_too() {
    let hardware = Hardware::new().domain(DOMAIN, "package-0", 1_000_000, RANGE);
    let drawing = hardware.drawing(DOMAIN, 30, RANGE);
    let (policies, desk) = (guest("policies"), Desk::new());
    hardware.llem(&desk, &["exec", &policies, "--baseline", "1.5"]).ok();
    drop(drawing);
    let record = desk.record();
    let phases: Vec<&Value> =
        record["phases"].as_array().unwrap().iter().map(|phase| &phase["phase"]).collect();
    assert_eq!(phases[..2], ["load", "baseline"]);
    let idle = &record["baselines"][0]["power"][0]["power"];
    assert!((idle["value"].as_f64().unwrap() - 30.0).abs() < 1.5, "{idle}");
    let (experiment, desk) = (guest("metering"), Desk::new());
    let refused = hardware.llem(&desk, &["exec", &experiment, "--baseline", "1"]);
    refused.refused(2, &["--baseline", "experiment"]);
    let refused = hardware.llem(&Desk::new(), &["exec", &policies, "--baseline", "0.01"]);
    refused.refused(2, &["0.1 to 600 s"]);
}

#[test]
fn a_restless_machine_has_no_steady_baseline() {
    let restless = |moment: &mut crate::support::Moment| {
        if moment.ms < 2000 {
            moment.millijoules = 5_000_000 + moment.ms * 150;
        } else {
            moment.millijoules = 5_300_000 + (moment.ms - 2000) * 70;
        }
    };
    let hardware = Hardware::new().gpu(150, 60, restless);
    let record = windows(&hardware, &["-p", "baseline=3000", "-p", "length=300"]);
    assert!(warnings(&record).contains("is not steady"), "{}", warnings(&record));
    let unsteady = &record["baselines"][0]["power"];
    assert!(unsteady.to_string().contains("power went from"), "{unsteady}");
}

#[test]
fn instances_of_a_gpu_are_said() {
    let (hardware, desk) = (Hardware::new().gpu(300, 60, |_| {}), Desk::new());
    let mut command = hardware.command(&desk, &["doctor", "--json"]);
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

#[test]
fn full_batches_and_cool_trials_are_measured() {
    let (hardware, desk) = (Hardware::new(), Desk::new());
    let steady = guest("steady");
    hardware.llem(&desk, &["exec", &steady, "--power-model", "tdp=100,idle=40"]).ok();
    let record = desk.record();
    let joules = record["metrics"].as_array().unwrap();
    let joules = joules.iter().find(|metric| metric["name"] == "joules_per_run").unwrap();
    assert_eq!(joules["claimed_source"], "modelled");
    assert!(joules["quantity"]["value"].as_f64().unwrap() > 0.0);
}
