//! The synthetic host: given times and energies, seeded tokens, and no wait. All expected numbers are worked out here from
//! the given figures.

use crate::support::{TestContext, guest, of_kind};
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

const FIGURES: &str = r#"{"seed": 3, "load_s": 2.5, "prefill_s_per_token": 2e-4, "decode_s_per_step": 8e-3,
    "idle_watts": 40, "prefill_joules_per_token": 0.02, "decode_joules_per_token": 0.25}"#;

/// Runs a component on a synthetic host with [`FIGURES`].
fn exec(component: &str, more: &[&str]) -> TestContext {
    let context = TestContext::new();
    let file = format!("--synthetic-host={}", context.file("host.json", FIGURES));
    context.llem(&[&["exec", component, &file][..], more].concat()).ok();
    context
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn near(value: &Value, expected: f64) {
    let value = number(value);
    assert!((value - expected).abs() <= 1e-12 * expected.abs(), "{value} is not {expected}");
}

/// Checks an energy that was given: its value, no uncertainty, and the source.
fn given(reading: &Value, expected: f64) {
    let value = number(&reading["value"]);
    assert!((value - expected).abs() <= 1e-9 * expected, "{reading} is not {expected}");
    assert!(number(&reading["uncertainty"]).abs() < 1e-9, "{reading}");
    assert_eq!(reading["source"], "simulated");
}

/// The value of the first metric with this name.
fn metric<'a>(record: &'a Value, name: &str) -> &'a Value {
    let mut all = record["metrics"].as_array().unwrap().iter();
    let found = all.find(|metric| metric["name"] == name);
    &found.unwrap_or_else(|| panic!("no metric {name}"))["quantity"]["value"]
}

#[test]
fn a_request_takes_the_given_times_and_energies() {
    let settings = ["-p", "new-tokens=16", "-p", "rounds=2", "-p", "baseline=3"];
    let context = exec("quickstart", &settings);
    let (record, events) = (context.record(), context.events());
    assert_eq!(record["models"][0]["load_ns"], 2_500_000_000u64);
    given(&record["baselines"][0]["power"][0]["power"], 40.0);
    let generations = of_kind(&events, "generation");
    let measured: Vec<_> =
        generations.iter().filter(|event| event["window"]["phase"] == "measure").collect();
    assert_eq!(measured.len(), 6);
    for event in measured {
        let (window, sequence) = (&event["window"], &event["sequences"][0]);
        let prompt = sequence["prompt_tokens"].as_u64().unwrap();
        let prefill = prompt * 200_000;
        assert_eq!(sequence["times"]["prefill_ns"], prefill);
        assert_eq!(window["wall_ns"], prefill + 15 * 8_000_000);
        let times = sequence["token_ns"].as_array().unwrap();
        assert_eq!(times.len(), 16);
        let first = window["started_ns"].as_u64().unwrap() + prefill;
        for (index, time) in (0..).zip(times) {
            assert_eq!(*time, first + index * 8_000_000, "token {index}");
        }
        // 15 steps follow the pass of the prompt, which gives the first token.
        let (prompt, rest) = (prompt as f64, 40.0);
        let prefill = prompt * (0.02 + rest * 2e-4);
        let decode = 15.0 * (0.25 + rest * 8e-3);
        given(&window["energy_total"], prefill + decode);
        given(&window["energy_by_phase"]["prefill"], prefill);
        given(&window["energy_by_phase"]["decode"], decode);
        given(&window["energy_above_idle"], prompt * 0.02 + 15.0 * 0.25);
        given(&sequence["energy"]["share"], prefill + decode);
    }
    near(metric(&record, "decode_rate"), 1.0 / 8e-3);
    assert!(number(metric(&record, "joules_per_output_token")) > 0.25);
    assert_eq!(record["devices"][0]["name"], "synthetic processor");
    assert!(record["timeline"]["samples"].as_u64().unwrap() > 100);
}

