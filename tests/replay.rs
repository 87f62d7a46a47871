//! Runs are repeated from their records: `llem replay` and `llem compare`.

use crate::{
    adapters::{adapter, base_of},
    support::{CommandOutput, PythonCompiler, TestContext, fixtures, guest, of_kind},
};
use serde_json::{Value, json};
use std::{fs, path::Path, process::Command};

/// Replays the run of a context, from another folder and with an empty cache. Returns how it ended, and where.
fn replay(context: &TestContext, more: &[&str]) -> (CommandOutput, TestContext) {
    let elsewhere = TestContext::new();
    let run = context.folder.path().join("run");
    let args = ["replay", run.to_str().unwrap(), "--out", "run"];
    let mut command = elsewhere.command(&[&args, more].concat());
    command.env("LLEM_CACHE", elsewhere.folder.path().join("cache"));
    (CommandOutput::from_output(command.output().unwrap()), elsewhere)
}

/// The comparison that a replay wrote.
fn comparison(replayed: &TestContext) -> Value {
    let text = fs::read(replayed.folder.path().join("run/replay.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// Runs `args` and replays the run, which must give the same. Returns the comparison.
fn repeated(args: &[&str]) -> Value {
    let context = TestContext::new();
    context.llem(&[&["exec"], args].concat()).ok();
    let (output, replayed) = replay(&context, &[]);
    let comparison = comparison(&replayed);
    let output = output.ok();
    assert_eq!(comparison["verdict"]["is_same"], true, "{}", comparison["verdict"]);
    assert!(output.stdout.contains(" repeats "), "{}", output.stdout);
    assert!(comparison["tokens"]["tokens"].as_u64().unwrap() > 0, "{}", comparison["tokens"]);
    assert_eq!(comparison["method"], json!([]));
    // The replay is a run like any other, which can be repeated again.
    let command = &replayed.record()["command"];
    assert_eq!((&command[0], &command[1]), (&json!("llem"), &json!("exec")));
    comparison
}

fn text<'a>(comparison: &'a Value, finding: &str) -> &'a str {
    comparison["verdict"][finding]["text"].as_str().unwrap()
}

#[test]
fn the_quickstart_gives_the_same_tokens_again() {
    let context = TestContext::new();
    context.llem(&["exec", "quickstart", "-p", "rounds=2", "-p", "new-tokens=4"]).ok();
    let (output, replayed) = replay(&context, &["--json"]);
    let printed = output.ok().json();
    assert_eq!(printed, comparison(&replayed));
    assert_eq!(printed["verdict"]["is_same"], true);
    assert!(text(&printed, "tokens").starts_with("all "), "{}", printed["verdict"]);
    let [first, second] = [context.record(), replayed.record()];
    for pinned in ["parameters", "seed", "date", "limits", "grants", "components"] {
        assert_eq!(first[pinned], second[pinned], "{pinned}");
    }
    // A replay can be replayed, and two runs compared without running.
    let (again, _) = replay(&replayed, &[]);
    again.ok();
    let runs = [&context, &replayed].map(|one| one.folder.path().join("run"));
    let [first, second] = runs.each_ref().map(|run| run.to_str().unwrap());
    let compared = context.llem(&["compare", first, second, "--json"]).ok().json();
    assert_eq!(compared["tokens"], printed["tokens"]);
    assert_eq!(compared["numbers"], printed["numbers"]);
}

#[test]
fn drawn_tokens_are_drawn_again() {
    let given = guest("given_tokens");
    for batch in ["batch=false", "batch=true"] {
        let settings = [&given, "--seed", "5", "-p", "temperature=1.0", "-p", "requests=3"];
        let comparison = repeated(&[&settings[..], &["-p", batch]].concat());
        assert_eq!(comparison["tokens"]["tokens"], 36, "{batch}");
    }
}

#[test]
fn open_and_closed_loops_give_the_same_tokens_whatever_the_times() {
    let settings = ["-p", "rate=200", "-p", "count=60", "-p", "new-tokens=3"];
    let open = repeated(&[&[&guest("poisson_arrivals")[..]], &settings[..]].concat());
    assert_eq!(open["tokens"]["sequences"], 60);
    let settings =
        ["-p", "batch=1,3", "-p", "prompt-tokens=16", "-p", "new-tokens=4", "-p", "rounds=1"];
    let throughput = fixtures().join("../../scripts/throughput/throughput.wasm");
    repeated(&[&[throughput.to_str().unwrap()], &settings[..]].concat());
}

#[test]
fn policies_run_with_the_same_shipped_ones() {
    let comparison = repeated(&["--workload", &guest("policy_workload")]);
    assert_eq!(comparison["method"], json!([]));
}

#[test]
fn a_model_over_ranks_is_replayed_over_as_many() {
    let comparison = repeated(&[&guest("given_tokens"), "--tp", "2"]);
    assert_eq!(comparison["tokens"]["tokens"], 12);
}

#[test]
fn on_a_synthetic_host_times_and_energies_are_the_same_too() {
    let context = TestContext::new();
    context.file("host.json", r#"{"decode_s_per_step": 0.008, "idle_watts": 40}"#);
    let args = ["exec", "quickstart", "--synthetic-host=host.json", "-p", "rounds=2"];
    context.llem(&args).ok();
    let (output, replayed) = replay(&context, &[]);
    output.ok();
    let comparison = comparison(&replayed);
    let numbers = comparison["numbers"]["numbers"].as_array().unwrap();
    assert!(numbers.len() > 20, "{}", numbers.len());
    for number in numbers {
        assert_eq!(number["difference"], 0.0, "{number}");
    }
    let events = |context: &TestContext| {
        let events = context.events();
        let generations = of_kind(&events, "generation").into_iter().cloned();
        generations.collect::<Vec<_>>()
    };
    assert_eq!(events(&context), events(&replayed));
    assert!(comparison["notes"][0].as_str().unwrap().contains("synthetic host"));
}

#[test]
fn a_dataset_is_found_beside_the_run_and_a_changed_byte_is_refused() {
    let context = TestContext::new();
    context.file("prompts.csv", "prompt\nhello there\nand you\n");
    let settings = ["--dataset", "prompts=prompts.csv", "-p", "rounds=1", "-p", "new-tokens=2"];
    context.llem(&[&["exec", "quickstart"], &settings[..]].concat()).ok();
    let (output, replayed) = replay(&context, &[]);
    output.ok();
    assert_eq!(comparison(&replayed)["verdict"]["is_same"], true);

    context.file("prompts.csv", "prompt\nhello there\nand  ou\n");
    let recorded = context.record()["grants"]["datasets"][0]["digest"].clone();
    let (output, replayed) = replay(&context, &[]);
    let words = [
        "dataset 'prompts'",
        recorded.as_str().unwrap(),
        "--dataset prompts=FILE",
        "--allow-changed prompts",
    ];
    output.refused(2, &words);
    assert!(!replayed.folder.path().join("run").exists(), "nothing ran");
    let (output, replayed) = replay(&context, &["--allow-changed", "prompts"]);
    output.refused(1, &["method", "dataset prompts: digest"]);
    let notes = comparison(&replayed)["notes"].to_string();
    assert!(notes.contains("--allow-changed prompts"), "{notes}");

    // The file of the record may be somewhere else, and a missing one is named with its option.
    fs::remove_file(context.folder.path().join("prompts.csv")).unwrap();
    let (output, _) = replay(&context, &[]);
    output.refused(2, &["'prompts'", "prompts.csv", "is not there", "--dataset prompts=FILE"]);
    let moved = context.file("moved.csv", "prompt\nhello there\nand you\n");
    let (output, _) = replay(&context, &["--dataset", &format!("prompts={moved}")]);
    output.ok();
}

#[test]
fn another_component_is_refused_by_its_role() {
    let context = TestContext::new();
    let copied = |name: &str| fs::read(guest(name)).unwrap();
    context.file("method.wasm", copied("given_tokens"));
    context.llem(&["exec", "method.wasm"]).ok();
    let recorded = context.record()["components"][0]["digest"].clone();
    context.file("method.wasm", copied("noop"));
    let (output, _) = replay(&context, &[]);
    let words = ["'experiment'", recorded.as_str().unwrap(), "--component experiment=FILE"];
    output.refused(2, &words);
    let file = format!("experiment={}", guest("given_tokens"));
    replay(&context, &["--component", &file]).0.ok();
    replay(&context, &["--component", "metrics=x.wasm"]).0.refused(2, &["'metrics'", "experiment"]);
    fs::remove_file(context.folder.path().join("method.wasm")).unwrap();
    replay(&context, &[]).0.refused(2, &["method.wasm", "--component experiment=FILE"]);
}

#[test]
fn python_may_be_built_to_other_bytes_of_the_same_code() {
    let context = TestContext::new();
    let path = |name: &str| context.folder.path().join(name);
    fs::create_dir(path("src")).unwrap();
    let compiler = PythonCompiler::new(&context);
    let component = fs::read(guest("given_tokens")).unwrap();
    compiler.gives(&component);
    context.file("src/method.py", "import llem_sdk\n");
    let llem = |args: &[&str], cache: &str| {
        let mut command = context.command(args);
        compiler.serve(&mut command, &path(cache));
        CommandOutput::from_output(command.output().unwrap())
    };
    llem(&["exec", "src/method.py"], "cache").ok();
    // A custom section, called `note`, changes the bytes and not what they do.
    compiler.gives(&[&component[..], b"\0\x05\x04note"].concat());
    let printed = llem(&["replay", "run", "--out", "again"], "empty").ok().stdout;
    assert!(printed.contains("built again from the same code"), "{printed}");
    context.file("src/method.py", "import llem_sdk \n");
    let words = ["'experiment'", "method.py", "the source code of the record"];
    llem(&["replay", "run", "--out", "changed"], "empty").refused(2, &words);
}

#[test]
fn another_llem_whose_runner_differs_is_named() {
    let context = TestContext::new();
    context.llem(&["exec", "--workload", &guest("policy_workload")]).ok();
    change_record(&context, |record| {
        let components = record["components"].as_array_mut().unwrap().iter_mut();
        let mut runner = components.filter(|component| component["role"] == "runner");
        runner.next().unwrap()["digest"] = "sha256:0".into();
        record["llem_version"] = "0.0.9".into();
    });
    replay(&context, &[]).0.refused(2, &["'runner'", "sha256:0", "use llem 0.0.9"]);
}

/// Changes `run.json`.
fn change_record(context: &TestContext, change: impl FnOnce(&mut Value)) {
    let mut record = context.record();
    change(&mut record);
    context.file("run/run.json", record.to_string());
}

#[test]
fn a_secret_is_asked_for_again() {
    let context = TestContext::new();
    let secrets = ["-p", "api-key=abcd", "-p", "endpoint=http://me:abc@host/"];
    context.llem(&[&["exec", &guest("has_secrets")], &secrets[..]].concat()).ok();
    replay(&context, &[]).0.refused(2, &["'api-key'", "-p api-key=VALUE"]);
    replay(&context, &secrets[..2]).0.refused(2, &["'endpoint'", "-p endpoint=VALUE"]);
    let (output, replayed) = replay(&context, &secrets);
    output.ok();
    assert_eq!(replayed.record()["metrics"], context.record()["metrics"]);
    assert!(!replayed.record().to_string().contains("abcd"));

    // A secret that was not given is the component's own again.
    let context = TestContext::new();
    context.llem(&["exec", &guest("has_secrets")]).ok();
    replay(&context, &[]).0.ok();
}

#[test]
fn a_changed_adapter_or_model_is_refused_when_it_is_loaded() {
    let context = TestContext::new();
    let folder = context.folder.path();
    let original = fs::read_dir(fixtures().join("adapters")).unwrap().map(|one| one.unwrap());
    let name = original.map(|one| one.file_name().into_string().unwrap()).min().unwrap();
    let original = adapter(&name);
    copy(&original, &folder.join("math"));
    copy(&base_of(&original), &folder.join("model"));
    let args = ["exec", &guest("given_tokens"), "--model", "big=model", "--adapter", "math"];
    context.llem(&args).ok();
    replay(&context, &[]).0.ok();
    for (file, what, option) in [
        ("math/adapter_model.safetensors", "adapter 'math'", "--allow-changed math"),
        ("model/model.safetensors", "model 'big'", "--allow-changed big"),
    ] {
        let path = folder.join(file);
        let before = flip_last_byte(&path);
        let (output, _) = replay(&context, &[]);
        output.refused(2, &[what, "blake3:", option]);
        fs::write(&path, before).unwrap();
    }
    let given = format!("math={}", original.display());
    fs::remove_dir_all(folder.join("math")).unwrap();
    replay(&context, &[]).0.refused(2, &["adapter 'math'", "--adapter math=SOURCE"]);
    replay(&context, &["--adapter", &given]).0.ok();
}

/// Copies the files of a folder.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        if entry.path().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// Changes a file's last byte in its lowest bit, and returns the content before.
fn flip_last_byte(path: &Path) -> Vec<u8> {
    let before = fs::read(path).unwrap();
    let mut changed = before.clone();
    *changed.last_mut().unwrap() ^= 1;
    fs::write(path, changed).unwrap();
    before
}

#[test]
fn other_settings_are_reported_as_differences() {
    let context = TestContext::new();
    context.llem(&["exec", &guest("given_tokens")]).ok();
    let (output, replayed) = replay(&context, &["--dtype", "bf16"]);
    output.refused(1, &["method", "model 0: dtype"]);
    let method = comparison(&replayed)["method"].clone();
    let dtype = json!({"name": "model 0: dtype", "first": "f32", "second": "bf16"});
    assert!(method.as_array().unwrap().contains(&dtype), "{method}");
}

#[test]
fn runs_with_other_seeds_differ_in_their_tokens() {
    let context = TestContext::new();
    for (seed, out) in [("1", "one"), ("2", "other")] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_llem"));
        command.args(["exec", &guest("given_tokens"), "--seed", seed, "--out", out]);
        let output = command.current_dir(context.folder.path()).output().unwrap();
        CommandOutput::from_output(output).ok();
    }
    let compared = context.llem(&["compare", "one", "other"]);
    compared.refused(1, &["method", "seed", "tokens: 1 of 1 sequence differ", "position"]);
    assert!(compared.stdout.contains("sequences with other tokens"), "{}", compared.stdout);
}

#[test]
fn what_cannot_be_repeated_is_refused_with_its_reason() {
    let context = TestContext::new();
    context.llem(&["exec", &guest("given_tokens")]).ok();
    let written = context.record();
    for (change, words) in [
        (json!({"schema_version": "4.0"}), &["run.json", "schema version", "4.0"][..]),
        (json!({"status": "running"}), &["has not ended", "llem recover"]),
        (json!({"command": ["llem", "generate"]}), &["not a llem exec"]),
        (json!({"command": ["llem", "exec", "a.wasm", "--colour"]}), &["--colour", "use llem"]),
        (
            json!({"recovered": {"lines": 1, "skipped_lines": 0, "ended": false, "plan_known": false}}),
            &["cannot be repeated"],
        ),
    ] {
        change_record(&context, |record| {
            record.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        });
        replay(&context, &[]).0.refused(2, words);
        context.file("run/run.json", written.to_string());
    }
    replay(&context, &["--allow-changed", "x"]).0.refused(2, &["'x'", "default, experiment"]);
    TestContext::new().llem(&["replay", "nowhere"]).refused(2, &["nowhere", "run.json"]);
}

#[test]
fn a_record_of_schema_2_is_repeated_as_far_as_it_tells() {
    let context = TestContext::new();
    context.llem(&["exec", &guest("given_tokens")]).ok();
    change_record(&context, |record| {
        record["schema_version"] = "2.0".into();
        for field in ["date", "build", "environment", "metering"] {
            record.as_object_mut().unwrap().remove(field);
        }
    });
    let (output, replayed) = replay(&context, &[]);
    let notes = comparison(&replayed)["notes"].to_string();
    assert!(notes.contains("schema 2.0") && notes.contains("--date"), "{notes}");
    assert_eq!(comparison(&replayed)["tokens"]["different_sequences"], 0);
    output.ok();
}

#[test]
fn replay_json_follows_its_schema() {
    let context = TestContext::new();
    context.llem(&["exec", "quickstart", "-p", "rounds=1", "-p", "new-tokens=2"]).ok();
    let (output, replayed) = replay(&context, &[]);
    output.ok();
    let schema = context.llem(&["schema", "--comparison"]).ok().json();
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("comparison.json", schema).unwrap();
    let index = compiler.compile("comparison.json", &mut schemas).unwrap();
    schemas.validate(&comparison(&replayed), index).map_err(|error| error.to_string()).unwrap();
}

#[test]
fn limits_that_a_record_raises_need_the_users_consent() {
    let context = TestContext::new();
    let short = ["exec", "quickstart", "-p", "rounds=1", "-p", "new-tokens=2"];
    context.llem(&[&short[..], &["--max-memory", "2048"]].concat()).ok();
    replay(&context, &[]).0.refused(2, &["--max-memory", "--allow-limits"]);
    replay(&context, &["--allow-limits"]).0.ok();
}

/// Makes a run with a dataset and its bundle, and takes the bundle to another folder, after `change` changed its bytes. Replays it
/// there with an empty cache.
fn replay_of_bundle(change: impl FnOnce(&mut Vec<u8>)) -> (CommandOutput, TestContext) {
    let context = TestContext::new();
    context.file("prompts.jsonl", "{\"prompt\":\"Once upon a time\"}\n{\"prompt\":\"A second\"}\n");
    let dataset = ["--dataset", "prompts=prompts.jsonl", "-p", "rounds=2", "-p", "new-tokens=6"];
    context.llem(&[&["exec", "quickstart"], &dataset[..]].concat()).ok();
    context.llem(&["bundle", "run", "--author", "Carberry, Josiah", "--licence", "MIT"]).ok();
    let mut bytes = fs::read(context.folder.path().join("run.zip")).unwrap();
    change(&mut bytes);
    let elsewhere = TestContext::new();
    let path = elsewhere.file("given.zip", bytes);
    let mut command = elsewhere.command(&["replay", &path, "--out", "run"]);
    command.env("LLEM_CACHE", elsewhere.folder.path().join("cache"));
    (CommandOutput::from_output(command.output().unwrap()), elsewhere)
}

#[test]
fn a_bundle_is_repeated_in_another_folder_with_an_empty_cache() {
    let (output, replayed) = replay_of_bundle(|_| ());
    let output = output.ok();
    let comparison = comparison(&replayed);
    assert_eq!(comparison["verdict"]["is_same"], true, "{}", comparison["verdict"]);
    assert!(text(&comparison, "tokens").starts_with("all "), "{}", comparison["verdict"]);
    assert!(output.stdout.contains(text(&comparison, "tokens")), "{}", output.stdout);
}

#[test]
fn a_changed_byte_of_a_bundle_is_refused_by_the_name_of_its_file() {
    let change = |bytes: &mut Vec<u8>| {
        let place = bytes.windows(4).position(|window| window == b"Once").unwrap();
        bytes[place] = b'o';
    };
    let (output, replayed) = replay_of_bundle(change);
    output.refused(2, &["datasets/prompts.jsonl"]);
    assert!(!replayed.folder.path().join("run").exists());
}
