//! Power at rest: measured as a baseline, stored for later runs, subtracted in a field of its own; and modelled power.

use crate::support::{
    GpuReading, Hardware, TestContext, guest,
    metering::{DOMAIN, RANGE, assert_joules, warnings, windows},
};
use serde_json::Value;

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
    let (policies, context) = (guest("policies"), TestContext::new());
    hardware.llem(&context, &["exec", &policies, "--baseline", "1.5"]).ok();
    drop(drawing);
    let record = context.record();
    let phases: Vec<&Value> =
        record["phases"].as_array().unwrap().iter().map(|phase| &phase["phase"]).collect();
    assert_eq!(phases[..2], ["load", "baseline"]);
    let idle = &record["baselines"][0]["power"][0]["power"];
    assert!((idle["value"].as_f64().unwrap() - 30.0).abs() < 1.5, "{idle}");
    let (experiment, context) = (guest("metering"), TestContext::new());
    let refused = hardware.llem(&context, &["exec", &experiment, "--baseline", "1"]);
    refused.refused(2, &["--baseline", "experiment"]);
    let refused = hardware.llem(&TestContext::new(), &["exec", &policies, "--baseline", "0.01"]);
    refused.refused(2, &["0.1 to 600 s"]);
}

#[test]
fn a_restless_machine_has_no_steady_baseline() {
    let restless = |moment: &mut GpuReading| {
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
fn a_declared_power_model_is_marked_everywhere() {
    let hardware = Hardware::new();
    let model = ["--power-model", "tdp=100,idle=40"];
    let record =
        windows(&hardware, &[&model[..], &["-p", "length=600", "-p", "baseline=500"]].concat());
    let window = &record["windows"][0];
    let total = &window["energy_total"];
    assert_eq!(total["source"], "modelled");
    let seconds = window["wall_ns"].as_f64().unwrap() * 1e-9;
    let watts = total["value"].as_f64().unwrap() / seconds;
    // A busy machine uses all of it, except for rounding.
    assert!((39.99..=100.01).contains(&watts), "{watts} W");
    // The power is only known to lie between both values, uniformly: 60 W x the time / sqrt(12).
    let uncertainty = 60.0 * seconds / 12f64.sqrt();
    assert!((total["uncertainty"].as_f64().unwrap() / uncertainty - 1.0).abs() < 0.05, "{total}");
    assert_eq!(record["devices"][0]["gauges"][0]["source"], "modelled");
    assert_eq!(record["baselines"][0]["power"][0]["power"]["source"], "modelled");
    assert_eq!(window["energy_above_idle"]["source"], "modelled");
    // A counter takes precedence over a declared model.
    let hardware = Hardware::new().domain(DOMAIN, "package-0", 1_000_000, RANGE);
    let drawing = hardware.drawing(DOMAIN, 80, RANGE);
    let record = windows(&hardware, &[&model[..], &["-p", "length=300"]].concat());
    drop(drawing);
    assert_eq!(record["windows"][0]["energy_total"]["source"], "simulated");
    assert!(warnings(&record).contains("the declared power model is not used"));
}

#[test]
fn full_batches_and_cool_trials_are_measured() {
    let (hardware, context) = (Hardware::new(), TestContext::new());
    let steady = guest("steady");
    hardware.llem(&context, &["exec", &steady, "--power-model", "tdp=100,idle=40"]).ok();
    let record = context.record();
    let joules = record["metrics"].as_array().unwrap();
    let joules = joules.iter().find(|metric| metric["name"] == "joules_per_run").unwrap();
    assert_eq!(joules["claimed_source"], "modelled");
    assert!(joules["quantity"]["value"].as_f64().unwrap() > 0.0);
}