#[test]
fn the_record_and_the_summary_say_that_nothing_was_measured() {
    let context = TestContext::new();
    let file = format!("--synthetic-host={}", context.file("host.json", r#"{"idle_watts": 7}"#));
    let settings = ["exec", "quickstart", &file, "-p", "rounds=1"];
    let printed = context.llem(&settings).ok().stdout;
    let second = printed.lines().nth(1).unwrap();
    assert!(second.contains("synthetic host") && second.contains("measured"), "{printed}");
    let record = context.record();
    let host = &record["synthetic_host"];
    assert_eq!(host["seed"], 1);
    assert_eq!(host["figures"]["idle_watts"], json!({"value": 7.0, "unit": "W", "origin": "file"}));
    let load = json!({"value": 1.0, "unit": "s", "origin": "default"});
    assert_eq!(host["figures"]["load_s"], load);
    let warnings = record["warnings"].as_array().unwrap();
    assert!(warnings[0].as_str().unwrap().contains("synthetic host"), "{warnings:?}");
}

/// A record without the dates, the times of the real clock, and the names of folders.
fn comparable(mut record: Value) -> Value {
    for field in ["id", "started_at", "command"] {
        record[field].take();
    }
    for baseline in record["baselines"].as_array_mut().unwrap() {
        baseline["measured_at"].take();
    }
    if record["synthetic_host"].is_object() {
        record["synthetic_host"]["file"].take();
    }
    record
}

/// The lines of the journal after the first, which holds the plan.
fn journal(context: &TestContext) -> Vec<String> {
    let lines = std::fs::read_to_string(context.folder.path().join("run/events.jsonl")).unwrap();
    let dated = |line: &&str| !line.contains("\"measured_at\"");
    lines.lines().skip(1).filter(dated).map(str::to_owned).collect()
}

#[test]
fn two_runs_are_equal() {
    let quickstart = ("quickstart".to_owned(), vec!["-p", "rounds=2", "-p", "baseline=1"]);
    let sampled = (guest("throughput"), vec!["-p", "rounds=1", "-p", "batch=1,4"]);
    let batch = (guest("poisson_arrivals"), vec!["-p", "rate=100", "-p", "count=60"]);
    let scores = (guest("scores"), vec![]);
    for (component, settings) in [quickstart, sampled, batch, scores] {
        let [first, second] = [(); 2].map(|()| exec(&component, &settings));
        assert_eq!(comparable(first.record()), comparable(second.record()), "{component}");
        assert_eq!(journal(&first), journal(&second), "{component}");
        let timeline = |context: &TestContext| {
            std::fs::read(context.folder.path().join("run/timeline/part-0000.parquet")).unwrap()
        };
        assert_eq!(timeline(&first), timeline(&second), "{component}");
    }
}

/// The tokens of all generations of a run.
fn tokens(context: &TestContext) -> Vec<Value> {
    let events = context.events();
    let generations = of_kind(&events, "generation").into_iter();
    generations.map(|event| event["sequences"][0]["tokens"].clone()).collect()
}

#[test]
fn tokens_depend_on_the_seeds_and_not_on_the_instruction_set() {
    let run = |seed: &str, simd: &str| {
        let context = TestContext::new();
        let file = context.file("host.json", format!(r#"{{"seed": {seed}}}"#));
        let host = format!("--synthetic-host={file}");
        let mut command = context.command(&["exec", "quickstart", &host, "-p", "rounds=1"]);
        assert!(command.env("LLEM_SIMD", simd).output().unwrap().status.success());
        tokens(&context)
    };
    let first = run("1", "portable");
    assert_eq!(first, run("1", ""));
    assert_ne!(first, run("2", ""));
    let distinct: std::collections::BTreeSet<String> =
        first.iter().map(ToString::to_string).collect();
    assert!(distinct.len() > 1, "prompts of different lengths go on differently");
}

/// What becomes of an arrival: when it gets its first and its last token, ns.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Served {
    first: u64,
    last: u64,
}

/// Serves arrivals of prompts of 8 tokens in a batch of at most 16, two new tokens each. A step runs one row of every
/// sequence that generates and the prompts of those that were admitted.
fn serve(arrivals: &[u64]) -> Vec<Served> {
    let mut waiting: VecDeque<usize> = (0..arrivals.len()).collect();
    let mut served = vec![Served { first: 0, last: 0 }; arrivals.len()];
    let (mut now, mut generating) = (0, Vec::<usize>::new());
    while !(waiting.is_empty() && generating.is_empty()) {
        if generating.is_empty() {
            now = now.max(arrivals[waiting[0]]);
        }
        let mut prompts = Vec::new();
        while let Some(&next) = waiting.front()
            && arrivals[next] <= now
            && generating.len() + prompts.len() < 16
        {
            prompts.push(next);
            waiting.pop_front();
        }
        let step = if generating.is_empty() { 0 } else { 8_000_000 };
        now += prompts.len() as u64 * 8 * 200_000 + step;
        generating.drain(..).for_each(|one| served[one].last = now);
        prompts.iter().for_each(|&one| served[one].first = now);
        generating = prompts;
    }
    served
}

#[test]
fn a_batch_serves_poisson_arrivals_as_a_queue_does() {
    let settings = ["-p", "rate=150", "-p", "count=300", "-p", "new-tokens=2"];
    let context = exec(&guest("poisson_arrivals"), &settings);
    let events = context.events();
    let mut sequences = of_kind(&events, "batch-sequence");
    sequences.sort_by_key(|event| event["name"].as_u64().unwrap());
    let time = |event: &Value, name: &str| event["sequence"][name].as_u64().unwrap();
    let arrivals: Vec<u64> = sequences.iter().map(|one| time(one, "submitted_ns")).collect();
    let tokens = sequences.iter().map(|one| one["sequence"]["token_ns"].as_array().unwrap());
    let told: Vec<Served> = tokens
        .map(|times| Served { first: times[0].as_u64().unwrap(), last: times[1].as_u64().unwrap() })
        .collect();
    let expected = serve(&arrivals);
    assert_eq!(told, expected);
    let queued = |(arrival, served): (&u64, &Served)| served.first > arrival + 8 * 200_000;
    assert!(arrivals.iter().zip(&expected).filter(|one| queued(*one)).count() > 50, "some queue");
    // All energy of the work is shared out: 8 prompt tokens and one decoded token for each arrival.
    let share = |event: &&Value| number(&event["sequence"]["energy"]["share"]["value"]);
    let shared: f64 = sequences.iter().map(share).sum();
    let work = 300.0 * (8.0 * 0.02 + 0.25);
    let busy = number(&json!(expected.iter().map(|one| one.last).max().unwrap() - arrivals[0]));
    assert!(shared > work && shared < work + 40.0 * busy * 1e-9, "{shared} J of {work} J");
}

#[test]
fn waits_take_virtual_time_only() {
    let began = Instant::now();
    let context = TestContext::new();
    let slow = context.file("host.json", r#"{"load_s": 3600, "decode_s_per_step": 60}"#);
    let host = format!("--synthetic-host={slow}");
    context.llem(&["exec", "quickstart", &host, "-p", "rounds=1"]).ok();
    assert!(context.record()["wall_ns"].as_u64().unwrap() > 3_600_000_000_000);
    assert!(began.elapsed() < Duration::from_secs(60));
}

/// Returns what `wait-until` answers to a guest.
fn waited(setting: &str) -> String {
    let context = exec(&guest("waits"), &["-p", setting]);
    let events = context.events();
    let mut logs = of_kind(&events, "log").into_iter().filter(|log| log["level"] == "info");
    logs.next_back().unwrap()["message"].as_str().unwrap().to_owned()
}

#[test]
fn the_power_at_rest_is_steady_and_there_is_no_temperature() {
    assert_eq!(waited("within=0.001"), "steady");
    let temperature = waited("what=temperature");
    assert!(temperature.contains("Unsupported"), "{temperature}");
    assert!(temperature.contains("a synthetic host has no temperature"), "{temperature}");
}

#[test]
fn a_record_is_replayed_with_its_mean_figures() {
    let earlier = exec("quickstart", &["-p", "rounds=2", "-p", "baseline=1"]);
    let file = earlier.folder.path().join("run/run.json");
    let context = TestContext::new();
    let host = format!("--synthetic-host={}", file.display());
    context.llem(&["exec", "quickstart", &host, "-p", "rounds=1"]).ok();
    let host = &context.record()["synthetic_host"];
    for (name, value) in serde_json::from_str::<serde_json::Map<_, _>>(FIGURES).unwrap() {
        if name != "seed" {
            let figure = &host["figures"][&name];
            assert!((number(&figure["value"]) / number(&value) - 1.0).abs() < 1e-9, "{name}");
            assert_eq!(figure["origin"], "record", "{name}");
        }
    }
    assert_eq!(host["run"]["id"], earlier.record()["id"]);
    assert_eq!(host["run"]["models"], json!(["synthetic:tiny"]));
    assert!(host["digest"].as_str().unwrap().starts_with("sha256:"));
}

#[test]
fn models_adapters_scores_and_windows_work_without_a_model() {
    let two = ["--model", "big=synthetic:tiny", "--model", "draft=synthetic:fixed-latency"];
    exec(&guest("several_models"), &two);
    exec(&guest("every_meter_function"), &[]);
    let plain = exec("quickstart", &["-p", "rounds=1"]);
    let adapted = exec("quickstart", &["-p", "rounds=1", "--adapter", "math=synthetic:rank=4"]);
    assert_eq!(adapted.record()["adapters"][0]["wall_ns"], 0);
    assert_ne!(tokens(&adapted), tokens(&plain), "an adapter changes the tokens");
    let scored = exec(&guest("scores"), &[]);
    let events = scored.events();
    let scores = of_kind(&events, "score");
    assert!(!scores.is_empty());
    for score in scores {
        let window = &score["window"];
        let tokens = window["activity"]["prompt_tokens"].as_u64().unwrap();
        assert_eq!(window["wall_ns"], tokens * 200_000);
    }
}

#[test]
fn what_a_synthetic_host_has_not_is_refused() {
    let context = TestContext::new();
    for (more, words) in [
        (&["--tp", "2"][..], &["--tp", "one rank"][..]),
        (&["--device", "emulated"], &["--device", "the CPU"]),
        (&["--power-model", "tdp=100,idle=20"], &["--power-model", "idle_watts"]),
        (&["--align-windows"], &["--align-windows"]),
    ] {
        let args = [&["exec", "quickstart", "--synthetic-host"][..], more].concat();
        context.llem(&args).refused(2, words);
    }
    let wrong = context.file("host.json", r#"{"decode_s_per_step": 0}"#);
    let host = format!("--synthetic-host={wrong}");
    let words = ["host.json", "decode_s_per_step is 0"];
    context.llem(&["exec", "quickstart", &host]).refused(2, &words);
    context.llem(&["exec", "quickstart", "--synthetic-host=none.json"]).refused(2, &["none.json"]);
}
