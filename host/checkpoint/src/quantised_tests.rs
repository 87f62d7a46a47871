#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::{
    changed_folders::{self, Tensor, write},
    checkpoint::tests::{copied, open, refused},
};
use safetensors::Dtype;
use serde_json::{Value, json};
use std::{fs, path::Path};

fn configure(folder: &Path, fields: &Value) {
    let path = folder.join("config.json");
    let mut config: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    fs::write(path, config.to_string()).unwrap();
}

const INSTEAD: &str = "use the unquantised original";

/// Uses the `quantization_config` that transformers 5 saves for each of its methods, and those of MLX and ModelOpt.
#[test]
fn a_config_names_the_method() {
    for (fields, words) in [
        (
            json!({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": true, "load_in_8bit": false, "bnb_4bit_quant_type": "nf4"}}),
            "bitsandbytes, 4 bits (nf4)",
        ),
        (
            json!({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": true}}),
            "bitsandbytes, 4 bits (fp4)",
        ),
        (
            json!({"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": true}}),
            "bitsandbytes, 8 bits",
        ),
        (json!({"quantization_config": {"load_in_8bit": true}}), "bitsandbytes, 8 bits"),
        (
            json!({"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": true}}),
            "GPTQ, 4 bits",
        ),
        (
            json!({"quantization_config": {"bits": 4, "group_size": 128, "desc_act": true}}),
            "GPTQ, 4 bits",
        ),
        (
            json!({"quantization_config": {"quant_method": "awq", "bits": 4, "version": "gemm"}}),
            "AWQ, 4 bits",
        ),
        (
            json!({"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}),
            "FP8",
        ),
        (
            json!({"quantization_config": {"quant_method": "fbgemm_fp8", "modules_to_not_convert": ["lm_head"]}}),
            "FP8 (FBGEMM)",
        ),
        (
            json!({"quantization_config": {"quant_method": "compressed-tensors", "format": "pack-quantized", "ignore": ["lm_head"]}}),
            "compressed-tensors",
        ),
        (
            json!({"compression_config": {"quant_method": "compressed-tensors"}}),
            "compressed-tensors",
        ),
        (json!({"quantization_config": {"quant_method": "hqq"}}), "HQQ"),
        (json!({"quantization_config": {"quant_method": "quanto", "weights": "int8"}}), "Quanto"),
        (json!({"quantization_config": {"quant_method": "torchao", "quant_type": {}}}), "torchao"),
        (json!({"quantization_config": {"quant_method": "eetq"}}), "EETQ"),
        (json!({"quantization_config": {"quant_method": "aqlm"}}), "AQLM"),
        (json!({"quantization_config": {"quant_method": "spqr", "bits": 3}}), "SpQR, 3 bits"),
        (json!({"quantization_config": {"quant_method": "vptq"}}), "VPTQ"),
        (json!({"quantization_config": {"quant_method": "higgs"}}), "HIGGS"),
        (json!({"quantization_config": {"quant_method": "bitnet"}}), "BitNet"),
        (json!({"quantization_config": {"quant_method": "mxfp4"}}), "MXFP4"),
        (json!({"quantization_config": {"quant_method": "quark"}}), "AMD Quark"),
        (
            json!({"quantization_config": {"quant_method": "auto-round", "bits": 2}}),
            "AutoRound, 2 bits",
        ),
        (
            json!({"quantization_config": {"quant_method": "modelopt", "quant_algo": "FP8"}}),
            "NVIDIA ModelOpt",
        ),
        (json!({"quantization_config": {"quant_algo": "NVFP4"}}), "NVIDIA ModelOpt"),
        (json!({"quantization_config": {"quant_method": "of-tomorrow"}}), "of-tomorrow"),
        (
            json!({"quantization": {"group_size": 64, "bits": 4}, "quantization_config": {"group_size": 64, "bits": 4}}),
            "MLX, 4 bits",
        ),
    ] {
        let copy = copied("families/qwen3");
        configure(copy.path(), &fields);
        refused(copy.path(), &["config.json", &format!("quantised by {words},"), INSTEAD]);
    }
}

#[test]
fn a_config_that_quantises_nothing_passes() {
    for told in [
        Value::Null,
        json!({}),
        json!({"quant_method": "bitsandbytes", "load_in_8bit": true, "llm_int8_skip_modules": ["model", "lm_head"]}),
        json!({"quant_method": "compressed-tensors", "ignore": ["re:.*"]}),
        json!({"quant_method": "fp8", "modules_to_not_convert": ["q_proj", "k_proj", "v_proj", "o_proj", "mlp.gate_proj", "up_proj", "down_proj"]}),
    ] {
        let copy = copied("families/qwen3");
        configure(copy.path(), &json!({ "quantization_config": told }));
        open(copy.path()).unwrap_or_else(|error| panic!("{told}: {error}"));
    }
    // This config leaves one kind of matrix product that is quantised.
    let copy = copied("families/qwen3");
    configure(
        copy.path(),
        &json!({"quantization_config": {"quant_method": "fp8", "modules_to_not_convert": ["self_attn", "up_proj", "down_proj"]}}),
    );
    refused(copy.path(), &["quantised by FP8"]);
}

/// Uses folders whose config.json does not name the method, as AutoGPTQ, AutoAWQ and others write them.
#[test]
fn tensors_names_tell_the_method() {
    let module = "model.layers.0.self_attn.q_proj";
    for (endings, words) in [
        (&[".qweight", ".qzeros", ".scales", ".g_idx"][..], "GPTQ"),
        (&[".qweight", ".qzeros", ".scales"], "GPTQ or AWQ"),
        (
            &[
                ".weight",
                ".weight.absmax",
                ".weight.quant_map",
                ".weight.quant_state.bitsandbytes__nf4",
            ],
            "bitsandbytes, 4 bits (nf4)",
        ),
        (&[".weight", ".weight.absmax", ".weight.quant_map"], "bitsandbytes, 4 bits"),
        (&[".weight", ".SCB"], "bitsandbytes, 8 bits"),
        (&[".weight", ".weight_scale_inv"], "FP8"),
        (&[".weight", ".weight_scale"], "FP8 or INT8"),
        (&[".weight_packed", ".weight_scale", ".weight_shape"], "compressed-tensors"),
        (&[".weight", ".weight_scale", ".weight_scale_2"], "NVIDIA ModelOpt"),
        (&[".W_q", ".scale", ".zero"], "HQQ"),
        (&[".weight._data", ".weight._scale"], "Quanto"),
        (&[".codes", ".codebooks", ".scales"], "AQLM"),
        (&[".weight", ".scales", ".biases"], "MLX"),
    ] {
        let copy = copied("families/qwen3");
        let path = copy.path().join("model.safetensors");
        let mut tensors = changed_folders::read(&path);
        tensors.remove(&format!("{module}.weight"));
        for ending in endings {
            tensors.insert(format!("{module}{ending}"), Tensor::full(Dtype::U8, &[8], 1.0));
        }
        write(&tensors, &path);
        refused(copy.path(), &[&format!("quantised by {words},"), INSTEAD]);
    }
}

#[test]
fn the_unquantised_original_is_named_where_it_is_known() {
    let quantised = json!({"quantization_config": {"quant_method": "awq"}});
    let copy = copied("families/qwen3");
    configure(copy.path(), &quantised);
    configure(copy.path(), &json!({ "_name_or_path": "Qwen/Qwen3-0.6B" }));
    refused(copy.path(), &["original (Qwen/Qwen3-0.6B), a GGUF file"]);
    for card in [
        "---\nlicense: mit\nbase_model: org/other\n---\n",
        "---\nbase_model:\n- org/other\nlicense: mit\n---\n# Hi",
    ] {
        fs::write(copy.path().join("README.md"), card).unwrap();
        refused(copy.path(), &["original (org/other), a GGUF file"]);
    }
    for own in ["/home/me/model", "../model"] {
        let copy = copied("families/qwen3");
        configure(copy.path(), &quantised);
        configure(copy.path(), &json!({ "_name_or_path": own }));
        refused(copy.path(), &["original, a GGUF file"]);
    }
}
