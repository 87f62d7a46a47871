//! Every model family against transformers, on folders that `fixtures/make-families` made with it.

use crate::parity::{assert_close, generate_as};
use crate::support::{DEVICES, fixtures};

/// Compares greedy tokens step by step through the KV cache, then the logits of the same positions run as one prompt.
fn check(model: &str) {
    for device in DEVICES {
        check_on(device, model);
    }
}

fn check_on(device: &str, model: &str) {
    let folder = fixtures().join("families").join(model);
    let expected = std::fs::read(folder.join("expected.safetensors")).unwrap();
    let expected = safetensors::SafeTensors::deserialize(&expected).unwrap();
    for prompt in ["", "_one"] {
        let ids = |name: &str| crate::parity::ids(&expected, &format!("{name}{prompt}"));
        let logits = crate::parity::floats(&expected, &format!("logits{prompt}"));
        let (prompt, tokens) = (ids("prompt"), ids("tokens"));
        let generate = |prompt: &[i64], count| {
            generate_as(device, &folder, prompt, count, &["--dtype", "f32"])
        };
        let (output, ours) = generate(&prompt, tokens.len());
        assert_eq!(output["tokens"], serde_json::json!(tokens), "{model} on {device}");
        assert_close(&ours, &logits, crate::parity::F32_TOLERANCE);
        let all = [&prompt[..], &tokens[..tokens.len() - 1]].concat();
        let (_, ours) = generate(&all, 1);
        assert_close(&ours, &logits, crate::parity::F32_TOLERANCE);
    }
}

for_each_folder! {
    "families", check;
    mistral_with_a_window: "mistral",
    mistral_without_a_window: "mistral-no-window",
    qwen2_with_seven_query_heads_a_key: "qwen2",
    qwen2_with_windows_in_upper_layers: "qwen2-tied",
    qwen3_with_seven_query_heads_a_key: "qwen3",
    qwen3_without_grouping: "qwen3-tied",
    gemma2_with_soft_caps: "gemma2",
    gemma3_with_two_rotary_bases: "gemma3",
    gemma3_with_linear_scaling: "gemma3-linear",
    phi3_with_a_window: "phi3",
    phi3_with_a_partial_rotary_embedding: "phi3-partial",
    gpt2_tied: "gpt2",
    gpt2_untied_with_exact_gelu: "gpt2-untied",
    gpt_neox_in_parallel: "gpt-neox",
    gpt_neox_in_series: "gpt-neox-serial",
    olmo2_grouped: "olmo2",
    olmo2_without_grouping: "olmo2-mha",
    mixtral: "mixtral",
    qwen3_moe: "qwen3-moe",
    qwen3_moe_with_a_dense_layer: "qwen3-moe-mixed",
    gpt2_with_heads_of_nine: "gpt2-odd",
    gemma2_untied: "gemma2-untied",
    gpt_neox_tied: "gpt-neox-tied",
    mixtral_tied_with_a_window_and_one_expert_a_token: "mixtral-tied",
    qwen3_moe_tied: "qwen3-moe-tied",
    llama_with_yarn: "llama-yarn",
}
