//! Model files that are damaged or contradict each other are refused with one sentence and exit code 2.

use crate::support::{TestContext, fixtures};
use std::{fs, path::PathBuf};

/// Copies a fixture's folder, to be changed.
fn copied(context: &TestContext, fixture: &str) -> PathBuf {
    let folder = context.folder.path().join("model");
    fs::create_dir(&folder).unwrap();
    for file in fs::read_dir(fixtures().join(fixture)).unwrap().flatten() {
        fs::copy(file.path(), folder.join(file.file_name())).unwrap();
    }
    folder
}

/// An index may not name files outside the model's folder.
#[test]
fn an_index_that_names_files_elsewhere() {
    let context = TestContext::new();
    let folder = copied(&context, "llama/sharded-linear");
    for file in fs::read_dir(&folder).unwrap().flatten() {
        // The named files exist, so that only the check of names can refuse them.
        fs::copy(file.path(), context.folder.path().join(file.file_name())).unwrap();
    }
    let index = folder.join("model.safetensors.index.json");
    let text = fs::read_to_string(&index).unwrap();
    let shard = text.split('"').find(|name| name.ends_with(".safetensors")).unwrap().to_owned();
    let outside = context.folder.path().join(&shard).to_str().unwrap().to_owned();
    let run = || {
        context.llem(&[
            "generate",
            folder.to_str().unwrap(),
            "--tokens",
            "5",
            "--max-new-tokens",
            "1",
        ])
    };
    run().ok();
    let named = [
        format!("../{shard}"),
        format!("x/../../{shard}"),
        outside,
        format!("..\\\\{shard}"),
        String::new(),
    ];
    for name in named {
        fs::write(&index, text.replace(&format!("\"{shard}\""), &format!("\"{name}\""))).unwrap();
        run().refused(2, &["model.safetensors.index.json", "not in its own folder"]);
    }
}

/// In transformers, GPT-NeoX and GPT-2 have as many key and value heads as query heads, whatever a config says. Only GPT-NeoX's
/// rotary embedding reads a head's width, and llem refuses one that is not hidden / heads.
#[test]
fn head_counts_that_a_family_does_not_read() {
    for (family, head_dim) in [("gpt-neox", 8), ("gpt2", 6)] {
        let context = TestContext::new();
        let folder = copied(&context, &format!("families/{family}"));
        let tokens = || {
            let args = ["generate", folder.to_str().unwrap(), "--tokens", "5,6,7", "--json"];
            context.llem(&args).ok().json()["tokens"].clone()
        };
        let expected = tokens();
        let path = folder.join("config.json");
        let text = fs::read_to_string(&path).unwrap();
        for more in [
            serde_json::json!({ "num_key_value_heads": 1 }),
            serde_json::json!({ "num_key_value_heads": 2, "head_dim": head_dim }),
            serde_json::json!({ "num_key_value_heads": 3 }),
            serde_json::json!({ "num_key_value_heads": 0 }),
        ] {
            let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
            config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            fs::write(&path, config.to_string()).unwrap();
            assert_eq!(tokens(), expected, "{family}, {more}");
        }
    }
}

/// A rotary embedding of more dimensions than a head has is refused.
#[test]
fn a_rotary_embedding_of_more_than_a_head() {
    for share in ["1.5", "2.0", "-1.0", "1e300"] {
        let context = TestContext::new();
        let folder = copied(&context, "families/gpt-neox");
        let path = folder.join("config.json");
        let text = fs::read_to_string(&path).unwrap();
        let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
        let share: serde_json::Value = serde_json::from_str(share).unwrap();
        let config = config.as_object_mut().unwrap();
        config.remove("rope_parameters");
        config.insert("rotary_pct".to_owned(), share);
        config.remove("partial_rotary_factor");
        fs::write(&path, serde_json::to_string(config).unwrap()).unwrap();
        let args = ["generate", folder.to_str().unwrap(), "--tokens", "5", "--max-new-tokens", "1"];
        context.llem(&args).refused(2, &["partial_rotary_factor"]);
    }
}

#[test]
fn an_empty_stop_string() {
    let args = ["generate", "synthetic:tiny", "hello", "--stop", "x", "--stop", ""];
    TestContext::new().llem(&args).refused(2, &["stop string 1", "empty"]);
}

/// Sets fields of a config, and generates with the model.
fn configured(fixture: &str, fields: &serde_json::Value) -> crate::support::CommandOutput {
    let context = TestContext::new();
    let folder = copied(&context, fixture);
    let path = folder.join("config.json");
    let text = fs::read_to_string(&path).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
    config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    fs::write(&path, config.to_string()).unwrap();
    let args = ["generate", folder.to_str().unwrap(), "--tokens", "5", "--max-new-tokens", "1"];
    context.llem(&args)
}

