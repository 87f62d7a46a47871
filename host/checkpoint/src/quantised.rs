//! Checkpoints whose weights are quantised, which are not read: by config.json, or by the names of their tensors.

use crate::{
    Error, Result,
    families::Shape,
    safetensors_files::{SafetensorsFiles, layer_products},
    source::hub_id,
};
use serde_json::Value;
use std::{fs, path::Path};

/// Methods by the names that `quant_method` has for them (transformers' `QuantizationMethod`, and ModelOpt's), and how
/// people call them.
const METHODS: [(&str, &str); 29] = [
    ("bitsandbytes", "bitsandbytes"),
    ("bitsandbytes_4bit", "bitsandbytes, 4 bits"),
    ("bitsandbytes_8bit", "bitsandbytes, 8 bits"),
    ("gptq", "GPTQ"),
    ("awq", "AWQ"),
    ("auto-round", "AutoRound"),
    ("auto_round", "AutoRound"),
    ("intel/auto-round", "AutoRound"),
    ("compressed-tensors", "compressed-tensors"),
    ("fp8", "FP8"),
    ("fbgemm_fp8", "FP8 (FBGEMM)"),
    ("mxfp8", "MXFP8"),
    ("mxfp4", "MXFP4"),
    ("nvfp4", "NVFP4"),
    ("modelopt", "NVIDIA ModelOpt"),
    ("hqq", "HQQ"),
    ("quanto", "Quanto"),
    ("torchao", "torchao"),
    ("eetq", "EETQ"),
    ("aqlm", "AQLM"),
    ("spqr", "SpQR"),
    ("vptq", "VPTQ"),
    ("higgs", "HIGGS"),
    ("quip", "QuIP#"),
    ("bitnet", "BitNet"),
    ("quark", "AMD Quark"),
    ("fp_quant", "FP-Quant"),
    ("sinq", "SINQ"),
    ("fouroversix", "Four over Six"),
];

/// Parts of tensors' names that only a method's own files have, in the order in which they are looked for.
const MARKS: [(&str, &str); 22] = [
    (".quant_state.bitsandbytes__nf4", "bitsandbytes, 4 bits (nf4)"),
    (".quant_state.bitsandbytes__fp4", "bitsandbytes, 4 bits (fp4)"),
    (".absmax", "bitsandbytes, 4 bits"),
    (".SCB", "bitsandbytes, 8 bits"),
    (".g_idx", "GPTQ"),
    (".qweight", "GPTQ or AWQ"),
    (".weight_packed", "compressed-tensors"),
    (".weight_scale_inv", "FP8"),
    (".weight_scale_2", "NVIDIA ModelOpt"),
    (".weight_scale", "FP8 or INT8"),
    (".input_scale", "FP8"),
    (".W_q", "HQQ"),
    (".weight._data", "Quanto"),
    (".weight._scale", "Quanto"),
    (":qdata", "torchao"),
    (".codebooks", "AQLM"),
    (".dense_weights", "SpQR"),
    (".indices", "VPTQ"),
    (".tables2", "HIGGS"),
    (".Qidxs", "QuIP#"),
    ("_blocks", "MXFP4"),
    (".biases", "MLX"),
];

/// Refuses a checkpoint that is quantised, by its config.json or by the names of its tensors.
///
/// # Errors
/// It is; the sentence names the method and what to use instead.
pub fn refuse(path: &Path, config: &Value, files: &SafetensorsFiles, shape: &Shape) -> Result<()> {
    let Some(method) = of_config(config, shape).or_else(|| of_names(files)) else { return Ok(()) };
    let folder = files.folder();
    let original = original(folder, config).map_or_else(String::new, |name| format!(" ({name})"));
    Err(Error::file(
        path,
        format!(
            "its weights are quantised by {method}, which this version does not read: use the unquantised \
             original{original}, a GGUF file of it, or weights that transformers has dequantised (from_pretrained, \
             dequantize(), save_pretrained)"
        ),
    ))
}

