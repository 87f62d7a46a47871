//! The journal holds the sequences of a continuous batch as far as they ran, however the run or the batch ends.

use crate::support::{CommandOutput, TestContext, guest, of_kind};
use serde_json::Value;
use std::{
    fs,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Steps before the end: the prefill, and one more token of each sequence for each further step.
const STEPS: usize = 30;

fn exec(end: &str) -> Vec<String> {
    let end = format!("end={end}");
    let component = guest("open_batch");
    ["exec", &component, "--model", "synthetic:fixed-latency", "-p", &end]
        .map(str::to_owned)
        .to_vec()
}

fn args(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

/// Checks both sequences: at least the tokens of the steps, with a time for each.
fn check_kept(context: &TestContext, finish: &str) {
    let events = context.events();
    let kept = of_kind(&events, "batch-sequence");
    assert_eq!(kept.len(), 2, "both sequences are in the journal");
    for event in kept {
        let sequence = &event["sequence"];
        let tokens = sequence["tokens"].as_array().unwrap().len();
        assert!(tokens >= STEPS, "{tokens} tokens");
        assert_eq!(sequence["token_ns"].as_array().unwrap().len(), tokens);
        assert_eq!(sequence["finish"], finish);
        assert_eq!(event["label"], "open");
    }
    assert_eq!(context.record()["groups"][0]["activity"]["requests"], 2);
}

#[test]
fn whatever_the_script_does() {
    // A script that returns drops its batch; one that panics stops with the batch open.
    for (end, code, finish) in [
        ("return", 0, "cancelled"),
        ("drop", 0, "cancelled"),
        ("raise", 1, "cancelled"),
        ("panic", 1, "interrupted"),
    ] {
        let context = TestContext::new();
        let ran = context.llem(&args(&exec(end)));
        assert_eq!(ran.code, Some(code), "{end}: {}", ran.stderr);
        check_kept(&context, finish);
    }
}

#[test]
fn a_deadline_between_steps_and_within_a_drain() {
    for end in ["spin", "step", "drain"] {
        let context = TestContext::new();
        let command = [exec(end), vec!["--deadline".to_owned(), "2".to_owned()]].concat();
        context.llem(&args(&command)).refused(1, &["deadline of 2 s"]);
        check_kept(&context, "interrupted");
    }
}

fn start(context: &TestContext, end: &str) -> Child {
    let mut command = context.command(&args(&exec(end)));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args([name, &id]).status().unwrap().success());
}

fn journal(context: &TestContext) -> String {
    fs::read_to_string(context.folder.path().join("run/events.jsonl")).unwrap_or_default()
}

fn wait_for_progress(context: &TestContext) {
    let patience = Instant::now() + Duration::from_secs(60);
    while !journal(context).contains("\"event\":\"batch-progress\"") {
        assert!(Instant::now() < patience, "no sequence ever came into the journal");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn ctrl_c_in_the_middle() {
    for end in ["step", "drain"] {
        let context = TestContext::new();
        let child = start(&context, end);
        wait_for_progress(&context);
        signal(&child, "-INT");
        CommandOutput::from_output(child.wait_with_output().unwrap())
            .refused(130, &["interrupted"]);
        check_kept(&context, "interrupted");
    }
}

#[test]
fn kill_9_keeps_tokens_up_to_a_second_before() {
    // Twenty times, spread unevenly over a second and a half, in a loop of steps and in a drain.
    let mut seed = u64::from(std::process::id());
    for attempt in 0..20 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let context = TestContext::new();
        let mut child = start(&context, if attempt % 2 == 0 { "step" } else { "drain" });
        wait_for_progress(&context);
        thread::sleep(Duration::from_micros((seed >> 33) % 1_500_000));
        let killed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        signal(&child, "-KILL");
        child.wait().unwrap();

        context.llem(&["recover", "run"]).ok();
        let events = context.events();
        let began = of_kind(&events, "started")[0]["unix_ns"].as_i64().unwrap();
        let (mut all, mut last) = (0, [0; 2]);
        for event in of_kind(&events, "batch-progress") {
            for news in event["sequences"].as_array().unwrap() {
                let times = news["token_ns"].as_array().unwrap();
                assert_eq!(news["tokens"].as_array().unwrap().len(), times.len());
                all += times.len();
                last[news["name"].as_u64().unwrap() as usize] =
                    began + times.last().unwrap().as_i64().unwrap();
            }
        }
        for last in last {
            let lost = killed.as_nanos() as i64 - last;
            // Each step of 7 ms gives a token: what is missing is less than a second old.
            assert!(lost < 1_000_000_000, "attempt {attempt}: {lost} ns are lost");
        }
        let record: Value = context.record();
        assert_eq!(record["status"], "killed", "attempt {attempt}");
        let activity = &record["groups"][0]["activity"];
        assert_eq!(activity["requests"], 2, "attempt {attempt}");
        assert_eq!(activity["output_tokens"], all, "attempt {attempt}");
    }
}
