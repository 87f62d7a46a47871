//! LoRA adapters against PEFT, on folders that `fixtures/make-adapters` made with it.

use crate::{
    parity::{F32_TOLERANCE, assert_close, floats, generate_as, ids},
    support::{DEVICES, TestContext, fixtures, guest, of_kind},
};
use llem_engine::{AdapterSource, Control, DType, LoadOptions, Model, Prompt, Request};
use safetensors::SafeTensors;
use serde_json::Value;
use std::path::{Path, PathBuf};

pub fn adapter(name: &str) -> PathBuf {
    fixtures().join("adapters").join(name)
}

/// The folder of the model that an adapter was made for.
pub fn base_of(adapter: &Path) -> PathBuf {
    let text = std::fs::read(adapter.join("provenance.json")).unwrap();
    let provenance: Value = serde_json::from_slice(&text).unwrap();
    fixtures().join(provenance["base"].as_str().unwrap())
}

/// Compares an adapter with PEFT, attached and merged: first its tokens step by step through the KV cache, then the logits of
/// the same positions run as one prompt.
fn check(name: &str) {
    let adapter = adapter(name);
    let base = base_of(&adapter);
    let bytes = std::fs::read(adapter.join("expected.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    let (prompt, tokens) = (ids(&expected, "prompt"), ids(&expected, "tokens"));
    let all = [&prompt[..], &tokens[..tokens.len() - 1]].concat();
    let source = adapter.to_str().unwrap();
    for device in DEVICES {
        for mode in ["attached", "merged"] {
            let theirs = floats(&expected, mode);
            let mut args = vec!["--adapter", source, "--dtype", "f32"];
            args.extend((mode == "merged").then_some("--merge"));
            let (output, ours) = generate_as(device, &base, &prompt, tokens.len(), &args);
            assert_eq!(output["tokens"], serde_json::json!(tokens), "{name} {mode} on {device}");
            assert_eq!(output["adapter"]["mode"], mode);
            assert_close(&ours, &theirs, F32_TOLERANCE);
            let (_, ours) = generate_as(device, &base, &all, 1, &args);
            assert_close(&ours, &theirs, F32_TOLERANCE);
            if adds_by_factors(&adapter) {
                check_flops(&output["adapter"], &expected, all.len());
            }
        }
    }
}

/// Returns true if PEFT multiplied with A, then with B, rather than with their product.
fn adds_by_factors(adapter: &Path) -> bool {
    let name = adapter.file_name().unwrap().to_str().unwrap();
    !["dora", "experts", "mixtral-all-linear"].iter().any(|part| name.contains(part))
}

/// Returns the FLOPs that torch counts for all positions in one pass, with logits for each.
fn check_flops(adapter: &Value, expected: &SafeTensors<'_>, positions: usize) {
    let each =
        ["flops_per_token", "flops_per_logits"].map(|field| adapter[field].as_f64().unwrap());
    let theirs = ids(expected, "adapter_flops")[0] as f64;
    assert_eq!((each[0] + each[1]) * positions as f64, theirs);
}

for_each_folder! {
    "adapters", check;
    attention_only_of_rank_8: "llama-attention-r8",
    mlp_only_of_rank_1: "llama-mlp-r1",
    all_linear_of_rank_64: "llama-all-linear-r64",
    rank_stabilised: "llama-rslora",
    dora: "llama-dora",
    rank_and_alpha_patterns: "llama-rank-pattern",
    some_layers: "llama-some-layers",
    a_regular_expression_with_exclusions: "llama-regex",
    a_saved_head_and_embedding: "llama-saved-head",
    saved_norms_and_a_saved_projection: "llama-saved-norms",
    factors_of_embedding_and_head: "llama-embedding-and-head",
    dora_of_embedding_and_head: "llama-embedding-dora",
    factors_of_an_embedding_that_is_also_the_head: "llama-tied-embedding",
    a_saved_head_where_the_embedding_is_the_head: "llama-tied-saved-head",
    qwen2_attention: "qwen2-attention-r8",
    trained_biases: "qwen2-biases",
    biases_of_the_factors: "qwen2-lora-bias",
    dora_beside_biases: "qwen2-dora",
    gpt2_with_transposed_weights: "gpt2-all-linear",
    gpt2_dora_with_trained_biases: "gpt2-dora-biases",
    gpt2_saved_modules: "gpt2-saved",
    rows_in_another_order: "gpt-neox-all-linear",
    dora_and_biases_in_another_order: "gpt-neox-dora-biases",
    gemma3_norms_with_one_added: "gemma3-saved-norms",
    stacked_projections: "phi3-all-linear",
    attention_beside_experts: "mixtral-attention",
    experts: "mixtral-experts",
    experts_as_transformers_4_had_them: "mixtral-experts-apart",
    experts_and_router: "mixtral-all-linear",
    qwen3_experts: "qwen3-moe-experts",
}

/// An adapter in GGUF: llama.cpp's names are translated, and its row order of Q and K is undone.
#[test]
fn an_adapter_on_a_gguf_file() {
    let gguf = fixtures().join("gguf/for-adapters.gguf");
    for name in ["llama-attention-r8", "llama-dora", "llama-saved-norms", "llama-saved-head"] {
        let adapter = adapter(name);
        let bytes = std::fs::read(adapter.join("expected.safetensors")).unwrap();
        let expected = SafeTensors::deserialize(&bytes).unwrap();
        let (prompt, tokens) = (ids(&expected, "prompt"), ids(&expected, "tokens"));
        let args = ["--adapter", adapter.to_str().unwrap(), "--dtype", "f32"];
        let (output, ours) = generate_as("cpu", &gguf, &prompt, tokens.len(), &args);
        assert_eq!(output["tokens"], serde_json::json!(tokens), "{name}");
        assert_close(&ours, &floats(&expected, "attached"), F32_TOLERANCE);
    }
}

/// Returns the logits of a prompt for a model with the given arguments.
fn logits(model: &mut Model) -> Vec<f32> {
    let request = Request {
        prompts: vec![Prompt::Tokens((3..23).collect())],
        max_new_tokens: 3,
        ignore_eos: true,
        keep_logits: true,
        ..Request::default()
    };
    model.generate(request, &Control::default()).unwrap().completions.remove(0).logits
}

/// Compared bit by bit, without a tolerance.
#[test]
fn unmerging_restores_the_base_model_bit_by_bit() {
    let dora = adapter("llama-dora");
    let synthetic: AdapterSource = "synthetic:rank=5,alpha=50".parse().unwrap();
    let saved = adapter("llama-saved-norms");
    let tied = adapter("llama-tied-saved-head");
    for (base, dtype, source) in [
        (base_of(&dora), DType::F32, AdapterSource::Folder(dora.clone())),
        (base_of(&dora), DType::Bf16, AdapterSource::Folder(saved)),
        (base_of(&dora), DType::F16, synthetic),
        (base_of(&tied), DType::Bf16, AdapterSource::Folder(tied.clone())),
    ] {
        let source_of_base = base.to_str().unwrap().parse().unwrap();
        let options = LoadOptions { dtype: Some(dtype), ..LoadOptions::new(source_of_base) };
        let mut model = Model::load(&options).unwrap();
        let base = logits(&mut model);
        let name = model.attach(&source, None, 0).unwrap().name.clone();
        assert_eq!(logits(&mut model), base, "attached, but not used");
        model.merge(&name).unwrap();
        assert_ne!(logits(&mut model), base, "merged");
        model.unmerge(&name).unwrap();
        assert_eq!(logits(&mut model), base, "unmerged");
        model.merge(&name).unwrap();
        model.detach(&name).unwrap();
        assert_eq!(logits(&mut model), base, "detached");
        assert_eq!(model.adapters().count(), 0);
    }
}

/// The guest runs eight adapters and the base weights in one batch, static and continuous, merges and detaches them, and tries
/// the defaults and every refusal.
#[test]
fn each_prompt_gives_what_it_gives_alone() {
    let mixture = fixtures().join("families/qwen3-moe");
    for device in DEVICES {
        for model in ["synthetic:tiny", mixture.to_str().unwrap()] {
            let adapters = guest("adapters");
            let args = ["exec", &adapters, "--device", device, "--dtype", "f32", "--model", model];
            TestContext::new().llem(&args).ok();
        }
    }
}

/// The model runs with a granted adapter, and the record says so.
#[test]
fn the_record_names_adapter_digest_rank_and_mode() {
    let adapter = adapter("llama-rank-pattern");
    let base = base_of(&adapter);
    let named = format!("mine={}", adapter.to_str().unwrap());
    let digests = [false, true].map(|merge| {
        let context = TestContext::new();
        let throughput = guest("throughput");
        let mut args = vec!["exec", &throughput, "--model", base.to_str().unwrap()];
        args.extend(["--adapter", &named, "-p", "batch=1,3", "-p", "prompt-tokens=9"]);
        args.extend(["-p", "new-tokens=4", "-p", "rounds=1"]);
        args.extend(merge.then_some("--merge"));
        context.llem(&args).ok();
        let record = context.record();
        let attached = &record["adapters"][0];
        assert_eq!(attached["name"], "mine");
        assert_eq!(attached["change"], "attached");
        assert_eq!(attached["rank"], 12);
        assert_eq!(attached["modules"], 3 * 7);
        assert_eq!(attached["base_model"], "llama/untied-llama3");
        assert!(attached["digest"].as_str().unwrap().starts_with("blake3:"));
        assert_eq!(record["grants"]["adapters"][0], adapter.to_str().unwrap());
        let phases: Vec<&str> = record["phases"]
            .as_array()
            .unwrap()
            .iter()
            .map(|phase| phase["phase"].as_str().unwrap())
            .collect();
        assert_eq!(phases.contains(&"merge"), merge, "{phases:?}");
        let mode = if merge { "merged" } else { "attached" };
        let events = context.events();
        for generation in of_kind(&events, "generation") {
            for sequence in generation["sequences"].as_array().unwrap() {
                assert_eq!(sequence["adapter"], serde_json::json!({"name": "mine", "mode": mode}));
            }
        }
        assert_eq!(record["groups"][0]["adapters"][0]["mode"], mode);
        let flops = record["groups"][0]["activity"]["flops_estimated"]["total"].as_f64().unwrap();
        (attached["digest"].clone(), flops)
    });
    assert_eq!(digests[0].0, digests[1].0);
    assert!(digests[0].1 > digests[1].1, "an unmerged adapter costs operations");
}
