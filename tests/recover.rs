//! `llem recover` rebuilds the record of a run that was killed.

use crate::support::{CommandOutput, Hardware, Launch, TestContext, fixtures, guest, of_kind};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Time after which a run counts as hanging.
const PATIENCE: Duration = Duration::from_secs(60);

fn run_folder(context: &TestContext) -> PathBuf {
    context.folder.path().join("run")
}

fn recover(context: &TestContext) -> CommandOutput {
    context.llem(&["recover", "run", "--json"])
}

fn start(context: &TestContext, component: &str) -> Child {
    let mut command = context.command(&["exec", &guest(component)]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Fails unless a record is as `llem schema` says.
fn assert_valid(record: &Value) {
    let schema = TestContext::new().llem(&["schema"]).ok().json();
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("run.json", schema).unwrap();
    let index = compiler.compile("run.json", &mut schemas).unwrap();
    if let Err(error) = schemas.validate(record, index) {
        panic!("{error:#}");
    }
}

/// Returns the complete lines of a journal.
fn whole_lines(journal: &Path) -> Vec<Value> {
    let text = fs::read(journal).unwrap();
    text.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

/// Returns a record without the fields that say that it was recovered.
fn without_recovery(mut record: Value) -> Value {
    record.as_object_mut().unwrap().remove("recovered");
    record
}

#[test]
fn a_run_that_is_killed_at_any_moment_is_recovered() {
    let mut seed = u64::from(std::process::id());
    for attempt in 0..5 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let context = TestContext::new();
        let mut child = start(&context, "many_requests");
        context.wait_for_journal("\"event\":\"generation\"", 1, PATIENCE);
        thread::sleep(Duration::from_micros((seed >> 33) % 500_000));
        child.kill().unwrap();
        child.wait().unwrap();

        let lines = whole_lines(&run_folder(&context).join("events.jsonl"));
        let last = lines.last().unwrap()["t_ns"].as_u64().unwrap();
        // Without the first run.json, the journal is enough.
        let begun = context.record();
        if attempt % 2 == 1 {
            fs::remove_file(run_folder(&context).join("run.json")).unwrap();
        }
        let shown = recover(&context).ok().json();
        let record = context.record();
        assert_eq!(shown, record);
        assert_valid(&record);
        assert_eq!(record["status"], "killed");
        assert!(record["error"].as_str().unwrap().contains("did not end by itself"));
        assert_eq!(record["wall_ns"], last);
        for known in ["id", "started_at", "command", "components", "parameters", "grants", "host"] {
            assert_eq!(record[known], begun[known], "{known}");
        }
        assert_eq!(record["models"].as_array().unwrap().len(), 1);
        let generations = of_kind(&lines, "generation");
        let groups = record["groups"].as_array().unwrap();
        assert_eq!(groups.len(), generations.len());
        for (group, generation) in groups.iter().zip(generations) {
            assert_eq!(group["label"], generation["window"]["label"]);
            assert_eq!(group["activity"], generation["window"]["activity"]);
        }
        let phase = &record["phases"].as_array().unwrap().last().unwrap();
        assert_eq!(phase["phase"], "measure");
        let ends = phase["started_ns"].as_u64().unwrap() + phase["wall_ns"].as_u64().unwrap();
        assert_eq!(ends, last);

        let written = fs::read(run_folder(&context).join("run.json")).unwrap();
        recover(&context).ok();
        assert_eq!(fs::read(run_folder(&context).join("run.json")).unwrap(), written);
    }
}

/// Makes a completed run with phases, windows, metrics and a table.
fn completed() -> TestContext {
    let context = TestContext::new();
    context.llem(&["exec", "quickstart", "-p", "rounds=1", "-p", "new-tokens=3"]).ok();
    context
}

#[test]
fn the_record_of_a_completed_run_is_rebuilt_as_it_was() {
    let context = completed();
    let original = context.record();
    // A complete record is left unchanged.
    let bytes = fs::read(run_folder(&context).join("run.json")).unwrap();
    let ran = recover(&context).ok();
    assert_eq!(ran.json(), original);
    assert!(ran.stderr.contains("nothing to recover"), "{}", ran.stderr);
    assert_eq!(fs::read(run_folder(&context).join("run.json")).unwrap(), bytes);
    // run.json is missing, or half of it.
    for content in [None, Some(&bytes[..bytes.len() / 2]), Some(&b""[..])] {
        match content {
            None => fs::remove_file(run_folder(&context).join("run.json")).unwrap(),
            Some(content) => fs::write(run_folder(&context).join("run.json"), content).unwrap(),
        }
        let rebuilt = recover(&context).ok().json();
        assert_valid(&rebuilt);
        assert_eq!(rebuilt["recovered"]["ended"], true);
        assert_eq!(without_recovery(rebuilt), original);
    }
}

#[test]
fn a_summary_is_printed_as_after_the_run() {
    let context = completed();
    fs::remove_file(run_folder(&context).join("run.json")).unwrap();
    let shown = context.llem(&["recover", "run"]).ok().stdout;
    for words in ["completed", "recovered", "model", "phases", "requests", "metrics", "record"] {
        assert!(shown.contains(words), "'{words}' is not in: {shown}");
    }
}

#[test]
fn a_folder_that_is_no_run_is_refused() {
    let context = TestContext::new();
    context.llem(&["recover", "nowhere"]).refused(2, &["nowhere", "no run"]);
    fs::create_dir(run_folder(&context)).unwrap();
    recover(&context).refused(2, &["run", "no run"]);
    context.file("run/events.jsonl", "");
    recover(&context).refused(2, &["run", "no run"]);
    context.file("run/events.jsonl", "{\"t_ns\":");
    recover(&context).refused(2, &["run", "no run"]);
    context.llem(&["recover", "run/events.jsonl"]).refused(2, &["no run"]);
}

#[test]
fn a_run_that_goes_on_is_refused() {
    let context = TestContext::new();
    let mut child = start(&context, "many_requests");
    context.wait_for_journal("\"event\":\"generation\"", 1, PATIENCE);
    recover(&context).refused(2, &["still going on"]);
    assert_eq!(context.record()["status"], "running");
    child.kill().unwrap();
    child.wait().unwrap();
    recover(&context).ok();
}

/// A record that another version completed is never replaced.
#[test]
fn a_complete_record_of_another_version_stays() {
    let context = completed();
    let other = r#"{"schema_version":"9.0","status":"completed","more":[1,2,3]}"#;
    context.file("run/run.json", other);
    recover(&context).refused(2, &["run.json", "9.0"]);
    assert_eq!(fs::read_to_string(run_folder(&context).join("run.json")).unwrap(), other);
}

/// A window is recorded even if a rank of its model has died.
#[test]
fn a_window_whose_device_has_failed_is_closed() {
    let context = TestContext::new();
    let late = guest("lost_rank");
    let launched = Launch::start(&context, &["exec", &late, "--tp", "2", "--rank-timeout", "5"], 2);
    context.wait_for_journal("\"event\":\"generation\"", 1, PATIENCE);
    launched.signal(1, "-KILL");
    let mut ended = launched.end();
    ended.remove(0);
    let events = context.events();
    let window = of_kind(&events, "window")[0];
    assert_eq!(window["label"], "whole");
    assert_eq!(window["activity"]["output_tokens"], 4);
    let warnings = window["warnings"].to_string();
    assert!(warnings.contains("rank 1 failed"), "{warnings}");
    assert!(context.record()["warnings"].to_string().contains("window 'whole'"));
    let told = of_kind(&events, "log").last().unwrap()["message"].to_string();
    assert!(told.contains("closed: Err") && told.contains("rank 1 failed"), "{told}");
}

/// The record has the samples that were written; the cost of sampling is unknown.
#[test]
fn the_timeline_of_a_killed_run_is_found() {
    let (context, hardware) = (TestContext::new(), Hardware::new().gpu(300, 60, |_| {}));
    let guest = guest("metering");
    let args = ["exec", &guest, "--sample-period", "1", "-p", "length=60000"];
    let mut child = hardware.command(&context, &args).stdout(Stdio::null()).spawn().unwrap();
    let first = run_folder(&context).join("timeline/part-0000.parquet");
    let patience = Instant::now() + Duration::from_secs(50);
    while !first.exists() {
        assert!(Instant::now() < patience, "no samples were written");
        thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let record = recover(&context).ok().json();
    assert_valid(&record);
    let timeline = &record["timeline"];
    assert_eq!(timeline["files"][0], "timeline/part-0000.parquet");
    assert!(timeline["samples"].as_u64().unwrap() >= 1000, "{timeline}");
    assert!(timeline["period"].is_null());
    assert_eq!(record["devices"].as_array().unwrap().len(), 2);
}

#[test]
fn records_of_schema_2_are_read() {
    for name in ["quickstart", "continuous", "scores"] {
        let stored = fixtures().join("records/2.0").join(name);
        let context = TestContext::new();
        let run = context.folder.path().join("run");
        fs::create_dir(&run).unwrap();
        for file in ["events.jsonl", "run.json"] {
            fs::copy(stored.join(file), run.join(file)).unwrap();
        }
        // A complete record is shown and left unchanged.
        let shown = context.llem(&["recover", "run"]).ok();
        assert!(shown.stdout.contains(name), "{}", shown.stdout);
        let whole = context.record();
        assert_eq!(whole["schema_version"], "2.0");
        // From its journal alone the record is rebuilt with the same sums.
        fs::remove_file(run.join("run.json")).unwrap();
        context.llem(&["recover", "run"]).ok();
        let rebuilt = context.record();
        assert_eq!(rebuilt["schema_version"], "3.0");
        assert_eq!(rebuilt["recovered"]["skipped_lines"], 0, "{name}");
        assert_eq!(rebuilt["recovered"]["journal_schema"], "2.0", "{name}");
        let warnings = rebuilt["warnings"].as_array().unwrap();
        assert_eq!(warnings.len(), whole["warnings"].as_array().unwrap().len() + 1, "{name}");
        let last = warnings.last().unwrap().as_str().unwrap();
        assert!(last.contains("are counted as prefill"), "{last}");
        // In schema 2.0 a metric's source was the script's claim.
        let [old, new] = [&whole, &rebuilt].map(|record| record["metrics"].as_array().unwrap());
        assert_eq!(old.len(), new.len(), "{name}");
        for (old, new) in old.iter().zip(new) {
            assert_eq!(new["claimed_source"], old["quantity"]["source"], "{new}");
            assert_eq!(new["quantity"]["source"], "script", "{new}");
            assert_eq!(new["quantity"]["value"], old["quantity"]["value"], "{new}");
        }
        let windows = |record: &Value| record["windows"].as_array().unwrap().len();
        assert_eq!(windows(&whole), windows(&rebuilt), "{name}");
        for groups in ["groups", "score_groups"] {
            let sums = |record: &Value| {
                let groups = record[groups].as_array().unwrap().iter();
                groups
                    .map(|group| {
                        // The last digit depends on the order of summation.
                        let mut ttft = group["ttft_s"].clone();
                        if let Some(deviation) = ttft.get_mut("standard_deviation") {
                            *deviation = format!("{:.12}", deviation.as_f64().unwrap()).into();
                        }
                        (
                            group["label"].clone(),
                            [group["requests"].clone(), ttft],
                            group["activity"]["prompt_tokens"].clone(),
                            group["energy"]["value"].clone(),
                        )
                    })
                    .collect::<Vec<_>>()
            };
            assert_eq!(sums(&whole), sums(&rebuilt), "{name}");
        }
    }
}
