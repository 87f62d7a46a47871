//! `llem bundle` and `llem verify`: what a run's bundle holds, on this machine and on another one.

use crate::{
    adapters::{adapter, base_of},
    support::{CommandOutput, PythonCompiler, TestContext, guest},
};
use std::fs;

const AUTHOR: [&str; 2] = ["--author", "Carberry, Josiah <0000-0002-1825-0097>"];

/// A short run of the shipped experiment.
const QUICKSTART: [&str; 6] = ["exec", "quickstart", "-p", "rounds=1", "-p", "new-tokens=2"];

/// Bundles the run as `run.zip`.
fn bundle(context: &TestContext, options: &[&str]) -> CommandOutput {
    context.llem(&[&["bundle", "run", "--licence", "CC-BY-4.0"], &AUTHOR[..], options].concat())
}

/// Takes the bundle to another folder with an empty cache, and verifies it there.
fn verified_elsewhere(context: &TestContext) -> String {
    let other = TestContext::new();
    let bundle = fs::read(context.folder.path().join("run.zip")).unwrap();
    let path = other.file("given.zip", bundle);
    let cache = other.folder.path().join("cache");
    let output = other.command(&["verify", &path]).env("LLEM_CACHE", cache).output().unwrap();
    CommandOutput::from_output(output).ok().stdout
}

fn assert_holds(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "'{word}' is not in: {text}");
    }
}

#[test]
fn a_bundle_of_the_quickstart_is_verified_on_another_machine() {
    let context = TestContext::new();
    context.llem(&QUICKSTART).ok();
    let made = bundle(&context, &[]).ok();
    let digest = made.stdout.lines().last().unwrap().to_owned();
    assert!(digest.starts_with("sha256:"), "{}", made.stdout);
    let shown = verified_elsewhere(&context);
    let component = &context.record()["components"][0];
    assert_holds(
        &shown,
        &[
            "record: run.json of run is what events.jsonl gives",
            &format!("component: experiment quickstart, {}", component["digest"].as_str().unwrap()),
            "not verified  model: synthetic:tiny",
            "not verified  signature: there is none",
            &digest,
        ],
    );
    // Once more, the same bytes.
    assert_eq!(bundle(&context, &[]).ok().stdout.lines().last().unwrap(), digest);
}

#[test]
fn shipped_components_are_inside() {
    let context = TestContext::new();
    context.llem(&["exec", "--workload", &guest("policy_workload")]).ok();
    bundle(&context, &[]).ok();
    let shown = verified_elsewhere(&context);
    let components = context.record()["components"].as_array().unwrap().clone();
    assert_eq!(components.len(), 3);
    for component in components {
        assert_holds(&shown, &[component["digest"].as_str().unwrap()]);
    }
}

#[test]
fn a_dataset_is_inside_unless_it_is_left_out() {
    let context = TestContext::new();
    context.file("prompts.jsonl", "{\"prompt\":\"Once\"}\n");
    let dataset = ["--dataset", "prompts=prompts.jsonl", "-p", "prompt-column=prompt"];
    context.llem(&[&QUICKSTART[..], &dataset].concat()).ok();
    bundle(&context, &[]).ok();
    let record = context.record();
    let digest = record["grants"]["datasets"][0]["digest"].as_str().unwrap();
    let inside = format!("verified      dataset: prompts, {digest}");
    assert_holds(&verified_elsewhere(&context), &[&inside]);
    bundle(&context, &["--without-datasets"]).ok();
    assert_holds(&verified_elsewhere(&context), &["not verified  dataset: prompts", digest]);

    // The dataset has changed since, or has moved.
    context.file("prompts.jsonl", "{\"prompt\":\"Twice\"}\n");
    bundle(&context, &[]).refused(2, &["dataset 'prompts'", "prompts.jsonl", "--without-datasets"]);
    context.file("moved.jsonl", "{\"prompt\":\"Once\"}\n");
    fs::remove_file(context.folder.path().join("prompts.jsonl")).unwrap();
    bundle(&context, &[]).refused(2, &["dataset 'prompts'", "--dataset prompts=PATH"]);
    bundle(&context, &["--dataset", "prompts=moved.jsonl"]).ok();
    assert_holds(&verified_elsewhere(&context), &[&inside]);
    bundle(&context, &["--dataset", "others=moved.jsonl"]).refused(2, &["others", "prompts"]);
}

#[test]
fn an_adapter_is_inside_unless_it_is_left_out() {
    let (context, adapter) = (TestContext::new(), adapter("llama-attention-r8"));
    let base = base_of(&adapter);
    let (throughput, adapter) = (guest("throughput"), adapter.to_str().unwrap());
    let mut args = vec!["exec", &throughput, "--model", base.to_str().unwrap()];
    args.extend(["--adapter", adapter, "-p", "batch=1", "-p", "prompt-tokens=9"]);
    args.extend(["-p", "new-tokens=2", "-p", "rounds=1"]);
    context.llem(&args).ok();
    bundle(&context, &[]).ok();
    let record = context.record();
    let digest = record["adapters"][0]["digest"].as_str().unwrap();
    let inside = format!("verified      adapter: llama-attention-r8, {digest}");
    assert_holds(&verified_elsewhere(&context), &[&inside]);
    bundle(&context, &["--without-adapters"]).ok();
    let shown = verified_elsewhere(&context);
    assert_holds(&shown, &["not verified  adapter: llama-attention-r8", digest]);
}