/// The method that a `config.json` names.
fn of_config(config: &Value, shape: &Shape) -> Option<String> {
    // compressed-tensors had a field of its own, and MLX has one.
    let fields = ["quantization_config", "compression_config", "quantization"];
    let told = fields.iter().find_map(|field| config[*field].as_object())?;
    if excludes_all(told, shape) {
        return None;
    }
    if is_bitsandbytes(told) {
        return Some(bitsandbytes(told));
    }
    let bits = ["bits", "w_bit", "nbits"].iter().find_map(|field| told.get(*field)?.as_u64());
    let name = match told.get("quant_method").and_then(Value::as_str) {
        Some(method) => {
            let known = METHODS.iter().find(|(name, _)| *name == method.to_ascii_lowercase());
            known.map_or(method, |(_, name)| *name)
        }
        None if told.contains_key("quant_algo") => "NVIDIA ModelOpt",
        None if told.contains_key("desc_act") => "GPTQ",
        // MLX names no method, but always says how many bits.
        None => bits.map(|_| "MLX")?,
    };
    Some(bits.map_or_else(|| name.to_owned(), |bits| format!("{name}, {bits} bits")))
}

/// The method whose tensors the files hold.
fn of_names(files: &SafetensorsFiles) -> Option<String> {
    let has = |mark: &str| files.names().any(|name| name.ends_with(mark));
    let found = MARKS.iter().find(|(mark, _)| has(mark));
    found.map(|(_, method)| (*method).to_owned())
}

type Fields = serde_json::Map<String, Value>;

fn is_bitsandbytes(told: &Fields) -> bool {
    told.get("quant_method")
        .and_then(Value::as_str)
        .is_some_and(|method| method.starts_with("bitsandbytes"))
        || ["load_in_4bit", "load_in_8bit"]
            .iter()
            .any(|field| told.get(*field) == Some(&Value::Bool(true)))
}

fn bitsandbytes(told: &Fields) -> String {
    let is_set = |field: &str| told.get(field) == Some(&Value::Bool(true));
    let kind = told.get("bnb_4bit_quant_type").and_then(Value::as_str).unwrap_or("fp4");
    match (is_set("load_in_4bit"), is_set("load_in_8bit")) {
        (true, _) => format!("bitsandbytes, 4 bits ({kind})"),
        (_, true) => "bitsandbytes, 8 bits".to_owned(),
        _ => "bitsandbytes".to_owned(),
    }
}

/// Whether every product of the layers is named among the modules that are left as they are.
fn excludes_all(told: &Fields, shape: &Shape) -> bool {
    let lists =
        ["modules_to_not_convert", "llm_int8_skip_modules", "ignore", "ignored_layers", "exclude"];
    let left: Vec<&str> = (lists.iter())
        .filter_map(|list| told.get(*list)?.as_array())
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    // As transformers matches them (`should_convert_module`), but for regular expressions.
    let is_left = |module: &str| {
        left.iter()
            .any(|name| *name == "re:.*" || module.starts_with(name) || module.ends_with(name))
    };
    !left.is_empty() && layer_products(shape).iter().all(|module| is_left(module))
}

/// The checkpoint that a quantised one was made of, as its config or its model card names it.
fn original(folder: &Path, config: &Value) -> Option<String> {
    let is_id = |name: &str| hub_id(name).is_some();
    if let Some(name) = base_model(&folder.join("README.md")).filter(|name| is_id(name)) {
        return Some(name);
    }
    let fields = ["base_model_name_or_path", "_name_or_path"];
    let named = fields.iter().find_map(|field| config[*field].as_str());
    named.filter(|name| is_id(name) && !folder.ends_with(name)).map(str::to_owned)
}

/// What `base_model` says in the front matter of a model card: a name, or a list of which the first is taken.
fn base_model(card: &Path) -> Option<String> {
    let text = fs::read_to_string(card).ok()?;
    let (front, _) = text.strip_prefix("---")?.split_once("\n---")?;
    let mut lines = front.lines();
    let told = lines.find_map(|line| line.strip_prefix("base_model:"))?.trim();
    let name = if told.is_empty() { lines.next()?.trim().strip_prefix('-')?.trim() } else { told };
    Some(name.trim_matches(['"', '\'', '[', ']']).to_owned())
}

#[cfg(test)]
#[path = "quantised_tests.rs"]
mod tests;
