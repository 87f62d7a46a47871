//! Windows on doubles of hardware, and what is asserted of their energies.

use super::{CommandOutput, GpuReading, Hardware, TestContext, guest};
use serde_json::Value;
use std::{process::Stdio, time::Duration};

/// The RAPL domain of most tests, and the value at which its counter starts over, µJ.
pub const DOMAIN: &str = "intel-rapl:0";
pub const RANGE: u64 = 262_143_328_850;

/// Runs the guest `metering`, whose windows only wait, and returns the record.
pub fn windows(hardware: &Hardware, args: &[&str]) -> Value {
    let context = TestContext::new();
    let metering = guest("metering");
    let ran = hardware.llem(&context, &[&["exec", &metering], args].concat()).ok();
    drop(ran);
    let record = context.record();
    no_nonsense(&record);
    record
}

/// Runs `metering` on a GPU that draws 300 W, and changes its readings within the first window, however late that is: the
/// window lasts until the guest sees the changed readings, which tell 301 W.
pub fn windows_with_change(change: fn(&mut GpuReading), args: &[&str]) -> Value {
    let (hardware, context) = (Hardware::new().gpu(300, 60, |_| {}), TestContext::new());
    let metering = guest("metering");
    let args = [&["exec", &metering, "-p", "until-power=301"][..], args].concat();
    let mut command = hardware.command(&context, &args);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    context.wait_for_journal("window 0 is open", 1, Duration::from_secs(60));
    hardware.gpu_from_now_on(300, 60, |moment| {
        moment.milliwatts = 301_000;
        change(moment);
    });
    CommandOutput::from_output(child.wait_with_output().unwrap()).ok();
    let record = context.record();
    no_nonsense(&record);
    record
}

/// Returns the least or the greatest of what the guest `metering` reports of the times between samples in each window, s.
pub fn sample_distance(record: &Value, name: &str, of: fn(f64, f64) -> f64) -> f64 {
    let metrics = record["metrics"].as_array().unwrap().iter();
    let distances = metrics.filter(|metric| metric["name"] == name);
    distances.map(|metric| metric["quantity"]["value"].as_f64().unwrap()).reduce(of).unwrap()
}

/// Panics if an energy of the record is zero, negative or not a number, or is absent without a reason.
pub fn no_nonsense(record: &Value) {
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

/// Returns the energy of a device in a window: a quantity, or the reason why there is none.
pub fn energy<'a>(window: &'a Value, device: &str) -> &'a Value {
    let parts = window["energy"].as_array().unwrap();
    &parts.iter().find(|part| part["device"] == device).unwrap()["energy"]
}

/// Returns all warnings of a record as one text.
pub fn warnings(record: &Value) -> String {
    record["warnings"].to_string()
}

/// Panics unless the energy is that of `watts` over the time: within two standard uncertainties, or within 2 %.
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
