//! The record holds the parts of its environment that change results, and marks what only a script says.

use crate::support::{Hardware, TestContext, guest};
use serde_json::Value;
use std::{fs, process::Command};

fn named<'a>(record: &'a Value, name: &str) -> Vec<&'a Value> {
    let metrics = record["metrics"].as_array().unwrap();
    metrics.iter().filter(|metric| metric["name"] == name).collect()
}

#[test]
fn what_a_script_reports_is_marked_as_the_scripts() {
    let context = TestContext::new();
    let ran = context.llem(&["exec", &guest("claims_source")]).ok();
    let record = context.record();
    let energies = named(&record, "energy");
    assert_eq!(energies.len(), 12);
    for metric in energies {
        assert_eq!(metric["quantity"]["source"], "script", "{metric}");
        assert_eq!(metric["claimed_source"], metric["labels"]["as"], "{metric}");
        assert_eq!(metric["quantity"]["value"], 42.0);
    }
    // A difference may be below zero, and is marked as the script's.
    let negative = named(&record, "negative")[0];
    assert_eq!(negative["quantity"]["value"], -5.0);
    assert_eq!(negative["quantity"]["source"], "script");
    assert!(ran.stdout.contains("script: nvml-counter"), "{}", ran.stdout);
}

#[test]
fn a_number_that_is_none_is_refused() {
    let context = TestContext::new();
    context.llem(&["exec", &guest("claims_source")]).ok();
    let record = context.record();
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
    let context = TestContext::new();
    let (workload, metrics) = (guest("policy_workload"), guest("policy_metrics"));
    context.llem(&["exec", "--workload", &workload, "--metrics", &metrics]).ok();
    let record = context.record();
    for name in ["trials", "tokens"] {
        let metric = named(&record, name)[0];
        assert_eq!(metric["quantity"]["source"], "script");
        assert_eq!(metric["claimed_source"], "counted");
    }
}

/// Returns a command that runs a guest that does nothing, without variables that may be set around these tests.
fn command(context: &TestContext, args: &[&str]) -> Command {
    let mut command = context.command(&[&["exec", &guest("noop")], args].concat());
    for name in ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS", "LLEM_SIMD", "LLEM_SYS", "LLEM_PROC"] {
        command.env_remove(name);
    }
    command
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn variables_that_change_results_are_in_the_record() {
    let context = TestContext::new();
    let mut command = command(&context, &[]);
    command.env("RAYON_NUM_THREADS", "1").env("CANDLE_NUM_THREADS", "3");
    command.env("LLEM_SIMD", "portable").env("OF_NO_MATTER", "x");
    run(&mut command);
    let record = context.record();
    let environment = &record["environment"];
    assert_eq!(environment["RAYON_NUM_THREADS"], "1");
    assert_eq!(environment["CANDLE_NUM_THREADS"], "3");
    assert_eq!(environment["LLEM_SIMD"], "portable");
    assert!(environment["OF_NO_MATTER"].is_null(), "{environment}");
    assert_eq!(record["host"]["threads"], 3);
    assert_eq!(record["host"]["candle_threads"], 1);
    assert_eq!(record["host"]["kernels"], "llem");
    // It is in the journal, too, so that the record of a killed run has it.
    assert_eq!(context.events()[0]["plan"]["environment"], *environment);
}

