//! Configs with other spellings, missing fields and fields of other families. The expected values come from transformers
//! (`fixtures/make-families`, `fixtures/make-llama`, `fuzz/configs`).

use crate::support::{CommandOutput, TestContext, fixtures};
use safetensors::SafeTensors;
use serde_json::{Value, json};
use std::{fs, path::PathBuf};

/// Largest difference of a logit in f32.
const TOLERANCE: f32 = 1e-3;

/// Makes a copy of a fixture's folder with fields of its config set and removed.
fn changed(context: &TestContext, fixture: &str, fields: &Value, dropped: &[&str]) -> PathBuf {
    let folder = context.folder.path().join("model");
    fs::create_dir_all(&folder).unwrap();
    for file in fs::read_dir(fixtures().join(fixture)).unwrap().flatten() {
        fs::copy(file.path(), folder.join(file.file_name())).unwrap();
    }
    let path = folder.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let config = config.as_object_mut().unwrap();
    config.extend(fields.as_object().unwrap().clone());
    for name in dropped {
        config.remove(*name);
    }
    fs::write(path, serde_json::to_vec(config).unwrap()).unwrap();
    folder
}

fn generate(fixture: &str, fields: &Value, dropped: &[&str]) -> CommandOutput {
    let context = TestContext::new();
    let folder = changed(&context, fixture, fields, dropped);
    let args =
        ["generate", folder.to_str().unwrap(), "--tokens", "1,2,3", "--ignore-eos", "--json"];
    context.llem(&[&args[..], &["--max-new-tokens", "8"]].concat())
}

#[track_caller]
fn gives(fixture: &str, fields: Value, dropped: &[&str], tokens: [u32; 8]) {
    assert_eq!(
        generate(fixture, &fields, dropped).ok().json()["tokens"],
        json!(tokens),
        "{fields}"
    );
}

#[test]
fn both_spellings_of_a_rotary_embedding() {
    gives(
        "llama/sharded-linear",
        json!({
            "rope_theta": 5000.0,
            "rope_scaling": { "factor": 2.0, "rope_type": "linear", "type": "linear" },
        }),
        &["rope_parameters"],
        [40, 133, 94, 94, 94, 94, 54, 94],
    );
    let neox = |share: f64, base: u32| {
        json!({
            "rotary_pct": share, "partial_rotary_factor": 0.25, "rotary_emb_base": base, "rope_theta": 10000,
            "rope_scaling": null,
        })
    };
    let dropped = ["rope_parameters"];
    gives("families/gpt-neox", neox(0.25, 10_000), &dropped, [25, 4, 4, 4, 4, 4, 4, 4]);
    // Where two spellings differ, the class prefers its own.
    gives("families/gpt-neox", neox(0.5, 500), &dropped, [25, 4, 4, 6, 25, 4, 4, 4]);
}

