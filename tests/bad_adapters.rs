//! Adapters that are damaged, not supported, or made for another model. Each is refused with one sentence that names the
//! tensor or field.

use crate::support::{CommandOutput, TestContext, fixtures};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};

const BASE: &str = "llama/untied-llama3";
const Q: &str = "base_model.model.model.layers.0.self_attn.q_proj";

/// Copies an adapter that works, to be changed.
fn copy(context: &TestContext) -> PathBuf {
    let folder = context.folder.path().join("adapter");
    fs::create_dir(&folder).unwrap();
    for name in ["adapter_config.json", "adapter_model.safetensors"] {
        let source = fixtures().join("adapters/llama-attention-r8").join(name);
        fs::copy(source, folder.join(name)).unwrap();
    }
    folder
}

fn generate(context: &TestContext, base: &str, adapter: &Path, options: &[&str]) -> CommandOutput {
    let base = fixtures().join(base);
    let args = ["generate", base.to_str().unwrap(), "--tokens", "5,6", "--max-new-tokens", "1"];
    context.llem(&[&args[..], &["--adapter", adapter.to_str().unwrap()], options].concat())
}

/// Sets fields of the config.
fn configured(fields: Value) -> (TestContext, PathBuf) {
    let context = TestContext::new();
    let folder = copy(&context);
    let path = folder.join("adapter_config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    fs::write(path, config.to_string()).unwrap();
    (context, folder)
}

/// Changes the adapter's tensors.
fn with_tensors(
    change: impl FnOnce(&mut Vec<(String, Vec<usize>, Vec<u8>)>),
) -> (TestContext, PathBuf) {
    let context = TestContext::new();
    let folder = copy(&context);
    let path = folder.join("adapter_model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut all: Vec<_> = tensors
        .iter()
        .map(|(name, view)| (name.to_owned(), view.shape().to_vec(), view.data().to_vec()))
        .collect();
    change(&mut all);
    let views = all.iter().map(|(name, shape, data)| {
        let view =
            safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), data);
        (name.clone(), view.unwrap())
    });
    safetensors::serialize_to_file(views, None, &path).unwrap();
    (context, folder)
}

fn refused_config(fields: Value, words: &[&str]) {
    let (context, folder) = configured(fields);
    generate(&context, BASE, &folder, &[]).refused(2, &[&["adapter_config.json"], words].concat());
}

#[test]
fn the_copy_works() {
    let context = TestContext::new();
    let folder = copy(&context);
    generate(&context, BASE, &folder, &[]).ok();
}

#[test]
fn a_folder_without_a_config() {
    let context = TestContext::new();
    let folder = copy(&context);
    fs::remove_file(folder.join("adapter_config.json")).unwrap();
    generate(&context, BASE, &folder, &[])
        .refused(2, &["no adapter_config.json beside adapter_model.safetensors", "copy it"]);
}

#[test]
fn a_folder_without_weights() {
    let context = TestContext::new();
    let folder = copy(&context);
    fs::remove_file(folder.join("adapter_model.safetensors")).unwrap();
    generate(&context, BASE, &folder, &[]).refused(2, &["adapter_model.safetensors"]);
    fs::write(folder.join("adapter_model.bin"), "pickle").unwrap();
    generate(&context, BASE, &folder, &[]).refused(2, &["adapter_model.bin", "pickle"]);
}

#[test]
fn a_truncated_file() {
    let context = TestContext::new();
    let folder = copy(&context);
    let path = folder.join("adapter_model.safetensors");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    generate(&context, BASE, &folder, &[]).refused(2, &["adapter_model.safetensors", "truncated"]);
}

#[test]
fn a_config_that_is_not_loras() {
    refused_config(json!({"peft_type": "IA3"}), &["peft_type", "IA3"]);
    refused_config(json!({"r": 0}), &["r must be"]);
    refused_config(json!({"rank_pattern": {"q_proj": 70_000}}), &["rank_pattern", "70000"]);
    refused_config(json!({"r": "eight"}), &["r: ", "eight"]);
    refused_config(json!({"r": 7.5}), &["r is 7.5", "whole number"]);
    refused_config(json!({"target_modules": "(q_proj"}), &["target_modules", "regular expression"]);
    refused_config(json!({"rank_pattern": {"q_proj": -1}}), &["rank_pattern", "q_proj"]);
    refused_config(json!({"bias": "some"}), &["bias", "some"]);
}

/// A feature that is not supported is refused, never ignored.
#[test]
fn fields_that_are_not_supported() {
    for (fields, name) in [
        (json!({"layer_replication": [[0, 2]]}), "layer_replication"),
        (json!({"use_qalora": true}), "use_qalora"),
        (json!({"alora_invocation_tokens": [3]}), "alora_invocation_tokens"),
        (json!({"init_lora_weights": "pissa_niter_4"}), "init_lora_weights"),
        (json!({"kasa_config": {}}), "kasa_config"),
        (json!({"use_bdlora": {"nblocks": 2}}), "use_bdlora"),
        (json!({"arrow_config": {"top_k": 2}}), "arrow_config"),
    ] {
        refused_config(fields, &[name]);
    }
}

#[test]
fn trained_tokens_that_are_not_there() {
    let (context, folder) = configured(json!({"trainable_token_indices": [1]}));
    generate(&context, BASE, &folder, &[]).refused(2, &["trainable_tokens_delta", "missing"]);
}

