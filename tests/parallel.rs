//! A model on several ranks compared with transformers and PEFT, and with itself on one rank.

use crate::{
    adapters::{adapter, base_of},
    parity::{F32_TOLERANCE, assert_close, floats, generate_as, ids},
    support::{DEVICES, TestContext, fixtures},
};
use llem_engine::{Batch, BatchOptions, LoadOptions, Model, Split};
use safetensors::SafeTensors;
use std::path::Path;

/// Returns the expected prompt, tokens and logits of a fixture's folder.
fn expected(folder: &Path, mode: &str) -> (Vec<i64>, Vec<i64>, Vec<f32>) {
    let bytes = std::fs::read(folder.join("expected.safetensors")).unwrap();
    let all = SafeTensors::deserialize(&bytes).unwrap();
    let name = |name: &str| match all.tensor(&format!("{name}0")) {
        Ok(_) => format!("{name}0"),
        Err(_) => name.to_owned(),
    };
    (ids(&all, &name("prompt")), ids(&all, &name("tokens")), floats(&all, &name(mode)))
}

/// Compares the tokens step by step, then the logits of the same positions run as one prompt.
fn check(model: &Path, folder: &Path, mode: &str, args: &[&str]) {
    let (prompt, tokens, logits) = expected(folder, mode);
    let all = [&prompt[..], &tokens[..tokens.len() - 1]].concat();
    for device in DEVICES {
        let args = [args, &["--dtype", "f32", "--rank-timeout", "20"]].concat();
        let (output, ours) = generate_as(device, model, &prompt, tokens.len(), &args);
        assert_eq!(output["tokens"], serde_json::json!(tokens), "{args:?} on {device}");
        assert_close(&ours, &logits, F32_TOLERANCE);
        let (_, ours) = generate_as(device, model, &all, 1, &args);
        assert_close(&ours, &logits, F32_TOLERANCE);
    }
}

fn splits(name: &str, splits: &[&str]) {
    let folder = fixtures().join(name);
    for split in splits {
        check(&folder, &folder, "logits", &split.split(' ').collect::<Vec<_>>());
    }
}

const DENSE: &[&str] = &["--tp 2", "--tp 4", "--pp 2", "--tp 2 --pp 2", "--dp 2"];

/// A model of two key heads: with four ranks, two ranks have the same head.
#[test]
fn llama() {
    splits("llama/untied-llama3", DENSE);
    splits("llama/untied-llama3", &["--pp 3 --microbatches 3", "--tp 8 --pp 2 --dp 2"]);
}

#[test]
fn llama_with_a_tied_head_on_another_stage() {
    splits("llama/tied", DENSE);
}

#[test]
fn llama_with_biases_and_as_many_key_heads() {
    splits("llama/biased-mha", DENSE);
}

/// A family with transposed weights, stacked projections and learned positions.
#[test]
fn gpt2() {
    splits("families/gpt2", DENSE);
    splits("families/gpt2-odd", &["--tp 4 --pp 2"]);
}

/// A family with seven query heads over one key head, and with biases.
#[test]
fn qwen2() {
    splits("families/qwen2", &["--tp 7", "--pp 2", "--tp 7 --pp 2", "--dp 2"]);
}

#[test]
fn mixtral_with_cut_experts_and_with_dealt_ones() {
    splits("families/mixtral", DENSE);
    splits("families/mixtral", &["--tp 2 --ep", "--tp 4 --ep", "--tp 2 --pp 2 --ep"]);
}

/// Five experts spread over two and over four ranks.
#[test]
fn qwen3_moe_with_experts_that_do_not_divide() {
    splits("families/qwen3-moe", &["--tp 2 --ep", "--tp 4 --ep", "--tp 4"]);
    splits("families/qwen3-moe-mixed", &["--tp 2 --pp 2 --ep"]);
}

/// Norms over all heads of a token, while each rank has only some of them.
#[test]
fn olmo2() {
    splits("families/olmo2", &["--tp 2", "--tp 4 --pp 2"]);
    splits("families/olmo2-mha", &["--tp 2"]);
}

#[test]
fn the_other_families() {
    splits("families/gemma2", &["--tp 2 --pp 2"]);
    splits("families/gemma3", &["--tp 4"]);
    splits("families/phi3", &["--tp 4"]);
    splits("families/gpt-neox", &["--tp 2 --pp 2"]);
    splits("families/qwen3-tied", &["--tp 2"]);
    splits("families/mistral", &["--tp 2"]);
}