#[test]
fn a_scaling_beside_the_parameters() {
    let scaling = json!({
        "rope_scaling": { "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32 },
    });
    gives("families/qwen3", scaling, &[], [5, 88, 15, 16, 49, 30, 5, 91]);
}

#[test]
fn scores_that_are_not_scaled() {
    let unscaled = json!({ "scale_attn_weights": false });
    gives("families/gpt2", unscaled, &[], [72, 72, 72, 72, 72, 72, 4, 4]);
    let by_layer = json!({ "scale_attn_by_inverse_layer_idx": true });
    generate("families/gpt2", &by_layer, &[]).refused(2, &["scale_attn_by_inverse_layer_idx"]);
}

#[test]
fn bases_that_are_the_classs_own() {
    let local = json!({ "rope_local_base_freq": 10000.0 });
    gives("families/gemma3", local, &["rope_parameters"], [3, 21, 21, 21, 21, 35, 11, 11]);
}

#[test]
fn windows_of_a_mistral_that_names_its_layers() {
    let layers = json!({
        "layer_types": ["full_attention", "sliding_attention"], "sliding_window": 2,
    });
    gives("families/mistral", layers, &[], [71, 71, 71, 71, 88, 88, 88, 71]);
}

#[test]
fn files_without_an_architecture() {
    let tied = [169, 169, 169, 169, 79, 79, 79, 79];
    gives("llama/tied", json!({}), &["architectures"], tied);
    for names in [json!(null), json!([]), json!(["LLaMAForCausalLM"]), json!(["LlamaModel"])] {
        gives("llama/tied", json!({ "architectures": names }), &[], tied);
    }
    // The family follows from model_type, as in AutoModelForCausalLM, whatever the architecture is called.
    gives("llama/tied", json!({ "architectures": ["MistralForCausalLM"] }), &[], tied);
    gives("llama/tied", json!({}), &["model_type"], tied);
    let none = generate("llama/tied", &json!({}), &["architectures", "model_type"]);
    none.refused(2, &["config.json", "model_type"]);
    let classifier = json!({ "architectures": ["LlamaForSequenceClassification"] });
    generate("llama/tied", &classifier, &[])
        .refused(2, &["LlamaForSequenceClassification", "another head"]);
    let images = json!({ "model_type": "llava", "vision_config": {} });
    generate("llama/tied", &images, &[]).refused(2, &["llava", "images"]);
}

#[test]
fn numbers_as_python_writes_them() {
    let context = TestContext::new();
    let folder =
        changed(&context, "llama/tied", &json!({ "vocab_size": 200.0 }), &["rms_norm_eps"]);
    let path = folder.join("config.json");
    let text = fs::read_to_string(&path).unwrap();
    let odd = "{ \"attention_dropout\": NaN, \"a\": [-Infinity, \"NaN \\\"Infinity\"], ";
    let run = || {
        let folder = folder.to_str().unwrap();
        context.llem(&["generate", folder, "--tokens", "1,2,3", "--max-new-tokens", "1"])
    };
    fs::write(&path, text.replacen('{', odd, 1)).unwrap();
    run().ok();
    fs::write(
        &path,
        text.replacen('{', "{ \"rms_norm_eps\": NaN, ", 1)
            .replace("\"rms_norm_eps\":1e-6", "\"x\":1"),
    )
    .unwrap();
    run().refused(2, &["config.json", "rms_norm_eps is NaN"]);
}

/// FLOPs are counted from the shape, which needs the class's own defaults.
#[test]
fn shapes_that_leave_out_what_is_their_classs_own() {
    let flops = |config: &Value| {
        let context = TestContext::new();
        let model = format!("synthetic:{}", context.file("config.json", config.to_string()));
        // A prompt longer than Mistral's window.
        let counts = ["--prompt-tokens", "5000", "--new-tokens", "4", "--json"];
        context.llem(&[&["flops", &model][..], &counts].concat()).ok().json()["executed"].clone()
    };
    let without = |config: &Value, name: &str| {
        let mut config = config.clone();
        config.as_object_mut().unwrap().remove(name);
        config
    };
    let gemma3 = json!({
        "architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "hidden_size": 2560,
        "intermediate_size": 10240, "num_hidden_layers": 34, "num_attention_heads": 8, "num_key_value_heads": 4,
        "head_dim": 256, "vocab_size": 262_208, "max_position_embeddings": 131_072, "sliding_window": 1024,
    });
    let mistral = json!({
        "architectures": ["MistralForCausalLM"], "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 96, "max_position_embeddings": 32_768,
        "sliding_window": 4096,
    });
    for (config, field) in [(gemma3, "head_dim"), (mistral, "sliding_window")] {
        assert!(flops(&config)["flops_prefill"].is_number());
        assert_eq!(flops(&config), flops(&without(&config, field)), "{field}");
    }
}

/// Fields dropped, set to null or changed by chance: llem refuses, or computes what transformers does.
#[test]
fn configs_changed_by_chance() {
    let text = fs::read(fixtures().join("config-changes.json")).unwrap();
    let fixture: Value = serde_json::from_slice(&text).unwrap();
    let (mut same, mut wrong) = (0, Vec::new());
    for case in fixture["cases"].as_array().unwrap() {
        let [model, fields, dropped, prompt, logits] = case.as_array().unwrap().as_slice() else {
            panic!("{case}");
        };
        let context = TestContext::new();
        let dropped = dropped.as_array().unwrap();
        let dropped: Vec<&str> = dropped.iter().filter_map(Value::as_str).collect();
        let folder = changed(&context, model.as_str().unwrap(), fields, &dropped);
        let prompt: Vec<String> = prompt.as_array().unwrap().iter().map(Value::to_string).collect();
        let ran = context.llem(&[
            "generate",
            folder.to_str().unwrap(),
            "--tokens",
            &prompt.join(","),
            "--max-new-tokens",
            "1",
            "--dtype",
            "f32",
            "--ignore-eos",
            "--logits",
            "logits.safetensors",
        ]);
        let said = format!("{model} {fields} without {dropped:?}: {:?} {}", ran.code, ran.stderr);
        let Ok(theirs) = serde_json::from_value::<Vec<f32>>(logits.clone()) else {
            if ![Some(0), Some(2)].contains(&ran.code) {
                wrong.push(said);
            }
            continue;
        };
        match ran.code {
            Some(2) => {}
            Some(0) => {
                let ours = last_logits(&context, theirs.len());
                let is_close = |(ours, theirs): (&f32, &f32)| (ours - theirs).abs() <= TOLERANCE;
                match ours.iter().zip(&theirs).all(is_close) {
                    true => same += 1,
                    false => wrong.push(format!("{said}: {ours:?}, not {theirs:?}")),
                }
            }
            _ => wrong.push(said),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(same > 150, "only {same} ran");
}

/// Returns the first logits of the last position.
fn last_logits(context: &TestContext, count: usize) -> Vec<f32> {
    let bytes = fs::read(context.folder.path().join("logits.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let logits = tensors.tensor("logits").unwrap();
    let vocab = logits.shape()[1];
    let all = crate::parity::floats(&tensors, "logits");
    all[all.len() - vocab..][..count].to_vec()
}
