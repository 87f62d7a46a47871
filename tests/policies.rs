//! Policies are composed with the shipped runner, and with shipped policies in place of those that are not given.

use crate::support::{TestContext, contract_version, ended_by_deadline, guest, of_kind};
use serde_json::{Value, json};

/// Runs policies, and returns the record.
fn record(args: &[&str]) -> (TestContext, Value) {
    let context = TestContext::new();
    context.llem(&[&["exec"], args].concat()).ok();
    let record = context.record();
    (context, record)
}

/// Returns label, prompt and output lengths, and tokens of each request of a phase.
fn requests(context: &TestContext, phase: &str) -> Vec<Value> {
    let events = context.events();
    let generations = of_kind(&events, "generation").into_iter();
    let of_phase = generations.filter(|event| event["window"]["phase"] == phase);
    let shape = |event: &Value| {
        let sequence = &event["sequences"][0];
        let output = sequence["tokens"].as_array().unwrap().len();
        json!([event["window"]["label"], sequence["prompt_tokens"], output])
    };
    of_phase.map(shape).collect()
}

fn metric_names(record: &Value) -> Vec<&str> {
    let metrics = record["metrics"].as_array().unwrap().iter();
    metrics.map(|metric| metric["name"].as_str().unwrap()).collect()
}

/// Returns role and name of each component of a run, and whether it was shipped.
fn components(record: &Value) -> Vec<(&str, &str, bool)> {
    let components = record["components"].as_array().unwrap().iter();
    let told = |one: &'_ Value| one["is_shipped"].as_bool().unwrap_or(false);
    components
        .map(|one| (one["role"].as_str().unwrap(), one["name"].as_str().unwrap(), told(one)))
        .collect()
}

const RUNNER: (&str, &str, bool) = ("runner", "runner", true);

#[test]
fn a_warm_up_alone_runs_with_the_shipped_others() {
    let (context, record) = record(&["--warmup", &guest("policy_warmup"), "-p", "requests=2"]);
    let shipped = ("workload+metrics", "fixed-prompt", true);
    assert_eq!(components(&record), [("warmup", "thrice", false), RUNNER, shipped]);
    assert_eq!(requests(&context, "warmup"), vec![json!(["64 tokens", 64, 2]); 3]);
    assert_eq!(requests(&context, "measure"), vec![json!(["64 tokens", 64, 32]); 2]);
    for name in ["ttft", "itl", "prefill_rate", "decode_rate"] {
        assert!(metric_names(&record).contains(&name), "{name}");
    }
}

#[test]
fn a_workload_alone_runs_with_the_shipped_others() {
    let (context, record) = record(&["--workload", &guest("policy_workload")]);
    let shipped = ("warmup+metrics", "count", true);
    assert_eq!(components(&record), [("workload", "growing", false), RUNNER, shipped]);
    assert_eq!(requests(&context, "warmup"), vec![json!(["growing", 1, 2]); 5]);
    let growing: Vec<_> = (1..=4).map(|length| json!(["growing", length, 4])).collect();
    assert_eq!(requests(&context, "measure"), growing);
    assert!(metric_names(&record).contains(&"decode_rate"));
}

#[test]
fn metrics_alone_run_with_the_shipped_others() {
    let settings = ["requests=3", "prompt-tokens=5", "new-tokens=7", "warmup-runs=1"];
    let settings = settings.map(|setting| ["-p", setting]).concat();
    let metrics = guest("policy_metrics");
    let (context, record) = record(&[&["--metrics", &metrics], &settings[..]].concat());
    let shipped = ("warmup+workload", "count", true);
    assert_eq!(components(&record), [("metrics", "count", false), RUNNER, shipped]);
    assert_eq!(requests(&context, "warmup"), [json!(["5 tokens", 5, 2])]);
    assert_eq!(requests(&context, "measure"), vec![json!(["5 tokens", 5, 7]); 3]);
    let value = |index: usize| &record["metrics"][index]["quantity"]["value"];
    assert_eq!((value(0), value(1)), (&json!(3.0), &json!(21.0)));
    // The record holds every parameter that was set, whichever component declares it.
    assert_eq!(record["parameters"]["prompt-tokens"], 5);
    assert_eq!(record["parameters"]["baseline"], 0.0);
}

#[test]
fn a_file_takes_only_the_part_that_it_is_given_for() {
    let (all, growing) = (guest("policies"), guest("policy_workload"));
    let (context, record) = record(&["--warmup", &all, "--metrics", &all, &growing]);
    // A file that is given for two roles is one component.
    let given = [("workload", "growing", false), ("warmup+metrics", "policies", false), RUNNER];
    assert_eq!(components(&record), given);
    assert_eq!(requests(&context, "warmup"), vec![json!(["growing", 1, 1]); 2]);
    assert_eq!(requests(&context, "measure").len(), 4);
    // The value is layers times trials, counted by the metrics policy.
    assert_eq!(record["metrics"][0]["quantity"]["value"], 16.0);
}

#[test]
fn a_component_and_a_core_module_of_one_source_do_the_same() {
    let (context, module) = (TestContext::new(), std::fs::read(guest("policy_workload")).unwrap());
    let component = llem_runtime::encode_component("policy_workload.wasm", &module).unwrap();
    assert_ne!(component, module);
    let file = context.file("component.wasm", &component);
    context.llem(&["exec", "--workload", &file]).ok();
    let growing: Vec<_> = (1..=4).map(|length| json!(["growing", length, 4])).collect();
    assert_eq!(requests(&context, "measure"), growing);
}

