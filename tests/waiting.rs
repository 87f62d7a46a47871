//! `wait-until` names its device, and works on every device that has a meter.

use crate::support::{Hardware, TestContext, guest, of_kind};

const DOMAIN: &str = "intel-rapl:0";
const RANGE: u64 = 262_143_328_850;

/// Returns what `wait-until` answers to a guest.
fn told(hardware: &Hardware, more: &[&str]) -> String {
    let context = TestContext::new();
    let guest = guest("waits");
    let mut args = vec!["exec", &guest, "--no-timeline"];
    more.iter().for_each(|parameter| args.extend(["-p", parameter]));
    hardware.llem(&context, &args).ok();
    let events = context.events();
    let mut logs = of_kind(&events, "log").into_iter().filter(|log| log["level"] == "info");
    logs.next_back().unwrap()["message"].as_str().unwrap().to_owned()
}

#[test]
fn a_processor_with_a_counter_can_be_steady() {
    let hardware = Hardware::new().domain(DOMAIN, "package-0", 1_000_000, RANGE);
    let drawing = hardware.drawing(DOMAIN, 50, RANGE);
    assert_eq!(told(&hardware, &["within=1000"]), "steady");
    assert_eq!(told(&hardware, &["device=cpu", "within=1000"]), "steady");
    // No power is this steady.
    let moved = told(&hardware, &["device=cpu", "within=1e-9", "timeout=1500"]);
    assert!(moved.contains("Failed") && moved.contains("cpu still moved by"), "{moved}");
    drop(drawing);
}

#[test]
fn what_nothing_reads_is_unsupported_with_the_reason() {
    let hardware = Hardware::new();
    for (what, reason) in [("what=power", "powercap"), ("what=temperature", "temperature")] {
        let told = told(&hardware, &[what]);
        assert!(
            told.contains("Unsupported") && told.contains("cpu") && told.contains(reason),
            "{told}"
        );
    }
}

#[test]
fn a_gpu_beside_the_measured_device_can_be_named() {
    let hardware = Hardware::new().gpu(300, 60, |_| {});
    assert_eq!(told(&hardware, &["device=cuda:0", "within=1"]), "steady");
    let nowhere = told(&hardware, &["device=cuda:7", "within=1"]);
    assert!(nowhere.contains("NotFound") && nowhere.contains("cpu, cuda:0"), "{nowhere}");
}

#[test]
fn limits_that_are_no_numbers_are_refused_by_name() {
    let hardware = Hardware::new();
    for what in ["power", "temperature"] {
        for within in ["NaN", "inf", "-inf", "-1", "0"] {
            let args = [format!("what={what}"), format!("within={within}")];
            let told = told(&hardware, &[&args[0], &args[1]]);
            let words = ["InvalidArgument", &format!("{what}-steady"), "within"];
            assert!(words.iter().all(|word| told.contains(word)), "{told}");
        }
    }
}
