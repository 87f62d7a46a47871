//! What a guest prints is in the record, however the guest ends.

use crate::support::{CommandOutput, TestContext, ended_by_deadline, guest, of_kind};
use std::fs;
#[cfg(target_os = "linux")]
use {crate::support::processor_time::end_with_processor_time, std::process::Stdio};

fn stdout_lines(context: &TestContext) -> Vec<String> {
    let events = context.events();
    let logs = of_kind(&events, "log").into_iter().filter(|log| log["level"] == "stdout");
    logs.map(|log| log["message"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_last_line_needs_no_end_however_the_guest_ends() {
    for ending in ["return", "fail", "trap", "exit", "loop"] {
        let (ending, guest) = (format!("ending={ending}"), guest("unfinished_line"));
        let args = ["exec", &guest, "-p", &ending];
        let context = if ending == "ending=loop" {
            ended_by_deadline(&args, "\"message\":\"first\"")
        } else {
            let context = TestContext::new();
            context.llem(&args);
            context
        };
        assert_eq!(stdout_lines(&context), ["first", "last wörds"], "{ending}");
        let events = context.events();
        assert_eq!(events.last().unwrap()["event"], "ended", "{ending}");
    }
}

/// Regression: 2,000 pieces took 8 s and 8,000 more than a minute, because each piece was searched from the line's start.
#[test]
#[cfg(target_os = "linux")]
fn a_line_that_never_ends_is_cut_and_costs_what_its_length_costs() {
    let time = |pieces: usize| {
        let context = TestContext::new();
        let number = format!("pieces={pieces}");
        let mut command = context.command(&["exec", &guest("unfinished_line"), "-p", &number]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (ran, took) = end_with_processor_time(child);
        ran.ok();
        let lines = stdout_lines(&context);
        assert_eq!(lines.len(), (pieces * 4096 + 5).div_ceil(64 << 10) + 1);
        assert!(lines.iter().all(|line| line.len() <= 64 << 10));
        assert_eq!(lines.iter().map(String::len).sum::<usize>(), pieces * 4096 + 16);
        took
    };
    let (few, many) = (time(1000), time(8000));
    // Eight times the pieces take about eight times the processor time; quadratic time would be 64 times.
    assert!(many < few * 24, "{few:?}, then {many:?}");
}

#[test]
fn artifacts_of_one_name_are_refused() {
    let context = TestContext::new();
    context.llem(&["exec", &guest("artifacts")]).ok();
    let (record, events) = (context.record(), context.events());
    let told = of_kind(&events, "log").last().unwrap()["message"].as_str().unwrap().to_owned();
    assert!(told.contains("InvalidArgument") && told.contains("'a.txt'"), "{told}");
    let names: Vec<_> =
        record["artifacts"].as_array().unwrap().iter().map(|a| &a["path"]).collect();
    assert_eq!(names, ["artifacts/a.txt", "artifacts/b.txt"]);
    let kept = fs::read(context.folder.path().join("run/artifacts/a.txt")).unwrap();
    assert_eq!(kept, b"first");
}

/// What a guest prints counts against its `--max-output`.
#[test]
fn what_is_printed_without_end_is_a_limit() {
    let context = TestContext::new();
    let args = ["exec", &guest("unfinished_line"), "--max-output", "1", "-p", "pieces=1000"];
    let ran: CommandOutput = context.llem(&args);
    ran.refused(1, &["1 MiB", "--max-output"]);
}
