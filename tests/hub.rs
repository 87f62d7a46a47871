//! Models of the Hub: from a filled cache, and from a server on this machine behind HF_ENDPOINT.

use crate::{
    hub_double::{Access, COMMIT, Fault, Hub, hex},
    support::{CommandOutput, TestContext, fixtures, signal},
};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const ID: &str = "acme/small-llama";

fn generate(context: &TestContext, home: &Path, endpoint: &str) -> CommandOutput {
    generate_with(context, ID, home, endpoint, &[])
}

fn generate_with(
    context: &TestContext,
    id: &str,
    home: &Path,
    endpoint: &str,
    more: &[(&str, &str)],
) -> CommandOutput {
    let args = ["generate", id, "--tokens", "5,6,7", "--max-new-tokens", "4", "--json"];
    CommandOutput::from_output(
        command(context, &args, home, endpoint).envs(more.iter().copied()).output().unwrap(),
    )
}

/// A cache and an endpoint with which the binary runs.
fn with_hub(context: &TestContext, args: &[&str], home: &Path, endpoint: &str) -> CommandOutput {
    CommandOutput::from_output(command(context, args, home, endpoint).output().unwrap())
}

/// Returns a command with this cache and endpoint, without the Hub's variables of the tests' own environment.
fn command(context: &TestContext, args: &[&str], home: &Path, endpoint: &str) -> Command {
    let mut command = context.command(args);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if ["HF_", "HUGGING", "TRANSFORMERS_"].iter().any(|start| name.starts_with(start)) {
            command.env_remove(&*name);
        }
    }
    command.env("HF_HOME", home).env("HF_ENDPOINT", endpoint);
    command
}

/// Starts a Hub on this machine that serves a folder's files as this model.
fn serve(id: &str, folder: &Path) -> String {
    Hub::of_folders(id, &[folder]).serve().endpoint
}

fn expected_tokens() -> serde_json::Value {
    let folder = fixtures().join("llama/sharded-linear");
    let args = [
        "generate",
        folder.to_str().unwrap(),
        "--tokens",
        "5,6,7",
        "--max-new-tokens",
        "4",
        "--json",
    ];
    TestContext::new().llem(&args).ok().json()["tokens"].clone()
}

/// Lays out a folder as in huggingface_hub's cache.
fn fill_cache(home: &Path, source: &Path) {
    let repo = home.join("hub/models--acme--small-llama");
    let snapshot = repo.join("snapshots").join(COMMIT);
    fs::create_dir_all(&snapshot).unwrap();
    fs::create_dir_all(repo.join("refs")).unwrap();
    fs::write(repo.join("refs/main"), COMMIT).unwrap();
    for file in fs::read_dir(source).unwrap().flatten() {
        fs::copy(file.path(), snapshot.join(file.file_name())).unwrap();
    }
}

#[test]
fn a_filled_cache_needs_no_network() {
    let context = TestContext::new();
    let home = context.folder.path().join("home");
    fill_cache(&home, &fixtures().join("llama/sharded-linear"));
    // Nothing answers on port 9: any request to it would fail.
    let ran = generate(&context, &home, "http://127.0.0.1:9").ok();
    assert_eq!(ran.json()["tokens"], expected_tokens());
    assert_eq!(ran.json()["model"]["source"], format!("acme/small-llama@{COMMIT}"));
}

/// Returns the name of the model in a record.
#[test]
fn a_commit_is_its_snapshot_without_refs_or_network() {
    let context = TestContext::new();
    let home = context.folder.path().join("home");
    fill_cache(&home, &fixtures().join("llama/sharded-linear"));
    fs::remove_dir_all(home.join("hub/models--acme--small-llama/refs")).unwrap();
    let nowhere = "http://127.0.0.1:9";
    for offline in ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"] {
        let named = format!("{ID}@{COMMIT}");
        let ran = generate_with(&context, &named, &home, nowhere, &[(offline, "TRUE")]).ok();
        assert_eq!(ran.json()["tokens"], expected_tokens());
        assert_eq!(ran.json()["model"]["source"], named);
        let main = generate_with(&context, ID, &home, nowhere, &[(offline, "TRUE")]);
        main.refused(2, &[COMMIT, offline]);
    }
}

