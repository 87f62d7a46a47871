//! Every failure ends with one clear sentence and the right exit code.

use crate::support::{CommandOutput, TestContext, ended_by_deadline, fixtures, guest};
use std::fs;

fn refuses(args: &[&str], code: i32, words: &[&str]) -> TestContext {
    let context = TestContext::new();
    context.llem(args).refused(code, words);
    context
}

#[test]
fn a_file_that_is_not_wasm() {
    let context = TestContext::new();
    let file = context.file("notes.wasm", "not a component");
    context.llem(&["exec", &file]).refused(2, &["notes.wasm", "not a WebAssembly file"]);
}

#[test]
fn a_damaged_component() {
    let context = TestContext::new();
    let bytes = fs::read(guest("noop")).unwrap();
    let file = context.file("half.wasm", &bytes[..bytes.len() / 2]);
    context.llem(&["exec", &file]).refused(2, &["half.wasm", "damaged"]);
}

#[test]
fn a_name_that_is_no_name() {
    refuses(&["exec", &guest("badly_named")], 2, &["badly_named.wasm", "kebab case", "evil"]);
}

#[test]
fn a_file_that_is_not_there() {
    refuses(&["exec", "nowhere.wasm"], 2, &["nowhere.wasm"]);
}

#[test]
fn a_component_for_another_world() {
    refuses(&["exec", &guest("other_world")], 2, &["another world", "greet"]);
}

#[test]
fn an_unknown_import() {
    refuses(&["exec", &guest("unknown_import")], 2, &["imports test:hostile/secrets"]);
}

#[test]
fn a_panic_is_told_in_its_own_words() {
    let context = refuses(&["exec", &guest("panics")], 1, &["panicked", "index out of thin air"]);
    assert_eq!(context.record()["status"], "failed");
}

#[test]
fn an_error_of_the_script() {
    refuses(&["exec", &guest("fails")], 1, &["no steady state"]);
}

#[test]
fn an_endless_loop() {
    let context = ended_by_deadline(&["exec", &guest("loops")], "\"event\":\"started\"");
    let record = context.record();
    assert_eq!(record["status"], "failed");
    let wall = record["wall_ns"].as_u64().unwrap();
    assert!(wall >= 1_000_000_000, "{wall} ns");
}

#[test]
fn a_guest_that_allocates_without_end() {
    refuses(
        &["exec", &guest("hungry"), "--max-memory", "64"],
        1,
        &["memory", "64 MiB", "--max-memory"],
    );
}

#[test]
fn a_guest_that_writes_without_end() {
    refuses(&["exec", &guest("wordy"), "--max-output", "1"], 1, &["1 MiB", "--max-output"]);
}

#[test]
fn a_label_that_is_too_long() {
    refuses(&["exec", &guest("long_labels")], 2, &["label", "100000 bytes", "at most 200"]);
}

#[test]
fn a_guest_that_hoards_resources() {
    refuses(
        &["exec", &guest("hoards_resources"), "--max-resources", "50"],
        1,
        &["--max-resources"],
    );
}

#[test]
fn an_unknown_parameter() {
    refuses(
        &["exec", "quickstart", "-p", "speed=9"],
        2,
        &["unknown parameter 'speed'", "new-tokens"],
    );
}

#[test]
fn a_parameter_of_another_kind() {
    refuses(
        &["exec", "quickstart", "-p", "rounds=many"],
        2,
        &["'rounds'", "a whole number", "many"],
    );
}

#[test]
fn a_dataset_that_is_not_granted() {
    refuses(&["exec", &guest("needs_dataset")], 2, &["'prompts'", "--dataset prompts=FILE"]);
}

#[test]
fn a_dataset_that_is_not_declared() {
    refuses(&["exec", "quickstart", "--dataset", "texts=a.jsonl"], 2, &["unknown dataset 'texts'"]);
}

#[test]
fn a_broken_dataset_names_the_line() {
    let context = TestContext::new();
    let file = context.file("rows.jsonl", "{\"prompt\": \"one\"}\n{\"prompt\": \n");
    let grant = format!("prompts={file}");
    context.llem(&["exec", "quickstart", "--dataset", &grant]).refused(2, &["'prompts'", "line 2"]);
}

#[test]
fn a_component_in_the_wrong_role() {
    refuses(&["exec", "--workload", &guest("policy_warmup")], 2, &["--workload"]);
}

#[test]
fn a_folder_that_holds_another_run() {
    let context = TestContext::new();
    context.llem(&["exec", &guest("noop")]).ok();
    context.llem(&["exec", &guest("noop")]).refused(2, &["not empty", "--out"]);
}

#[test]
fn a_model_that_does_not_exist() {
    let context = TestContext::new();
    let mut command = context.command(&["generate", "nowhere", "hello"]);
    // A name without an owner may be an old model of the Hub.
    let ran = CommandOutput::from_output(command.env("HF_HUB_OFFLINE", "1").output().unwrap());
    ran.refused(2, &["no model 'nowhere'", "no folder"]);
    context.llem(&["generate", "./nowhere", "hello"]).refused(2, &["no model './nowhere'"]);
}

