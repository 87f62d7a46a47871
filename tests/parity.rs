//! The engine compared with transformers, on folders that `fixtures/make-llama` made with it.

use crate::support::{TestContext, fixtures, guest};
use safetensors::SafeTensors;
use std::{fs, path::Path};

/// Largest difference allowed in f32, over the largest magnitude of the expected logits.
pub const F32_TOLERANCE: f32 = 1e-4;
/// Root mean square of the difference allowed in bf16, over that of the expected logits.
const BF16_TOLERANCE: f32 = 1e-2;
/// How much larger our bf16 error against f32 may be than transformers' own.
const BF16_EXCESS: f32 = 1.25;

struct Expected {
    prompt: Vec<i64>,
    tokens: Vec<i64>,
    logits: Vec<f32>,
    logits_bf16: Vec<f32>,
}

pub fn floats(tensors: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let bytes = tensors.tensor(name).unwrap();
    bytes.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

pub fn ids(tensors: &SafeTensors<'_>, name: &str) -> Vec<i64> {
    let view = tensors.tensor(name).unwrap();
    view.data().as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect()
}

/// Returns what `llem generate` prints on the CPU, and the logits of every position.
pub fn generate(
    folder: &Path,
    prompt: &[i64],
    count: usize,
    dtype: &str,
) -> (serde_json::Value, Vec<f32>) {
    generate_as("cpu", folder, prompt, count, &["--dtype", dtype])
}

/// Returns what `llem generate` prints on a device with further options, and the logits of every position.
pub fn generate_as(
    device: &str,
    folder: &Path,
    prompt: &[i64],
    count: usize,
    options: &[&str],
) -> (serde_json::Value, Vec<f32>) {
    let context = TestContext::new();
    let (folder, prompt, count) = (folder.to_str().unwrap(), joined(prompt), count.to_string());
    let mut args = vec![
        "generate",
        folder,
        "--json",
        "--ignore-eos",
        "--device",
        device,
        "--logits",
        "logits.safetensors",
        "--tokens",
        &prompt,
        "--max-new-tokens",
        &count,
    ];
    args.extend(options);
    let ran = context.llem(&args).ok();
    let bytes = fs::read(context.folder.path().join("logits.safetensors")).unwrap();
    (ran.json(), floats(&SafeTensors::deserialize(&bytes).unwrap(), "logits"))
}

fn expected(model: &str) -> Expected {
    let bytes =
        fs::read(fixtures().join("llama").join(model).join("expected.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    Expected {
        prompt: ids(&tensors, "prompt"),
        tokens: ids(&tensors, "tokens"),
        logits: floats(&tensors, "logits"),
        logits_bf16: floats(&tensors, "logits_bf16"),
    }
}

pub fn joined(ids: &[i64]) -> String {
    ids.iter().map(i64::to_string).collect::<Vec<_>>().join(",")
}

pub fn assert_close(actual: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(actual.len(), expected.len());
    let scale = expected.iter().fold(0f32, |most, logit| most.max(logit.abs()));
    let worst = actual.iter().zip(expected).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(
        worst <= tolerance * scale,
        "worst difference {worst} of {scale}, {} allowed",
        tolerance * scale
    );
}

pub fn relative_rms(actual: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(actual.len(), expected.len());
    let squares =
        |values: &mut dyn Iterator<Item = f32>| values.map(|value| value * value).sum::<f32>();
    let difference = squares(&mut actual.iter().zip(expected).map(|(a, b)| a - b));
    (difference / squares(&mut expected.iter().copied())).sqrt()
}

/// Returns how far bf16 is from transformers' bf16.
fn check(device: &str, folder: &Path, expected: &Expected) -> f32 {
    let generate = |prompt: &[i64], count, dtype| {
        generate_as(device, folder, prompt, count, &["--dtype", dtype])
    };
    // Greedy decoding, step by step through the KV cache.
    let (output, logits) = generate(&expected.prompt, expected.tokens.len(), "f32");
    assert_eq!(output["tokens"], serde_json::json!(expected.tokens));
    assert!(output["text"].is_null(), "a folder without a tokenizer has no text");
    assert_close(&logits, &expected.logits, F32_TOLERANCE);

    // The same positions in one pass, as a prompt. Tokens generated in bf16 may diverge by rounding; given ones do not.
    let all = [&expected.prompt[..], &expected.tokens[..expected.tokens.len() - 1]].concat();
    let (_, logits) = generate(&all, 1, "f32");
    assert_close(&logits, &expected.logits, F32_TOLERANCE);
    let (_, logits) = generate(&all, 1, "bf16");
    let (ours, theirs) = (
        relative_rms(&logits, &expected.logits),
        relative_rms(&expected.logits_bf16, &expected.logits),
    );
    assert!(ours <= BF16_EXCESS * theirs, "bf16 is {ours} off f32, transformers' {theirs}");
    relative_rms(&logits, &expected.logits_bf16)
}

fn check_fixture(model: &str) -> f32 {
    check_fixture_on("cpu", model)
}

/// Compares a model of `fixtures/llama` with transformers, and returns how far bf16 is from transformers' bf16.
pub fn check_fixture_on(device: &str, model: &str) -> f32 {
    check(device, &fixtures().join("llama").join(model), &expected(model))
}

#[test]
fn gqa_with_a_tied_head() {
    check_fixture("tied");
}

#[test]
fn gqa_with_an_untied_head_and_llama3_rope() {
    check_fixture("untied-llama3");
}

#[test]
fn every_bias_odd_heads_and_no_grouping() {
    check_fixture("biased-mha");
}

#[test]
fn bf16_within_one_percent() {
    let difference = check_fixture("default-init");
    assert!(difference <= BF16_TOLERANCE, "{difference}");
}

#[test]
fn sharded_files_and_linear_rope() {
    check_fixture("sharded-linear");
}

/// transformers 4 wrote `rope_theta`, `rope_scaling` (with `type`) and `torch_dtype`.
#[test]
fn the_config_of_older_transformers() {
    let source = fixtures().join("llama/untied-llama3");
    let context = TestContext::new();
    let folder = context.folder.path().join("model");
    fs::create_dir(&folder).unwrap();
    fs::copy(source.join("model.safetensors"), folder.join("model.safetensors")).unwrap();
    let mut config: serde_json::Value =
        serde_json::from_slice(&fs::read(source.join("config.json")).unwrap()).unwrap();
    let mut rope = config["rope_parameters"].take();
    let fields = config.as_object_mut().unwrap();
    fields.remove("rope_parameters");
    fields.insert("rope_theta".into(), rope["rope_theta"].take());
    let kind = rope["rope_type"].take();
    let rope = rope.as_object_mut().unwrap();
    rope.retain(|_, value| !value.is_null());
    rope.insert("type".into(), kind);
    fields.insert("rope_scaling".into(), rope.clone().into());
    let dtype = fields.remove("dtype").unwrap();
    fields.insert("torch_dtype".into(), dtype);
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    check("cpu", &folder, &expected("untied-llama3"));
}

#[test]
fn scores_are_log_likelihoods() {
    check_scores("cpu");
}

/// Compares scores with transformers' log-likelihoods.
pub fn check_scores(device: &str) {
    let folder = fixtures().join("llama/untied-llama3");
    let bytes = fs::read(folder.join("expected.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let scores = tensors.tensor("scores").unwrap();
    let theirs: Vec<f64> =
        scores.data().as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();

    let expected = expected("untied-llama3");
    let context = TestContext::new();
    let prompt = format!("context={}", joined(&expected.prompt));
    let continuation = format!("continuation={}", joined(&expected.tokens));
    let model = folder.to_str().unwrap();
    let args = [
        "exec",
        &guest("scores"),
        "--model",
        model,
        "--device",
        device,
        "--dtype",
        "f32",
        "-p",
        &prompt,
        "-p",
        &continuation,
    ];
    context.llem(&args).ok();
    let record = context.record();
    let ours = record["series"][0]["points"]
        .as_array()
        .unwrap()
        .iter()
        .map(|point| point[1].as_f64().unwrap());
    let worst =
        ours.zip(&theirs).fold(0f64, |most, (ours, theirs)| most.max((ours - theirs).abs()));
    assert_eq!(theirs.len(), 64);
    assert!(worst < 1e-4, "{worst}");
    assert_eq!(record["metrics"][0]["quantity"]["value"], 1.0, "the greedy continuation is greedy");
    assert_eq!(record["windows"][0]["activity"]["prompt_tokens"], 83);
}