#[test]
fn a_model_without_an_owner_is_found_where_no_folder_is_called_that() {
    let context = TestContext::new();
    let home = context.folder.path().join("home");
    let endpoint = serve("small-llama", &fixtures().join("llama/sharded-linear"));
    let generate = |endpoint: &str| generate_with(&context, "small-llama", &home, endpoint, &[]);
    let ran = generate(&endpoint).ok();
    assert_eq!(ran.json()["tokens"], expected_tokens());
    assert_eq!(ran.json()["model"]["source"], format!("small-llama@{COMMIT}"));
    fs::create_dir(context.folder.path().join("small-llama")).unwrap();
    generate(&endpoint).refused(2, &["small-llama/config.json"]);
    let missing = generate_with(&context, "small-lama", &home, &endpoint, &[]);
    missing.refused(2, &["no model 'small-lama'", "no folder"]);
}

#[test]
fn a_gated_model_needs_a_token() {
    let context = TestContext::new();
    let home = context.folder.path().join("home");
    let folder = fixtures().join("llama/sharded-linear");
    let endpoint = Hub::of_folders(ID, &[&folder]).with_access(Access::Gated).serve().endpoint;
    generate(&context, &home, &endpoint)
        .refused(2, &["gated", &format!("{endpoint}/{ID}"), "HF_TOKEN"]);
    fs::create_dir_all(&home).unwrap();
    fs::write(home.join("token"), "hf_right\n").unwrap();
    assert_eq!(generate(&context, &home, &endpoint).ok().json()["tokens"], expected_tokens());
}