#[test]
fn no_secret_is_in_the_record() {
    let context = TestContext::new();
    let with_secrets = guest("has_secrets");
    let mut command = context.command(&[
        "exec",
        &with_secrets,
        "-p",
        "api-key=do_not_tell",
        "--param=endpoint=https://host/path?token=do_not_tell",
        "-pnew-tokens=7",
        "--otlp-endpoint",
        "http://me:do_not_tell@127.0.0.1:1/",
    ]);
    for name in ["HF_TOKEN", "LLEM_API_KEY", "LLEM_DB_PASS", "NCCL_PWD", "HF_AUTH"] {
        command.env(name, "do_not_tell");
    }
    command.env("HF_ENDPOINT", "http://me:do_not_tell@localhost:1");
    command.env("HF_MIRROR", "https://host/?token=do_not_tell");
    command.env("LLEM_PROXY", "me:do_not_tell@host");
    run(&mut command);
    let record = context.record();
    for name in ["HF_TOKEN", "LLEM_API_KEY", "LLEM_DB_PASS", "NCCL_PWD", "HF_AUTH"] {
        assert_eq!(record["environment"][name], "(not recorded)", "{name}");
    }
    assert_eq!(record["environment"]["HF_ENDPOINT"], "http://(not recorded)@localhost:1");
    assert_eq!(record["environment"]["HF_MIRROR"], "https://host/?(not recorded)");
    assert_eq!(record["parameters"]["api-key"], "(not recorded)");
    assert_eq!(record["parameters"]["endpoint"], "https://host/path?(not recorded)");
    assert_eq!(record["parameters"]["new-tokens"], 7);
    let words = record["command"].as_array().unwrap();
    for word in ["api-key=(not recorded)", "-pnew-tokens=7", "http://(not recorded)@127.0.0.1:1/"] {
        assert!(words.contains(&word.into()), "no {word} in {words:?}");
    }
    // The script was given the same values.
    assert_eq!(named(&record, "api_key_bytes")[0]["quantity"]["value"], 11.0);
    assert_eq!(named(&record, "endpoint_bytes")[0]["quantity"]["value"], 35.0);
    for file in ["run/run.json", "run/events.jsonl"] {
        let text = fs::read_to_string(context.folder.path().join(file)).unwrap();
        assert!(!text.contains("do_not_tell"), "{file}: {text}");
    }
}

#[test]
fn the_machine_and_what_the_process_may_use_are_in_the_record() {
    let context = TestContext::new();
    run(&mut command(&context, &[]));
    let record = context.record();
    let host = &record["host"];
    // A child process inherits its parent's affinity.
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    assert_eq!(host["affinity"], allowed.unwrap().trim());
    let usable = std::thread::available_parallelism().unwrap().get() as u64;
    assert!(host["hardware_threads"].as_u64().unwrap() >= usable, "{host}");
    assert!(host["threads"].as_u64().unwrap() >= 1, "{host}");
    assert_eq!(host["kernels"], "llem");
    let build = &record["build"];
    assert_eq!(build["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(build["version"], record["llem_version"]);
    assert!(build["rustc"].as_str().unwrap().starts_with("rustc "), "{build}");
    assert_eq!(build["target"].as_str().unwrap().split('-').next(), Some(std::env::consts::ARCH));
    assert_eq!(build["profile"], if cfg!(debug_assertions) { "debug" } else { "release" });
    // Both are absent if the program was not built in its repository.
    let revision = build["revision"].as_str().map(str::len);
    assert_eq!(revision.is_some(), build["is_modified"].is_boolean(), "{build}");
    assert!(revision.is_none_or(|length| length >= 40), "{build}");
    let doctor = context.llem(&["doctor", "--json"]).ok().json();
    assert_eq!(doctor["build"], *build);
}

#[test]
fn how_a_run_meters_is_in_the_record() {
    let context = TestContext::new();
    let model = "tdp=65,idle=12,uncertainty=10";
    let args =
        ["--sample-period", "20", "--align-windows", "--no-timeline", "--power-model", model];
    // A machine without counters of its own, which would take the place of the declared model.
    let hardware = Hardware::new().without_nvml();
    run(hardware.environment(&mut command(&context, &args)));
    let record = context.record();
    let expected = serde_json::json!({
        "sys_root": hardware.folder().join("sys"),
        "sample_period_ns": 20_000_000,
        "aligns_windows": true,
        "keeps_timeline": false,
        "power_model": { "tdp_watts": 65.0, "idle_watts": 12.0, "uncertainty": 0.1 },
    });
    assert_eq!(record["metering"], expected);
    let warnings = record["warnings"].as_array().unwrap().iter();
    // Those of the variables with which the test sets this machine aside.
    let others = warnings.filter(|one| !one.as_str().unwrap().starts_with("LLEM_"));
    assert_eq!(others.count(), 0, "{}", record["warnings"]);
}

#[test]
fn what_stands_in_for_hardware_becomes_a_warning() {
    let (hardware, context) = (Hardware::new(), TestContext::new());
    let ran = hardware.llem(&context, &["exec", &guest("noop")]).ok();
    let record = context.record();
    let root = hardware.folder().join("sys");
    assert_eq!(record["metering"]["sys_root"], root.to_str().unwrap());
    let warnings = record["warnings"].to_string();
    for sign in ["LLEM_SYS is set", root.to_str().unwrap(), "LLEM_TEST_NVML is set"] {
        assert!(warnings.contains(sign), "no '{sign}' in {warnings}");
    }
    assert!(ran.stdout.contains("LLEM_SYS is set"), "{}", ran.stdout);
}
