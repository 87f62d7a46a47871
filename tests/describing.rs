//! `describe` says what a component is, and has no effect on the run that follows.

use crate::support::{TestContext, guest, of_kind};
use std::time::{Duration, Instant};

#[test]
fn what_belongs_to_run_is_refused_and_changes_nothing() {
    let context = TestContext::new();
    let began = Instant::now();
    let rows = context.file("rows.txt", "one\n");
    let ran =
        context.llem(&["exec", &guest("describes"), "--dataset", &format!("rows={rows}")]).ok();
    assert!(began.elapsed() < Duration::from_secs(45), "describe waited for a minute");
    let record = context.record();
    let events = context.events();
    let logged = of_kind(&events, "log").into_iter();
    let logged: Vec<_> = logged.map(|event| event["message"].as_str().unwrap()).collect();
    let (said, answers) = logged.split_last().unwrap();
    assert_eq!((*said, answers.len()), ("logged by describe", 13));
    for answer in answers {
        let (call, answer) = answer.split_once(": ").unwrap();
        let expected = format!("not-granted: describe must not call {call}: call it in run");
        assert_eq!(answer, expected);
    }
    // The run is the same as one whose component's describe does nothing.
    assert_eq!(record["devices"][0]["id"], "cpu");
    assert!(record["timeline"]["samples"].is_u64(), "{}", record["timeline"]);
    assert_eq!(record["groups"][0]["phase"], "measure");
    let phases: Vec<_> = record["phases"].as_array().unwrap().iter().map(|p| &p["phase"]).collect();
    assert_eq!(phases, ["load", "measure"]);
    for kind in ["windows", "metrics", "series", "artifacts", "baselines"] {
        assert_eq!(record[kind].as_array().map_or(0, Vec::len), 0, "{kind}");
    }
    // What it logged is shown while it runs, and comes first in the record.
    assert!(ran.stderr.contains("the script: warned by describe"), "{}", ran.stderr);
    assert_eq!(record["warnings"][0], "the script: warned by describe");
    assert_eq!(events[0]["event"], "started");
    let times: Vec<u64> = events.iter().map(|event| event["t_ns"].as_u64().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
}

#[test]
fn what_cannot_be_refused_ends_the_component() {
    for (name, call) in [
        ("describe_lists_devices", "devices.list-devices"),
        ("describe_reads_resolution", "meter.counter-resolution"),
    ] {
        for command in ["exec", "inspect"] {
            let sentence = format!("describe must not call {call}: call it in run");
            TestContext::new().llem(&[command, &guest(name)]).refused(2, &[name, &sentence]);
        }
    }
}

#[test]
fn a_describe_that_waits_is_not_waited_for() {
    let began = Instant::now();
    let words = ["describe_waits.wasm", "within 10 s", "wait and compute in run"];
    TestContext::new().llem(&["inspect", &guest("describe_waits")]).refused(2, &words);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    // A shorter deadline applies to it, too.
    let args = ["exec", &guest("describe_waits"), "--deadline", "1"];
    TestContext::new().llem(&args).refused(1, &["deadline of 1 s"]);
}

#[test]
fn a_describe_that_logs_without_end_is_ended() {
    let context = TestContext::new();
    context.llem(&["exec", &guest("describe_floods")]).refused(1, &["1000 lines", "in run"]);
}
