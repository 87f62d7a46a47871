//! A record explains itself: what of its environment changes results, and what is only a script's word.

use crate::support::{Desk, guest};
use serde_json::Value;

fn named<'a>(record: &'a Value, name: &str) -> Vec<&'a Value> {
    let metrics = record["metrics"].as_array().unwrap();
    metrics.iter().filter(|metric| metric["name"] == name).collect()
}

#[test]
fn what_a_script_reports_is_marked_as_the_scripts() {
    let desk = Desk::new();
    let ran = desk.llem(&["exec", &guest("claims_source")]).ok();
    let record = desk.record();
    let energies = named(&record, "energy");
    assert_eq!(energies.len(), 12);
    for metric in energies {
        assert_eq!(metric["quantity"]["source"], "script", "{metric}");
        assert_eq!(metric["claimed_source"], metric["labels"]["as"], "{metric}");
        assert_eq!(metric["quantity"]["value"], 42.0);
    }
    // A difference may be below zero; that no counter told it is said.
    let negative = named(&record, "negative")[0];
    assert_eq!(negative["quantity"]["value"], -5.0);
    assert_eq!(negative["quantity"]["source"], "script");
    assert!(ran.stdout.contains("script: nvml-counter"), "{}", ran.stdout);
}

#[test]
fn a_number_that_is_none_is_refused() {
    let desk = Desk::new();
    desk.llem(&["exec", &guest("claims_source")]).ok();
    let record = desk.record();
    assert!(named(&record, "wrong").is_empty(), "{}", record["metrics"]);
    let rows = record["tables"][0]["rows"].as_array().unwrap();
    let reasons = [
        "the uncertainty -3",
        "the uncertainty NaN",
        "the value NaN",
        "the value inf",
        "a unit of 5 bytes",
        "a unit of 65 bytes",
    ];
    assert_eq!(rows.len(), reasons.len());
    for (row, reason) in rows.iter().zip(reasons) {
        let answer = row[1].as_str().unwrap();
        assert!(answer.contains("InvalidArgument") && answer.contains(reason), "{row}");
    }
}

#[test]
fn what_a_policy_derives_is_marked_as_the_scripts() {
    let desk = Desk::new();
    let (workload, metrics) = (guest("policy_workload"), guest("policy_metrics"));
    desk.llem(&["exec", "--workload", &workload, "--metrics", &metrics]).ok();
    let record = desk.record();
    for name in ["trials", "tokens"] {
        let metric = named(&record, name)[0];
        assert_eq!(metric["quantity"]["source"], "script");
        assert_eq!(metric["claimed_source"], "counted");
    }
}