/// Numbers that would set the size of an allocation or a loop, or that leave nothing to compute, are refused.
#[test]
fn numbers_of_a_config_that_no_model_has() {
    use serde_json::json;
    let rope = |fields: serde_json::Value| json!({ "rope_parameters": fields });
    for (fixture, field, fields) in [
        ("llama/tied", "num_hidden_layers", json!({ "num_hidden_layers": 1_000_000_000_000u64 })),
        ("llama/tied", "num_hidden_layers", json!({ "num_hidden_layers": 1e12 })),
        ("llama/tied", "num_hidden_layers", json!({ "num_hidden_layers": -1 })),
        ("llama/tied", "head_dim", json!({ "head_dim": 0 })),
        ("llama/tied", "head_dim", json!({ "head_dim": 1u64 << 63 })),
        ("llama/tied", "num_attention_heads", json!({ "num_attention_heads": 7 })),
        ("llama/tied", "num_attention_heads", json!({ "num_attention_heads": u64::MAX })),
        ("llama/tied", "hidden_size", json!({ "hidden_size": u64::MAX })),
        ("llama/tied", "vocab_size", json!({ "vocab_size": 1u64 << 40 })),
        ("llama/tied", "max_position_embeddings", json!({ "max_position_embeddings": u64::MAX })),
        ("llama/tied", "rms_norm_eps", json!({ "rms_norm_eps": 1e300 })),
        ("llama/tied", "eos_token_id", json!({ "eos_token_id": -1 })),
        ("llama/tied", "eos_token_id", json!({ "eos_token_id": 1u64 << 32 })),
        ("families/mistral", "sliding_window", json!({ "sliding_window": 0 })),
        ("families/mixtral", "num_experts_per_tok", json!({ "num_experts_per_tok": 0 })),
        ("families/mixtral", "num_experts_per_tok", json!({ "num_experts_per_tok": 99 })),
        ("families/mixtral", "num_local_experts", json!({ "num_local_experts": 1u64 << 40 })),
        ("families/gemma2", "query_pre_attn_scalar", json!({ "query_pre_attn_scalar": 0 })),
        ("families/gemma2", "attn_logit_softcapping", json!({ "attn_logit_softcapping": 1e300 })),
        ("llama/tied", "factor", rope(json!({ "rope_type": "linear", "factor": 0 }))),
        ("llama/tied", "rope_theta", rope(json!({ "rope_type": "default", "rope_theta": -1 }))),
        (
            "llama/tied",
            "low_freq_factor",
            rope(json!({
                "rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4,
            })),
        ),
        (
            "llama/tied",
            "rope_theta",
            rope(json!({ "rope_type": "yarn", "factor": 8, "rope_theta": 1 })),
        ),
    ] {
        let ran = configured(fixture, &fields);
        println!("{fields}: {}", ran.stderr);
        ran.refused(2, &["config.json", field]);
    }
}

/// Replaces a four-byte value in a GGUF file's metadata.
fn with_entry(name: &str, key: &str, kind: u32, value: [u8; 4]) -> (TestContext, String) {
    let mut bytes = fs::read(fixtures().join("gguf").join(name)).unwrap();
    // A key is stored as its length and its bytes.
    let entry = [&(key.len() as u64).to_le_bytes(), key.as_bytes()].concat();
    let at = bytes.windows(entry.len()).position(|part| part == entry).unwrap() + entry.len();
    bytes[at..at + 4].copy_from_slice(&kind.to_le_bytes());
    bytes[at + 4..at + 8].copy_from_slice(&value);
    let context = TestContext::new();
    let file = context.file("model.gguf", bytes);
    (context, file)
}

#[test]
fn numbers_of_a_gguf_file_that_no_model_has() {
    const U32: u32 = 4;
    const I32: u32 = 5;
    const F32: u32 = 6;
    let most = u32::MAX.to_le_bytes();
    for (name, key, kind, value) in [
        ("llama-q8_0.gguf", "llama.block_count", U32, most),
        ("llama-q8_0.gguf", "llama.block_count", U32, [0; 4]),
        ("llama-q8_0.gguf", "llama.block_count", I32, most),
        ("llama-q8_0.gguf", "llama.block_count", F32, 2.5f32.to_le_bytes()),
        ("llama-q8_0.gguf", "llama.embedding_length", U32, most),
        ("llama-q8_0.gguf", "llama.attention.head_count", U32, [0; 4]),
        ("llama-q8_0.gguf", "llama.context_length", I32, most),
        ("llama-q8_0.gguf", "llama.rope.freq_base", F32, f32::NAN.to_le_bytes()),
        ("mixtral-f32.gguf", "llama.expert_count", U32, most),
    ] {
        let (context, file) = with_entry(name, key, kind, value);
        let args = ["generate", &file, "--tokens", "5", "--max-new-tokens", "1"];
        context.llem(&args).refused(2, &["model.gguf", key]);
    }
}

/// JSON that is nested deeper than a parser's stack, and a JSON file of a terabyte, are refused.
#[test]
fn texts_that_are_none() {
    for (name, fixture) in [
        ("config.json", "llama/tied"),
        ("generation_config.json", "llama/tied"),
        ("model.safetensors.index.json", "llama/sharded-linear"),
    ] {
        let context = TestContext::new();
        let folder = copied(&context, fixture);
        let file = folder.join(name);
        let run = || {
            let folder = folder.to_str().unwrap();
            context.llem(&["generate", folder, "--tokens", "5", "--max-new-tokens", "1"])
        };
        for deep in ["[", "{\"a\":"] {
            fs::write(&file, deep.repeat(1_000_000)).unwrap();
            run().refused(2, &[name]);
        }
        let sparse = fs::File::create(&file).unwrap();
        sparse.set_len(1 << 40).unwrap();
        run().refused(2, &[name, "more than any such file"]);
    }
}
