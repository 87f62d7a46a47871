//! Runs of experiments, and what their records hold.

use crate::support::{TestContext, fixtures, guest, of_kind};
use serde_json::Value;
use std::{
    fs::File,
    time::{SystemTime, UNIX_EPOCH},
};

/// Returns the names of a record's phases, in the order in which they ended.
fn phases(record: &Value) -> Vec<&str> {
    record["phases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|phase| phase["phase"].as_str().unwrap())
        .collect()
}

#[test]
fn the_quickstart_measures_its_lengths() {
    let context = TestContext::new();
    let ran = context.llem(&["exec", "quickstart", "-p", "rounds=2", "-p", "new-tokens=4"]).ok();
    for word in ["warmup", "measure", "16 words", "256 words", "TTFT", "decode_rate", "run"] {
        assert!(ran.stdout.contains(word), "'{word}' is not in:\n{}", ran.stdout);
    }
    let record = context.record();
    assert_eq!(record["status"], "completed");
    assert_eq!(record["parameters"]["rounds"], 2);
    assert!(record["components"][0]["digest"].as_str().unwrap().starts_with("sha256:"));
    let groups = record["groups"].as_array().unwrap();
    let measured: Vec<_> = groups.iter().filter(|group| group["phase"] == "measure").collect();
    assert_eq!(measured.len(), 3);
    for group in &measured {
        assert_eq!(group["activity"]["output_tokens"], 8);
        let [ttft, tpot, e2el] =
            ["ttft_s", "tpot_s", "e2el_s"].map(|name| group[name]["mean"].as_f64().unwrap());
        assert!(ttft > 0.0 && tpot > 0.0);
        // E2EL = TTFT + (n - 1) TPOT, by TPOT's definition.
        assert!((e2el - ttft - 3.0 * tpot).abs() < 1e-9, "{e2el} {ttft} {tpot}");
    }
    // Without a counter there is a reason instead of a number.
    let energy = &measured[0]["energy"];
    assert!(energy["value"].is_number() || energy["unavailable"].is_string());
}

#[test]
fn the_quickstart_runs_on_a_dataset() {
    let context = TestContext::new();
    let grant = format!("prompts={}", fixtures().join("prompts.jsonl").display());
    let args = [
        "exec",
        "quickstart",
        "--dataset",
        &grant,
        "-p",
        "prompts=4",
        "-p",
        "rounds=1",
        "-p",
        "new-tokens=2",
    ];
    context.llem(&args).ok();
    let events = context.events();
    let generations = of_kind(&events, "generation");
    let measured: Vec<_> =
        generations.iter().filter(|event| event["window"]["phase"] == "measure").collect();
    assert_eq!(measured.len(), 4);
    let lengths: Vec<u64> = measured
        .iter()
        .map(|event| event["sequences"][0]["prompt_tokens"].as_u64().unwrap())
        .collect();
    assert!(lengths.is_sorted() && lengths[0] < lengths[3], "{lengths:?}");
    assert!(
        context.record()["grants"]["datasets"][0]["digest"]
            .as_str()
            .unwrap()
            .starts_with("sha256:")
    );
}

#[test]
fn prompts_beyond_the_context_are_left_out_and_said() {
    let context = TestContext::new();
    let rows = format!("{{\"prompt\": \"short\"}}\n{{\"prompt\": \"{}\"}}\n", "long ".repeat(2000));
    let grant = format!("prompts={}", context.file("rows.jsonl", rows));
    context
        .llem(&["exec", "quickstart", "--dataset", &grant, "-p", "rounds=1", "-p", "new-tokens=2"])
        .ok();
    let record = context.record();
    assert!(
        record["warnings"][0]
            .as_str()
            .unwrap()
            .starts_with("the script: 1 of 2 requests are left out")
    );
}

#[test]
fn a_seed_decides_the_tokens() {
    let tokens = |seed: &str| {
        let context = TestContext::new();
        context
            .llem(&["exec", "quickstart", "-p", "rounds=1", "-p", "new-tokens=8", "--seed", seed])
            .ok();
        let events = context.events();
        let sequences = of_kind(&events, "generation")
            .into_iter()
            .map(|event| event["sequences"][0]["tokens"].clone());
        sequences.collect::<Vec<_>>()
    };
    assert_eq!(tokens("7"), tokens("7"));
    assert_ne!(tokens("7"), tokens("8"));
}

#[test]
fn policies_of_three_components_are_composed() {
    let context = TestContext::new();
    let (warmup, workload, metrics) =
        (guest("policy_warmup"), guest("policy_workload"), guest("policy_metrics"));
    let args = [
        "exec",
        "--warmup",
        &warmup,
        "--workload",
        &workload,
        "--metrics",
        &metrics,
        "-p",
        "warmup-runs=2",
    ];
    context.llem(&args).ok();
    let record = context.record();
    assert_eq!(phases(&record), ["load", "warmup", "measure", "derive"]);
    let value = |name: &str| {
        let metrics = record["metrics"].as_array().unwrap();
        metrics.iter().find(|metric| metric["name"] == name).unwrap()["quantity"]["value"]
            .as_f64()
            .unwrap()
    };
    assert_eq!((value("trials"), value("tokens")), (4.0, 16.0));
    let groups = record["groups"].as_array().unwrap();
    assert_eq!(groups[0]["phase"], "warmup");
    assert_eq!(
        (groups[0]["requests"].as_u64(), groups[0]["activity"]["output_tokens"].as_u64()),
        (Some(2), Some(4))
    );
}

#[test]
fn policies_of_one_component_are_composed() {
    let context = TestContext::new();
    context.llem(&["exec", &guest("policies")]).ok();
    let record = context.record();
    assert_eq!(record["components"][0]["role"], "warmup+workload+metrics");
    assert_eq!(record["metrics"][0]["quantity"]["value"], 8.0);
}

#[test]
fn a_script_can_make_every_call_itself() {
    let context = TestContext::new();
    let ran = context.llem(&["exec", &guest("imperative")]).ok();
    let record = context.record();
    let window = &record["windows"][0];
    assert_eq!((window["label"].as_str(), window["phase"].as_str()), (Some("both"), Some("outer")));
    assert_eq!(window["activity"]["requests"], 2);
    assert_eq!(phases(&record), ["load", "outer/inner", "outer"]);
    assert_eq!(record["tables"][0]["rows"][0][0], "4");
    assert_eq!(record["warnings"][0], "the script: this run is a test");
    // Numbers of the script are marked as such, in the record and in the summary.
    for report in [&record["tables"][0], &record["series"][0]] {
        assert_eq!(report["source"], "script", "{report}");
    }
    assert!(ran.stdout.contains("table of the script: shape"), "{}", ran.stdout);
    let events = context.events();
    assert_eq!(of_kind(&events, "script-warning")[0]["message"], "this run is a test");
    assert!(context.folder.path().join("run/artifacts/text.txt").is_file());
    // ChaCha8 with seed 0 gives the same numbers on every machine.
    let draws: Vec<f64> = record["series"][0]["points"]
        .as_array()
        .unwrap()
        .iter()
        .map(|point| point[1].as_f64().unwrap())
        .collect();
    assert!(draws.iter().all(|draw| (0.0..1.0).contains(draw)) && draws[0] != draws[1]);
}

#[test]
fn wasi_is_an_empty_world() {
    let look = |seed: &str| {
        let context = TestContext::new();
        let mut command = context.command(&["exec", &guest("wasi"), "--seed", seed]);
        command.env("SECRET", "do not tell");
        assert!(command.output().unwrap().status.success());
        let record = context.record();
        let seen: Vec<(String, f64)> = record["metrics"]
            .as_array()
            .unwrap()
            .iter()
            .map(|metric| {
                (
                    metric["name"].as_str().unwrap().to_owned(),
                    metric["quantity"]["value"].as_f64().unwrap(),
                )
            })
            .collect();
        let events = context.events();
        let lines: Vec<String> = of_kind(&events, "log")
            .iter()
            .filter(|event| event["level"] == "stdout")
            .map(|event| event["message"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(lines, ["one line", "and another"]);
        seen
    };
    let seen = look("1");
    for (name, value) in &seen {
        assert!(name == "random" || *value == 0.0, "{name} is {value}");
    }
    assert_eq!(seen, look("1"));
    assert_ne!(seen, look("2"));
}

#[test]
fn a_sequence_does_not_depend_on_its_neighbours() {
    let context = TestContext::new();
    context.llem(&["exec", &guest("batch")]).ok();
    let events = context.events();
    let together = of_kind(&events, "generation")[0];
    assert_eq!(together["window"]["activity"]["requests"], 6);
    assert_eq!(together["window"]["activity"]["prompt_tokens"], 1123);
}

#[test]
fn compiled_code_is_kept_by_content() {
    let context = TestContext::new();
    let cache = context.folder.path().join("cache");
    let run = |out: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_llem"));
        command.args(["exec", &guest("noop"), "--out", out]).env("LLEM_CACHE", &cache);
        assert!(command.current_dir(context.folder.path()).output().unwrap().status.success());
        let entries = std::fs::read_dir(cache.join("compiled")).unwrap().flatten();
        entries
            .map(|entry| (entry.path(), entry.metadata().unwrap().modified().unwrap()))
            .collect::<Vec<_>>()
    };
    let first = run("one");
    assert_eq!(first.len(), 1);
    assert_eq!(run("two"), first, "the second run compiled nothing");
    // A damaged cache entry is compiled again.
    std::fs::write(&first[0].0, "half of it").unwrap();
    let third = run("three");
    assert_eq!(third[0].0, first[0].0);
    assert!(std::fs::metadata(&third[0].0).unwrap().len() > 1000);
}

/// Sequences join, wait, are cancelled and leave. The component compares each with the same sequence alone.
#[test]
fn a_continuous_batch_gives_each_sequence_its_own_tokens() {
    let context = TestContext::new();
    context.llem(&["exec", &guest("continuous"), "--dtype", "f32"]).ok();
    let events = context.events();
    let ended = of_kind(&events, "batch-sequence");
    assert_eq!(ended.len(), 11, "seven, two that were cancelled, and two of the second batch");
    let finished =
        |reason: &str| ended.iter().filter(|event| event["sequence"]["finish"] == reason).count();
    assert_eq!((finished("length"), finished("cancelled")), (9, 2));
    let record = context.record();
    let group = record["groups"].as_array().unwrap().iter().find(|group| group["label"] == "batch");
    assert_eq!(group.unwrap()["ttft_s"]["count"], 16, "nine of batches, seven alone");
}

#[test]
fn a_text_longer_than_the_context_is_scored_in_windows() {
    let model = fixtures().join("llama/tied");
    let context = TestContext::new();
    context
        .llem(&["exec", &guest("rolling"), "--model", model.to_str().unwrap(), "--dtype", "f32"])
        .ok();
}

/// Returns the wall clock, nanoseconds since 1970-01-01 UTC.
fn unix_ns() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as i64
}

/// Hashing a large file is part of the run: both clocks are read before it, next to each other.
#[test]
fn a_record_tells_when_the_run_was_however_large_its_datasets() {
    let context = TestContext::new();
    let file = context.file("large.txt", "");
    File::options().write(true).open(&file).unwrap().set_len(500 << 20).unwrap();
    let grant = format!("unread={file}");
    let began = unix_ns();
    context.llem(&["exec", &guest("noop"), "--dataset", &grant]).ok();
    let ended = unix_ns();
    let (events, record) = (context.events(), context.record());
    let started = events[0]["unix_ns"].as_i64().unwrap();
    let after = |event: &Value| event["t_ns"].as_i64().unwrap();
    // A busy machine may start the program late, but never before the command.
    assert!((began..began + 5_000_000_000).contains(&started), "{} ns late", started - began);
    assert_eq!(after(&events[0]), 0);
    let last = started + after(events.last().unwrap());
    assert!((began..=ended).contains(&last), "it ended {} ns after its end", last - ended);
    assert_eq!(record["wall_ns"].as_i64().unwrap(), after(events.last().unwrap()));
}