#[test]
fn policies_that_contradict_each_other_are_refused() {
    let (warmup, metrics) = (guest("policy_warmup"), guest("policy_contradicts"));
    let words = ["'warmup-runs'", "thrice", "contradicts", "3", "7", "rename one"];
    TestContext::new().llem(&["exec", &warmup, &metrics]).refused(2, &words);
    // The shipped warm-up declares the same parameter.
    let words = ["'warmup-runs'", "count", "contradicts", "5", "7"];
    TestContext::new().llem(&["exec", &metrics]).refused(2, &words);
}

#[test]
fn two_policies_of_a_kind_are_refused() {
    let (one, other) = (guest("policies"), guest("policy_workload"));
    let words = ["policies.wasm", "policy_workload.wasm", "workload policy", "--workload FILE"];
    TestContext::new().llem(&["exec", &one, &other]).refused(2, &words);
    let words = ["noop.wasm", "experiment", "give it alone"];
    TestContext::new().llem(&["exec", &guest("noop"), &other]).refused(2, &words);
}

#[test]
fn an_unknown_parameter_of_policies_is_refused() {
    let args = ["exec", &guest("policy_workload"), "-p", "speed=9"];
    TestContext::new().llem(&args).refused(2, &["'speed'", "baseline", "warmup-runs"]);
}

#[test]
fn what_goes_wrong_in_a_policy_ends_the_run() {
    let policy = guest("policy_misbehaves");
    // Earlier measurements are kept.
    let check = |context: &TestContext| {
        assert_eq!(requests(context, "measure"), [json!(["first", 1, 1])]);
    };
    let run = |way: &str, more: &[&str], code: i32, words: &[&str]| {
        let context = TestContext::new();
        let way = format!("way={way}");
        let args = ["exec", "--workload", &policy, "-p", &way];
        context.llem(&[&args[..], more].concat()).refused(code, words);
        check(&context);
        context.record()
    };
    let record = run("returns", &[], 1, &["the workload has had enough"]);
    assert_eq!(record["status"], "failed");
    assert_eq!(record["phases"].as_array().unwrap().last().unwrap()["phase"], "measure");
    run("panics", &[], 1, &["policy_misbehaves.wasm", "panicked", "no more of this"]);
    run("hungers", &["--max-memory", "64"], 1, &["64 MiB", "--max-memory"]);
    let args = ["exec", "--workload", &policy, "-p", "way=loops"];
    check(&ended_by_deadline(&args, "\"label\":\"first\""));
    // The policy and the runner return the host's error unchanged, so the input is at fault.
    run("reads", &[], 2, &["dataset 'rows'", "--dataset rows=FILE"]);
}

#[test]
fn a_dataset_is_granted_to_the_policy_that_declares_it() {
    let context = TestContext::new();
    let grant = format!("rows={}", context.file("rows.jsonl", "{\"a\": 1}\n"));
    let args = ["exec", "--workload", &guest("policy_misbehaves"), "-p", "way=reads"];
    context.llem(&[&args[..], &["--dataset", &grant]].concat()).ok();
    assert_eq!(context.record()["grants"]["datasets"][0]["name"], "rows");
}

#[test]
fn the_baseline_is_a_parameter_of_the_runner() {
    let policy = guest("policies");
    let args = ["exec", &policy, "--baseline", "1", "-p", "baseline=1"];
    TestContext::new().llem(&args).refused(2, &["given twice", "--baseline"]);
    let args = ["exec", &policy, "-p", "baseline=-1"];
    TestContext::new().llem(&args).refused(2, &["'baseline'", "-1"]);
    let (_, record) = record(&[&policy, "-p", "baseline=0.1"]);
    assert_eq!(record["parameters"]["baseline"], 0.1);
    assert_eq!(record["phases"][1]["phase"], "baseline");
}

#[test]
fn inspect_tells_what_a_policy_is_composed_with() {
    let context = TestContext::new();
    let shown = context.llem(&["inspect", &guest("policy_warmup"), "--json"]).ok().json();
    assert_eq!((&shown["name"], &shown["roles"]), (&json!("thrice"), &json!(["warmup"])));
    let names = |parameters: &Value| {
        let parameters = parameters.as_array().unwrap().iter();
        parameters.map(|one| one["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&shown["parameters"]), ["warmup-runs"]);
    let exports: Vec<_> = shown["exports"].as_array().unwrap().iter().collect();
    assert_eq!(exports, [&format!("llem:experiment/warmup-policy@{}", contract_version())]);
    let others = shown["composed_with"].as_array().unwrap();
    let roles: Vec<_> = others.iter().map(|other| other["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["runner", "workload+metrics"]);
    assert_eq!(names(&others[0]["parameters"]), ["baseline"]);
    assert_eq!(names(&others[1]["parameters"]), ["prompt-tokens", "new-tokens", "requests"]);
    let shown = context.llem(&["inspect", &guest("policies")]).ok().stdout;
    for words in ["warmup + workload + metrics", "composed with", "runner: runner"] {
        assert!(shown.contains(words), "'{words}' is not in:\n{shown}");
    }
    assert!(!shown.contains("fixed-prompt"), "{shown}");
}

#[test]
fn a_policy_built_against_another_contract_is_refused() {
    let (context, module) = (TestContext::new(), std::fs::read(guest("policy_metrics")).unwrap());
    let component = llem_runtime::encode_component("policy_metrics.wasm", &module).unwrap();
    // A component of another version, with another name for `observe`.
    let other = replaced(&component, b"observe", b"observa");
    let file = context.file("other.wasm", other);
    context.llem(&["exec", "--metrics", &file]).refused(2, &["other.wasm", "wit/"]);
}

/// Replaces each `from` by `to`.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for place in 0..bytes.len() - from.len() {
        if &bytes[place..place + from.len()] == from {
            bytes[place..place + to.len()].copy_from_slice(to);
        }
    }
    bytes
}
