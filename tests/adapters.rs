//! LoRA adapters against PEFT, on folders that `fixtures/make-adapters` made with it.

use crate::{
    parity::{F32_TOLERANCE, assert_close, floats, generate_as, ids},
    support::fixtures,
};
use std::path::{Path, PathBuf};

fn adapter(name: &str) -> PathBuf {
    fixtures().join("adapters").join(name)
}

/// The folder of the model that an adapter was made for.
fn base_of(adapter: &Path) -> PathBuf {
    let text = std::fs::read(adapter.join("provenance.json")).unwrap();
    let provenance: serde_json::Value = serde_json::from_slice(&text).unwrap();
    fixtures().join(provenance["base"].as_str().unwrap())
}

/// Attached and merged, by the CPU's kernels and by the tensor operations that GPUs run: the tokens step by
/// step through the KV cache, then the same positions as one prompt.
fn check(name: &str) {
    let adapter = adapter(name);
    let base = base_of(&adapter);
    let bytes = std::fs::read(adapter.join("expected.safetensors")).unwrap();
    let expected = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let (prompt, tokens) = (ids(&expected, "prompt"), ids(&expected, "tokens"));
    let all = [&prompt[..], &tokens[..tokens.len() - 1]].concat();
    let source = adapter.to_str().unwrap();
    for kernels in ["own", "candle"] {
        for mode in ["attached", "merged"] {
            let theirs = floats(&expected, mode);
            let mut args = vec!["--adapter", source, "--dtype", "f32"];
            args.extend((mode == "merged").then_some("--merge"));
            let (output, ours) = generate_as(kernels, &base, &prompt, tokens.len(), &args);
            assert_eq!(output["tokens"], serde_json::json!(tokens), "{name} {mode} {kernels}");
            assert_eq!(output["adapter"]["mode"], mode);
            assert_close(&ours, &theirs, F32_TOLERANCE);
            let (_, ours) = generate_as(kernels, &base, &all, 1, &args);
            assert_close(&ours, &theirs, F32_TOLERANCE);
        }
    }
}

macro_rules! adapters {
    ($($test:ident: $folder:literal,)*) => {
        $(
            #[test]
            fn $test() {
                check($folder);
            }
        )*

        /// A folder without a test would be a promise that nobody keeps.
        #[test]
        fn every_adapter_has_a_test() {
            let mut folders: Vec<String> = std::fs::read_dir(fixtures().join("adapters"))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            folders.sort();
            let mut tested = vec![$($folder.to_owned()),*];
            tested.sort();
            assert_eq!(folders, tested);
        }
    };
}

adapters! {
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
    experts_and_router: "mixtral-all-linear",
    qwen3_experts: "qwen3-moe-experts",
}