#[test]
fn targets_without_tensors_and_tensors_without_targets() {
    let (context, folder) =
        configured(json!({"target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "up_proj"]}));
    generate(&context, BASE, &folder, &[]).refused(2, &["up_proj.lora_A.weight", "missing"]);
    let (context, folder) = configured(json!({"target_modules": ["q_proj", "k_proj", "v_proj"]}));
    generate(&context, BASE, &folder, &[]).refused(2, &["o_proj.lora_A.weight", "target_modules"]);
    let (context, folder) = configured(json!({"modules_to_save": ["lm_head"]}));
    generate(&context, BASE, &folder, &[]).refused(2, &["lm_head.weight", "modules_to_save"]);
    let (context, folder) = configured(
        json!({"target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "embed_tokens"]}),
    );
    generate(&context, BASE, &folder, &[])
        .refused(2, &["embed_tokens.lora_embedding_A", "missing"]);
    let (context, folder) = configured(json!({"use_dora": true}));
    generate(&context, BASE, &folder, &[]).refused(2, &["lora_magnitude_vector", "missing"]);
}

#[test]
fn a_rank_that_is_not_the_tensors() {
    let (context, folder) = configured(json!({"r": 4}));
    generate(&context, BASE, &folder, &[])
        .refused(2, &["q_proj.lora_A.weight", "[8, 64]", "[4, 64]"]);
}

#[test]
fn tensors_of_the_wrong_shape_name_or_content() {
    let (context, folder) = with_tensors(|all| {
        let up = all.iter_mut().find(|(name, ..)| *name == format!("{Q}.lora_B.weight")).unwrap();
        up.1.reverse();
    });
    generate(&context, BASE, &folder, &[])
        .refused(2, &["q_proj.lora_B.weight", "[8, 64]", "[64, 8]"]);
    let (context, folder) =
        with_tensors(|all| all.push((format!("{Q}.lora_C.weight"), vec![1], vec![0; 4])));
    generate(&context, BASE, &folder, &[]).refused(2, &["lora_C", "q_proj.lora_A.weight"]);
    let (context, folder) = with_tensors(|all| {
        let extra = all.iter().find(|(name, ..)| name.starts_with(Q)).unwrap().clone();
        all.push((extra.0.replace("layers.0", "layers.9"), extra.1, extra.2));
    });
    generate(&context, BASE, &folder, &[]).refused(2, &["layers.9", "lacks"]);
    let (context, folder) =
        with_tensors(|all| all[0].2[..4].copy_from_slice(&f32::NAN.to_le_bytes()));
    generate(&context, BASE, &folder, &[]).refused(2, &["NaN"]);
    let (context, folder) = with_tensors(|all| {
        all.retain(|(name, ..)| *name != format!("{Q}.lora_B.weight"));
    });
    generate(&context, BASE, &folder, &[]).refused(2, &["q_proj.lora_B.weight", "missing"]);
}

/// The error names the tensor and both shapes.
#[test]
fn an_adapter_of_another_model() {
    let context = TestContext::new();
    let folder = copy(&context);
    generate(&context, "families/mistral", &folder, &[]).refused(2, &["lora_", "shape"]);
    generate(&context, "families/gpt2", &folder, &[]).refused(2, &["self_attn", "lacks"]);
    let head = fixtures().join("adapters/llama-embedding-and-head");
    generate(&context, "llama/default-init", &head, &[])
        .refused(2, &["embed_tokens.base_layer.weight", "another model"]);
}

#[test]
fn sources_that_are_no_adapters() {
    let context = TestContext::new();
    let nowhere = |source: &str, words: &[&str]| {
        generate(&context, BASE, Path::new(source), &[]).refused(2, words);
    };
    nowhere("no such place", &["no such place"]);
    nowhere("synthetic:targets=q_proj", &["rank"]);
    nowhere("synthetic:rank=4,target=q_proj", &["'target'"]);
    nowhere("synthetic:rank=70000", &["rank must be between 1 and 65536"]);
    nowhere("synthetic:rank=4,targets=w9", &["'w9'"]);
    context.file("adapter.txt", "text");
    nowhere("adapter.txt", &["adapter.txt", "is a file"]);
    let file = fixtures().join("adapters/llama-dora/adapter_model.safetensors");
    nowhere(file.to_str().unwrap(), &["is a file", "adapters/llama-dora"]);
    nowhere(fixtures().join(BASE).to_str().unwrap(), &["a whole model"]);
}

/// An adapter runs attached to quantised weights. Merging is refused, because the change would be lost in their rounding.
#[test]
fn quantised_weights_are_not_merged_into() {
    let context = TestContext::new();
    let generate = |options: &[&str]| {
        let base = fixtures().join("gguf/llama-q4_k_m.gguf");
        let args = ["generate", base.to_str().unwrap(), "--tokens", "5,6", "--max-new-tokens", "2"];
        context.llem(&[&args[..], &["--json", "--adapter", "synthetic:rank=4"], options].concat())
    };
    let attached = generate(&[]).ok().json();
    assert_eq!(attached["adapter"]["mode"], "attached");
    generate(&["--merge"]).refused(2, &["quantis"]);
}