#[test]
fn a_component_that_was_built_again_is_refused() {
    let context = TestContext::new();
    let file = context.file("method.wasm", fs::read(guest("noop")).unwrap());
    context.llem(&["exec", &file]).ok();
    fs::copy(guest("metering"), &file).unwrap();
    bundle(&context, &[]).refused(2, &["component 'noop'", "method.wasm", "--component ROLE=FILE"]);
    let option = format!("experiment={}", guest("noop"));
    bundle(&context, &["--component", &option]).ok();
    verified_elsewhere(&context);
}

#[test]
fn a_component_from_source_is_inside_with_its_sources() {
    let context = TestContext::new();
    let compiler = PythonCompiler::new(&context);
    compiler.gives(&fs::read(guest("noop")).unwrap());
    context.file("method.py", "import llem_sdk\nimport steps\n");
    context.file("steps.py", "ROUNDS = 2\n");
    let llem = |args: &[&str]| {
        let mut command = context.command(args);
        compiler.serve(&mut command, &context.folder.path().join("cache"));
        CommandOutput::from_output(command.output().unwrap())
    };
    llem(&["exec", "method.py"]).ok();
    let args = [&["bundle", "run"], &AUTHOR[..]].concat();
    let made = llem(&args).ok();
    assert_holds(&made.stderr, &["no licence"]);
    assert_holds(
        &verified_elsewhere(&context),
        &["verified      sources: what noop was built from, files: 2"],
    );
    // The build gives other bytes, as componentize-py's do, and the cache is lost.
    compiler.gives(&fs::read(guest("metering")).unwrap());
    fs::remove_dir_all(context.folder.path().join("cache")).unwrap();
    llem(&args).refused(2, &["component 'noop'", "LLEM_CACHE"]);
    // The sources have changed.
    context.file("steps.py", "ROUNDS = 3\n");
    llem(&args).refused(2, &["sources of component 'noop'", "as they were then"]);
}

#[test]
fn a_changed_byte_is_refused_with_the_files_name() {
    let context = TestContext::new();
    context.llem(&QUICKSTART).ok();
    bundle(&context, &[]).ok();
    let intact = fs::read(context.folder.path().join("run.zip")).unwrap();
    // The record comes last.
    let find = |text: &[u8]| intact.windows(text.len()).rposition(|part| part == text).unwrap();
    for (text, name) in [
        (&b"\"schema_version\""[..], "run/run.json"),
        (b"\"event\":\"ended\"", "run/events.jsonl"),
        (b"cff-version", "CITATION.cff"),
    ] {
        let mut changed = intact.clone();
        changed[find(text)] ^= 1;
        let file = context.file("changed.zip", changed);
        context.llem(&["verify", &file]).refused(2, &[name, "changed or damaged"]);
    }
    context.llem(&["verify", "run/run.json"]).refused(2, &["run.json"]);
    context.llem(&["verify", "nowhere.zip"]).refused(2, &["nowhere.zip"]);
}

#[test]
fn a_signed_bundle_is_verified_with_its_authors_key() {
    let context = TestContext::new();
    context.llem(&QUICKSTART).ok();
    let key = context.llem(&["bundle", "--generate-key", "author.key"]).ok().stdout;
    let key = key.lines().last().unwrap().to_owned();
    bundle(&context, &["--sign", "author.key"]).ok();
    let shown = context.llem(&["verify", "run.zip"]).ok().stdout;
    assert_holds(&shown, &["run.zip.minisig is there; give --public-key"]);
    for public in ["author.key.pub", &key] {
        let shown = context.llem(&["verify", "run.zip", "--public-key", public]).ok().stdout;
        assert_holds(&shown, &["verified      signature: by this key"]);
    }
    context.llem(&["bundle", "--generate-key", "other.key"]).ok();
    let other = ["verify", "run.zip", "--public-key", "other.key.pub"];
    context.llem(&other).refused(2, &["run.zip.minisig", "does not sign"]);
    context.llem(&["bundle", "--generate-key", "other.key"]).refused(2, &["other.key"]);
}

#[test]
fn a_bundle_names_its_authors() {
    let context = TestContext::new();
    context.llem(&QUICKSTART).ok();
    let llem = |config: &str| {
        let mut command = context.command(&["bundle", "run", "--licence", "MIT"]);
        command.env("GIT_CONFIG_GLOBAL", config).env("GIT_CONFIG_SYSTEM", "/dev/null");
        CommandOutput::from_output(command.output().unwrap())
    };
    llem("/dev/null").refused(2, &["--author"]);
    llem(&context.file("gitconfig", "[user]\nname = Josiah Carberry\n")).ok();
    let bundle = fs::read(context.folder.path().join("run.zip")).unwrap();
    let text = String::from_utf8_lossy(&bundle);
    assert_holds(
        &text,
        &["  - name: \"Josiah Carberry\"", "Josiah Carberry\n\nPermission is hereby"],
    );
    let wrong = ["bundle", "run", "--author", "Carberry, Josiah <0000>"];
    context.llem(&wrong).refused(2, &["ORCID"]);
}

#[test]
fn a_run_that_is_not_complete_is_refused() {
    let context = TestContext::new();
    bundle(&context, &[]).refused(2, &["run"]);
    context.llem(&QUICKSTART).ok();
    let path = context.folder.path().join("run/run.json");
    let record = fs::read_to_string(&path).unwrap();
    fs::write(&path, record.replace("\"completed\"", "\"running\"")).unwrap();
    bundle(&context, &[]).refused(2, &["has not ended", "llem recover"]);
    fs::write(&path, record.replace("\"seed\": 0", "\"seed\": 1")).unwrap();
    bundle(&context, &[]).refused(2, &["run.json and events.jsonl disagree about 'seed'"]);
}