/// Copies a fixture, to be broken.
fn model_copy(context: &TestContext) -> String {
    let folder = context.folder.path().join("model");
    fs::create_dir(&folder).unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs::copy(fixtures().join("llama/untied-llama3").join(name), folder.join(name)).unwrap();
    }
    folder.to_str().unwrap().to_owned()
}

/// Changes fields of a model's config.json.
fn reconfigure(model: &str, from: &str, to: &str) {
    let path = format!("{model}/config.json");
    let config = fs::read_to_string(&path).unwrap();
    assert!(config.contains(from));
    fs::write(path, config.replace(from, to)).unwrap();
}

/// `generate` and `exec` refuse the model with the same sentence.
fn refuses_model(context: &TestContext, model: &str, words: &[&str]) {
    context.llem(&["generate", model, "--tokens", "1,2,3"]).refused(2, words);
    context.llem(&["exec", "quickstart", "--model", model]).refused(2, words);
}

#[test]
fn a_missing_tensor() {
    let context = TestContext::new();
    let model = model_copy(&context);
    reconfigure(&model, "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 4");
    refuses_model(&context, &model, &["model.layers.3.input_layernorm.weight", "missing"]);
}

#[test]
fn a_tensor_of_another_shape() {
    let context = TestContext::new();
    let model = model_copy(&context);
    reconfigure(&model, "\"intermediate_size\": 160", "\"intermediate_size\": 161");
    refuses_model(&context, &model, &["mlp.gate_proj.weight", "[160, 64]", "[161, 64]"]);
}

#[test]
fn a_truncated_safetensors_file() {
    let context = TestContext::new();
    let model = model_copy(&context);
    let path = format!("{model}/model.safetensors");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1000]).unwrap();
    refuses_model(&context, &model, &["model.safetensors", "truncated"]);
}

#[test]
fn a_weight_that_is_not_a_number() {
    let context = TestContext::new();
    let model = model_copy(&context);
    let path = format!("{model}/model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    refuses_model(&context, &model, &["NaN", "tensor"]);
}

#[test]
fn an_unknown_architecture() {
    let context = TestContext::new();
    let model = model_copy(&context);
    fs::write(
        format!("{model}/config.json"),
        r#"{"architectures": ["MambaForCausalLM"], "d_model": 64}"#,
    )
    .unwrap();
    refuses_model(&context, &model, &["config.json", "MambaForCausalLM", "LlamaForCausalLM"]);
}

#[test]
fn a_folder_without_weights() {
    let context = TestContext::new();
    let model = model_copy(&context);
    fs::remove_file(format!("{model}/model.safetensors")).unwrap();
    refuses_model(&context, &model, &["no model.safetensors"]);
}

#[test]
fn requests_that_cannot_be_run() {
    let model = fixtures().join("llama/tied");
    let model = model.to_str().unwrap();
    let long = vec!["5"; 256].join(",");
    refuses(&["generate", model, "--tokens", &long], 2, &["256 tokens", "context"]);
    refuses(&["generate", model, "--tokens", "1,200"], 2, &["token 200", "199"]);
    refuses(&["generate", model, "hello"], 2, &["no tokenizer", "token ids"]);
    refuses(&["generate", "synthetic:tiny", ""], 2, &["no tokens"]);
    refuses(
        &["generate", model, "--tokens", "1", "--top-p", "1.5", "--temperature", "1"],
        2,
        &["top-p"],
    );
    refuses(&["generate", model, "--tokens", "1", "--max-new-tokens", "0"], 2, &["max-new-tokens"]);
}

/// The sentence names the library that is missing and what to install; `doctor` says the same.
#[test]
fn a_gpu_on_a_machine_without_a_driver() {
    let told = TestContext::new().llem(&["doctor"]).ok().stdout;
    // Nothing to check if the machine has a driver.
    if let Some(sentence) = told.lines().find_map(|line| line.strip_prefix("libcuda: ")) {
        let args = ["generate", "synthetic:tiny", "hello", "--device", "cuda:0"];
        let words = ["libcuda.so.1", "install NVIDIA's driver", "LLEM_CUDA_LIBS"];
        refuses(&args, 2, &[&[sentence], &words[..]].concat());
    }
}

/// An error of the host that the script returns keeps its code, so that bad input gives exit code 2. An error that the script only
/// mentions does not, and a script that aborts fails the run.
#[test]
fn only_an_error_that_is_handed_on_blames_what_was_given() {
    let ends = guest("ends");
    let run = |way: &str, code: i32, words: &[&str]| {
        refuses(&["exec", &ends, "-p", &format!("way={way}")], code, words)
    };
    for way in ["returns", "says-returns", "goes-on-returns"] {
        run(way, 2, &["model 'org/other' is not granted", "--model org/other"]);
    }
    run("quotes", 1, &["the method needs more than this"]);
    run("aborts", 1, &["ends.wasm panicked or aborted"]);
    let context = run("exits", 1, &["ends.wasm exited with code 1"]);
    assert!(!context.record()["error"].as_str().unwrap().contains("org/other"));
    // Lines logged before it continued are not part of the error.
    let context = run("goes-on-aborts", 1, &["ends.wasm panicked or aborted"]);
    assert!(!context.record()["error"].as_str().unwrap().contains("org/other"));
}
