//! The journal holds the sequences of a continuous batch as far as they ran, however the run or the batch ends.

use crate::support::{Running, TestContext, ended_by_deadline, guest, of_kind, signal};
use serde_json::Value;
use std::{process::Stdio, thread, time::Duration};

/// Time after which a run counts as hanging.
const PATIENCE: Duration = Duration::from_secs(120);

/// Steps before the end: the prefill, and one more token of each sequence for each further step.
const STEPS: usize = 30;

/// What the guest logs after its steps.
const STEPPED: &str = "the steps are done";

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
        let context = ended_by_deadline(&args(&exec(end)), STEPPED);
        check_kept(&context, "interrupted");
    }
}

fn start(context: &TestContext, end: &str) -> Running {
    let mut command = context.command(&args(&exec(end)));
    Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))
}

#[test]
fn ctrl_c_in_the_middle() {
    for end in ["step", "drain"] {
        let context = TestContext::new();
        let child = start(&context, end);
        context.wait_for_journal(STEPPED, 1, PATIENCE);
        signal(&child, "-INT");
        child.end().refused(130, &["interrupted"]);
        check_kept(&context, "interrupted");
    }
}

/// The new tokens of a line of the journal, for each sequence: its name, the index of the first, and their times in ns.
fn news(progress: &Value) -> Vec<(u64, u64, Vec<u64>)> {
    let sequences = progress["sequences"].as_array().unwrap().iter();
    let news = sequences.map(|news| {
        let times: Vec<u64> = serde_json::from_value(news["token_ns"].clone()).unwrap();
        assert_eq!(news["tokens"].as_array().unwrap().len(), times.len());
        (news["name"].as_u64().unwrap(), news["first"].as_u64().unwrap(), times)
    });
    news.collect()
}

/// Tokens are written a quarter of a second after the oldest of them. By the virtual clock this is exact: a line holds at most the
/// tokens of this time and of the step that passes its end.
#[test]
fn tokens_wait_a_quarter_of_a_second_for_the_journal() {
    const LATENCY: u64 = 250_000_000;
    let context = TestContext::new();
    let more = ["--synthetic-host", "-p", "steps=300"];
    context.llem(&[&args(&exec("return"))[..], &more].concat()).ok();
    let events = context.events();
    let lines = of_kind(&events, "batch-progress");
    assert!(lines.len() > 3, "{} lines", lines.len());
    let mut known = [0; 2];
    for line in lines {
        let news = news(line);
        assert_eq!(news.len(), 2, "both sequences run");
        for (name, first, times) in news {
            assert_eq!(first, known[name as usize], "no token is left out");
            known[name as usize] += times.len() as u64;
            let before_the_last = times[..times.len() - 1].last().unwrap_or(&times[0]);
            assert!(before_the_last - times[0] < LATENCY, "{times:?}");
        }
    }
}

/// Whenever the process is killed, what was written as the sequences went on can be read, and no token is missing before it.
#[test]
fn kill_9_keeps_what_was_written_while_the_batch_ran() {
    // Twenty times, spread unevenly over half a second, in a loop of steps and in a drain.
    let mut seed = u64::from(std::process::id());
    for attempt in 0..20 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let context = TestContext::new();
        let mut child = start(&context, if attempt % 2 == 0 { "step" } else { "drain" });
        // The batch never ends by itself, so a second line shows that writing goes on.
        context.wait_for_journal("\"event\":\"batch-progress\"", 2, PATIENCE);
        thread::sleep(Duration::from_micros((seed >> 33) % 500_000));
        signal(&child, "-KILL");
        child.wait().unwrap();

        let killed = context.journal();
        let written = killed.matches("\"event\":\"batch-progress\"").count();
        context.llem(&["recover", "run"]).ok();
        let events = context.events();
        let lines = of_kind(&events, "batch-progress");
        // The kill may have cut the last line short.
        assert!(lines.len() >= 2 && lines.len() + 1 >= written, "attempt {attempt}: {killed}");
        let mut known = [0; 2];
        for (name, first, times) in lines.into_iter().flat_map(news) {
            assert_eq!(first, known[name as usize], "attempt {attempt}: no token is left out");
            known[name as usize] += times.len() as u64;
        }
        let record: Value = context.record();
        assert_eq!(record["status"], "killed", "attempt {attempt}");
        let activity = &record["groups"][0]["activity"];
        assert_eq!(activity["requests"], 2, "attempt {attempt}");
        assert_eq!(activity["output_tokens"], known[0] + known[1], "attempt {attempt}");
    }
}