/// Adapters attached and merged, with one factor split and with both.
#[test]
fn adapters_on_several_ranks() {
    for (name, splits) in [
        ("llama-all-linear-r64", &["--tp 4", "--tp 2 --pp 2", "--dp 2"][..]),
        ("llama-mlp-r1", &["--tp 2"]),
        ("llama-dora", &["--tp 2", "--pp 3"]),
        ("llama-saved-head", &["--tp 4"]),
        ("llama-saved-norms", &["--tp 2 --pp 2"]),
        ("llama-embedding-and-head", &["--tp 2"]),
        ("llama-embedding-dora", &["--tp 4"]),
        ("llama-tied-embedding", &["--tp 2 --pp 2"]),
        ("llama-tied-saved-head", &["--tp 2 --pp 2"]),
        ("qwen2-dora", &["--tp 7"]),
        ("qwen2-biases", &["--tp 7"]),
        ("qwen2-lora-bias", &["--tp 7", "--pp 2"]),
        ("gpt2-dora-biases", &["--tp 4 --pp 2"]),
        ("gpt2-saved", &["--tp 2"]),
        ("gpt-neox-dora-biases", &["--tp 2"]),
        ("phi3-all-linear", &["--tp 4"]),
        ("mixtral-all-linear", &["--tp 2 --ep", "--tp 4", "--tp 2 --pp 2"]),
        ("mixtral-experts-apart", &["--tp 2 --ep", "--tp 2"]),
        ("qwen3-moe-experts", &["--tp 2 --ep"]),
    ] {
        let adapter = adapter(name);
        let base = base_of(&adapter);
        let source = adapter.to_str().unwrap();
        for split in splits {
            for more in ["", "--sharded-adapters", "--merge", "--merge --sharded-adapters"] {
                let mut args: Vec<&str> = split.split(' ').collect();
                args.extend(more.split_whitespace().chain(["--adapter", source]));
                let mode = if more.contains("merge") { "merged" } else { "attached" };
                check(&base, &adapter, mode, &args);
            }
        }
    }
}

/// Sizes that do not divide by the ranks (203 tokens, five layers), with random weights, compared with one rank.
#[test]
fn what_does_not_divide_is_shared_unevenly() {
    let context = TestContext::new();
    let config = context.file("config.json", include_str!("fixtures/uneven.json"));
    let model = format!("synthetic:{config}");
    let logits = |args: &[&str]| {
        let file = context.folder.path().join("logits.safetensors");
        let mut all = vec!["generate", &model, "--tokens", "5,3,9,200,202,7,1", "--json"];
        all.extend(["--max-new-tokens", "12", "--logits", file.to_str().unwrap()]);
        all.extend(args);
        let output = context.llem(&all).ok().json();
        let bytes = std::fs::read(&file).unwrap();
        (output["tokens"].clone(), floats(&SafeTensors::deserialize(&bytes).unwrap(), "logits"))
    };
    let (tokens, expected) = logits(&[]);
    for split in DENSE.iter().chain(&["--pp 5", "--tp 4 --pp 3", "--tp 6"]) {
        for device in DEVICES {
            let args = split.split(' ').chain(["--device", device]);
            let (ours, logits) = logits(&args.collect::<Vec<_>>());
            assert_eq!(ours, tokens, "{split} on {device}");
            assert_close(&logits, &expected, F32_TOLERANCE);
        }
    }
}

/// Quantised blocks are never cut: only what has enough blocks is split, by tensors or by layers.
#[test]
fn quantised_weights() {
    let logits = |file: &str, split: &str| {
        let file = fixtures().join("gguf").join(file);
        let mut args = vec!["--dtype", "f32"];
        args.extend(split.split_whitespace());
        generate_as("cpu", &file, &[1, 5, 9, 2, 40, 17], 8, &args)
    };
    for (file, splits) in [
        ("llama-q8_0.gguf", &["--tp 2", "--pp 2", "--dp 2"][..]),
        ("llama-q4_k_m.gguf", &["--pp 2"]),
        ("llama3-bf16.gguf", &["--tp 2 --pp 2"]),
    ] {
        let (alone, expected) = logits(file, "");
        for split in splits {
            let (output, ours) = logits(file, split);
            assert_eq!(output["tokens"], alone["tokens"], "{file} {split}");
            // Activations are rounded to 8 bits in blocks, so a sum in another order may round differently.
            assert_close(&ours, &expected, 2e-3);
        }
    }
    let context = TestContext::new();
    let file = fixtures().join("gguf/llama-q4_k_m.gguf");
    let args = ["generate", file.to_str().unwrap(), "--tokens", "1", "--tp", "2"];
    context.llem(&args).refused(2, &["--tp 2", "blocks of 256", "use --tp 1"]);
}

/// The bytes that a batch reports as reserved are those of all ranks, with padding: heads of 9 have wider rows.
#[test]
fn kv_memory_is_counted_on_all_ranks() {
    let source = fixtures().join("families/gpt2-odd").to_str().unwrap().to_owned();
    let reserved = |split: Split| {
        let options = LoadOptions { split, ..LoadOptions::new(source.parse().unwrap()) };
        let mut model = Model::load(&options).unwrap();
        let sequences =
            BatchOptions { max_sequences: 2, max_tokens: Some(30), ..Default::default() };
        Batch::open(&mut model, sequences).unwrap().status().kv_bytes
    };
    let alone = reserved(Split::default());
    assert!(alone > 2 * 2 * 4 * 9 * 4 * 2 * 30, "{alone}");
    for split in
        [Split::new(2, 1, 1), Split::new(4, 1, 1), Split::new(2, 2, 1), Split::new(1, 1, 2)]
    {
        assert_eq!(reserved(split), alone, "{split}");
    }
}
