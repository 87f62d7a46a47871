//! Model folders as people save them: wrapped, compiled, without a head, tied against their config, in other number formats.
//! Each is compared with what transformers computes from it (`fixtures/make-checkpoints`).

use crate::{
    parity::{F32_TOLERANCE, assert_close, generate_as},
    support::{
        TestContext,
        changed_folders::{self, Tensor},
        fixtures,
    },
};
use safetensors::Dtype;
use serde_json::{Value, json};
use std::{fs, path::Path};

/// Largest difference of logits in bf16 and f16, over the largest of the expected ones. The two round at different places.
const ROUNDED_TOLERANCE: f32 = 3e-2;

fn told() -> Value {
    serde_json::from_str(&fs::read_to_string(fixtures().join("checkpoints.json")).unwrap()).unwrap()
}

fn make(case: &Value, context: &TestContext) -> std::path::PathBuf {
    let folder = context.folder.path().join("model");
    changed_folders::make(case, &fixtures(), &folder);
    folder
}

/// Generates for a case, and returns its tokens and the logits of the prompt's last position.
fn generated(folder: &Path, prompt: &[i64], dtype: &Value) -> (Value, Vec<f32>) {
    let options: &[&str] = if dtype == "auto" { &[] } else { &["--dtype", "f32"] };
    let (output, logits) = generate_as("cpu", folder, prompt, 16, options);
    let vocab = logits.len() / (prompt.len() + 15);
    let last = logits[(prompt.len() - 1) * vocab..prompt.len() * vocab].to_vec();
    (output["tokens"].clone(), last)
}

#[test]
fn what_transformers_runs_gives_the_same_numbers() {
    let told = told();
    let prompt: Vec<i64> = serde_json::from_value(told["prompt"].clone()).unwrap();
    let mut checked = 0;
    for case in told["cases"].as_array().unwrap().iter().filter(|case| case["tokens"].is_array()) {
        println!("{}", case["name"]);
        let context = TestContext::new();
        let (tokens, logits) = generated(&make(case, &context), &prompt, &case["dtype"]);
        let expected: Vec<f32> = serde_json::from_value(case["logits"].clone()).unwrap();
        let is_rounded = ["float16", "bfloat16"].contains(&case["dtype_found"].as_str().unwrap());
        assert_close(
            &logits,
            &expected,
            if is_rounded { ROUNDED_TOLERANCE } else { F32_TOLERANCE },
        );
        assert!(is_rounded || tokens == case["tokens"], "{}: {tokens}", case["name"]);
        checked += 1;
    }
    assert!(checked > 40, "{checked}");
}

/// Folders for which transformers makes random weights: llem runs what is in the wrapper, or refuses.
#[test]
fn nothing_is_run_with_random_weights() {
    let told = told();
    let prompt: Vec<i64> = serde_json::from_value(told["prompt"].clone()).unwrap();
    let mut run = 0;
    for case in told["cases"].as_array().unwrap().iter().filter(|case| case["missing"].is_array()) {
        println!("{}", case["name"]);
        let context = TestContext::new();
        let folder = make(case, &context);
        let args = ["generate", folder.to_str().unwrap(), "--tokens", "5", "--max-new-tokens", "1"];
        let ran = context.llem(&args);
        if ran.code == Some(0) {
            let original = fixtures().join(case["from"].as_str().unwrap());
            let expected = generated(&original, &prompt, &json!("float32"));
            assert!(generated(&folder, &prompt, &json!("float32")) == expected, "{}", case["name"]);
            run += 1;
        } else {
            ran.refused(2, &["tensor ", " missing from its safetensors files"]);
        }
    }
    assert!(run > 10, "{run}");
}

/// A checkpoint as bitsandbytes saves it in 4 bits, two numbers in a byte, is refused by name.
#[test]
fn a_quantised_checkpoint_is_called_that() {
    let context = TestContext::new();
    let case = json!({ "from": "llama/untied-llama3", "change": [{ "config": {
        "quantization_config": { "quant_method": "bitsandbytes", "load_in_4bit": true, "bnb_4bit_quant_type": "nf4" },
    } }] });
    let folder = make(&case, &context);
    let path = folder.join("model.safetensors");
    let mut tensors = changed_folders::read(&path);
    let products: Vec<String> =
        tensors.keys().filter(|name| name.contains("proj.weight")).cloned().collect();
    for name in products {
        let count = tensors[&name].shape.iter().product::<usize>();
        tensors.insert(name.clone(), Tensor::full(Dtype::U8, &[count / 2, 1], 17.0));
        tensors.insert(format!("{name}.absmax"), Tensor::full(Dtype::U8, &[count / 64], 1.0));
        tensors.insert(format!("{name}.quant_map"), Tensor::full(Dtype::F32, &[16], 1.0));
    }
    changed_folders::write(&tensors, &path);
    let args = ["generate", folder.to_str().unwrap(), "--tokens", "5", "--max-new-tokens", "1"];
    let words = ["config.json", "quantised by bitsandbytes, 4 bits (nf4)", "unquantised original"];
    context.llem(&args).refused(2, &words);
}

#[test]
fn a_git_lfs_pointer_is_called_that() {
    let context = TestContext::new();
    let folder = make(&json!({ "from": "llama/tied", "change": [] }), &context);
    let pointer = format!(
        "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 2200119864\n",
        "ab".repeat(32)
    );
    fs::write(folder.join("model.safetensors"), &pointer).unwrap();
    let args = ["generate", folder.to_str().unwrap(), "--tokens", "5", "--max-new-tokens", "1"];
    let words = ["model.safetensors", "is a Git LFS pointer, not the file", "git lfs pull"];
    context.llem(&args).refused(2, &words);
    let gguf = context.file("model.gguf", &pointer);
    let args = ["generate", &gguf, "--tokens", "5", "--max-new-tokens", "1"];
    context.llem(&args).refused(2, &["model.gguf", "is a Git LFS pointer, not the file"]);
}
