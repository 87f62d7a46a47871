//! Windows on doubles of hardware, and what is asserted of their energies.

use super::{Hardware, TestContext, guest};
use serde_json::Value;

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

/// Panics unless the energy is that of `watts` over the time: within two standard uncertainties, or within 2 %
/// because a busy machine may read a counter late.
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