/// Waits until a file has at least this length.
fn wait_for(path: &Path, length: u64) {
    let patience = Instant::now() + Duration::from_secs(60);
    while !fs::metadata(path).is_ok_and(|file| file.len() >= length) {
        assert!(Instant::now() < patience, "{} never had {length} bytes", path.display());
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn ctrl_c_keeps_what_was_fetched() {
    const FETCHED: usize = 10_000;
    let folder = fixtures().join("llama/untied-llama3");
    let weights = fs::read(folder.join("model.safetensors")).unwrap();
    let hub = Hub::of_folders(ID, &[&folder])
        .with_faults(|asked| {
            (asked.is_cdn && asked.from.is_none()).then_some(Fault::Stall(FETCHED))
        })
        .serve();
    let generate = ["generate", ID, "--tokens", "5", "--json"];
    let exec = ["exec", "quickstart", "--model", ID, "--dtype", "f32"];
    // `generate` has no signal handler, so the signal itself ends it. It gets SIGTERM, because shells may make background
    // programs, such as these tests, ignore SIGINT.
    for (args, name) in [(&generate[..], "-TERM"), (&exec, "-INT")] {
        let context = TestContext::new();
        let home = context.folder.path().join("home");
        let blob = home.join("hub/models--acme--small-llama/blobs").join(hex(&weights));
        let part = blob.with_extension("incomplete");
        let mut child = command(&context, args, &home, &hub.endpoint);
        let child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_for(&part, FETCHED as u64);
        // A program that does not end fetches the rest once the hub lets go, and then the part is gone.
        signal(&child, name);
        let ran = CommandOutput::from_output(child.wait_with_output().unwrap());
        match args[0] {
            "generate" => assert_eq!(ran.code, None),
            _ => ran.refused(130, &["interrupted"]),
        }
        assert_eq!(fs::read(&part).unwrap(), weights[..FETCHED]);

        let ran = with_hub(&context, &generate, &home, &hub.endpoint).ok();
        assert!(ran.stderr.contains("fetching 1 file of acme/small-llama"), "{}", ran.stderr);
        assert_eq!(fs::read(&blob).unwrap(), weights);
        let last = hub.asked().into_iter().rfind(|asked| asked.is_cdn).unwrap();
        assert_eq!(last.from, Some(FETCHED));
    }
}

#[test]
fn an_unreachable_hub_is_said() {
    let context = TestContext::new();
    generate(&context, &context.folder.path().join("home"), "http://127.0.0.1:9")
        .refused(2, &["acme/small-llama"]);
}

#[test]
fn a_missing_model_is_fetched_and_kept() {
    let context = TestContext::new();
    let home = context.folder.path().join("home");
    let endpoint = serve(ID, &fixtures().join("llama/sharded-linear"));
    let ran = generate(&context, &home, &endpoint).ok();
    assert_eq!(ran.json()["tokens"], expected_tokens());
    assert_eq!(ran.json()["model"]["source"], format!("acme/small-llama@{COMMIT}"));
    // The file is complete now.
    let again = generate(&context, &home, "http://127.0.0.1:9").ok();
    assert_eq!(again.json()["tokens"], expected_tokens());
}

/// Other programs fetch weights and tokenizer separately, so a snapshot may have one without the other.
#[test]
fn a_tokenizer_that_the_cache_lacks_is_fetched() {
    let context = TestContext::new();
    let home = context.folder.path().join("home");
    let weights = fixtures().join("llama/sharded-linear");
    fill_cache(&home, &weights);
    let hub = Hub::of_folders(ID, &[&weights, &fixtures().join("tokenizer")]).serve();
    let tokens = |endpoint: &str| {
        let args = ["generate", "acme/small-llama", "measure", "--max-new-tokens", "1", "--json"];
        with_hub(&context, &args, &home, endpoint)
    };
    tokens("http://127.0.0.1:9").refused(2, &["no tokenizer"]);
    let fetched = tokens(&hub.endpoint).ok().json();
    assert_eq!(fetched["model"]["source"], format!("acme/small-llama@{COMMIT}"));
    let kept = tokens("http://127.0.0.1:9").ok();
    assert_eq!(kept.json()["tokens"], fetched["tokens"]);
    assert!(!kept.stderr.contains("none can be fetched"), "{}", kept.stderr);
}

#[test]
fn a_hub_without_a_tokenizer_is_asked_once() {
    let context = TestContext::new();
    let home = context.folder.path().join("home");
    let folder = fixtures().join("llama/sharded-linear");
    fill_cache(&home, &folder);
    let unknown = generate(&context, &home, "http://127.0.0.1:9").ok();
    assert!(unknown.stderr.contains("none can be fetched"), "{}", unknown.stderr);
    generate(&context, &home, &serve(ID, &folder)).ok();
    let known = generate(&context, &home, "http://127.0.0.1:9").ok();
    assert!(!known.stderr.contains("none can be fetched"), "{}", known.stderr);
}

/// An adapter consists of two files of a repository.
#[test]
fn an_adapter_is_fetched_and_kept() {
    let context = TestContext::new();
    let home = context.folder.path().join("home");
    let adapter = fixtures().join("adapters/llama-attention-r8");
    let base = fixtures().join("llama/untied-llama3");
    let generate = |adapter: &str, endpoint: &str| {
        let args = ["generate", base.to_str().unwrap(), "--tokens", "5,6,7", "--json", "--adapter"];
        with_hub(&context, &[&args[..], &[adapter]].concat(), &home, endpoint)
    };
    let nowhere = "http://127.0.0.1:9";
    generate("acme/small-lora", nowhere).refused(2, &["acme/small-lora"]);
    let expected = generate(adapter.to_str().unwrap(), nowhere).ok().json();
    let fetched = generate("acme/small-lora", &serve("acme/small-lora", &adapter)).ok().json();
    let kept = generate("acme/small-lora", nowhere).ok().json();
    for ours in [fetched, kept] {
        assert_eq!(ours["tokens"], expected["tokens"]);
        assert_eq!(ours["adapter"]["digest"], expected["adapter"]["digest"]);
        assert_eq!(ours["adapter"]["source"], format!("acme/small-lora@{COMMIT}"));
    }
}
