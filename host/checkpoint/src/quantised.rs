//! Recognises safetensors checkpoints whose weights are quantised, which this version does not read. The method is
//! found in `config.json`, or by the names of the tensors.

use crate::{
    Error, Result,
    families::Shape,
    model_source::parse_hub_id,
    safetensors_files::{SafetensorsFiles, layer_products},
};
use serde_json::{Map, Value};
use std::{fs, path::Path};

/// Quantisation methods: the value of `quant_method` (transformers' `QuantizationMethod`, and ModelOpt's), and the name
/// that messages use.
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

/// Endings of tensor names that only the files of one method have. The first ending that is found decides.
const NAME_ENDINGS: [(&str, &str); 22] = [
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

/// Refuses a checkpoint whose weights are quantised.
///
/// # Errors
/// The message names the method and what to use instead.
pub(crate) fn refuse(
    path: &Path,
    config: &Value,
    files: &SafetensorsFiles,
    shape: &Shape,
) -> Result<()> {
    let Some(method) = method_in_config(config, shape).or_else(|| method_by_names(files)) else {
        return Ok(());
    };
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

/// Returns the method that a `config.json` names.
fn method_in_config(config: &Value, shape: &Shape) -> Option<String> {
    // compressed-tensors once wrote its own field, and MLX still does.
    let fields = ["quantization_config", "compression_config", "quantization"];
    let settings = fields.iter().find_map(|field| config[*field].as_object())?;
    if excludes_all(settings, shape) {
        return None;
    }
    if is_bitsandbytes(settings) {
        return Some(bitsandbytes(settings));
    }
    let bits = ["bits", "w_bit", "nbits"].iter().find_map(|field| settings.get(*field)?.as_u64());
    let name = match settings.get("quant_method").and_then(Value::as_str) {
        Some(method) => {
            let known = METHODS.iter().find(|(name, _)| *name == method.to_ascii_lowercase());
            known.map_or(method, |(_, name)| *name)
        }
        None if settings.contains_key("quant_algo") => "NVIDIA ModelOpt",
        None if settings.contains_key("desc_act") => "GPTQ",
        // MLX names no method, but always says how many bits.
        None => bits.map(|_| "MLX")?,
    };
    Some(bits.map_or_else(|| name.to_owned(), |bits| format!("{name}, {bits} bits")))
}

/// Returns the method that the tensor names show.
fn method_by_names(files: &SafetensorsFiles) -> Option<String> {
    let has = |ending: &str| files.names().any(|name| name.ends_with(ending));
    let found = NAME_ENDINGS.iter().find(|(ending, _)| has(ending));
    found.map(|(_, method)| (*method).to_owned())
}

fn is_bitsandbytes(settings: &Map<String, Value>) -> bool {
    settings
        .get("quant_method")
        .and_then(Value::as_str)
        .is_some_and(|method| method.starts_with("bitsandbytes"))
        || ["load_in_4bit", "load_in_8bit"]
            .iter()
            .any(|field| settings.get(*field) == Some(&Value::Bool(true)))
}

fn bitsandbytes(settings: &Map<String, Value>) -> String {
    let is_set = |field: &str| settings.get(field) == Some(&Value::Bool(true));
    let kind = settings.get("bnb_4bit_quant_type").and_then(Value::as_str).unwrap_or("fp4");
    match (is_set("load_in_4bit"), is_set("load_in_8bit")) {
        (true, _) => format!("bitsandbytes, 4 bits ({kind})"),
        (_, true) => "bitsandbytes, 8 bits".to_owned(),
        _ => "bitsandbytes".to_owned(),
    }
}

/// Returns `true` if the config excludes every matrix product of the layers from quantisation.
fn excludes_all(settings: &Map<String, Value>, shape: &Shape) -> bool {
    let lists =
        ["modules_to_not_convert", "llm_int8_skip_modules", "ignore", "ignored_layers", "exclude"];
    let left: Vec<&str> = (lists.iter())
        .filter_map(|list| settings.get(*list)?.as_array())
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    // transformers' `should_convert_module` matches names in the same way. It also knows regular expressions.
    let is_left = |module: &str| {
        left.iter()
            .any(|name| *name == "re:.*" || module.starts_with(name) || module.ends_with(name))
    };
    !left.is_empty() && layer_products(shape).iter().all(|module| is_left(module))
}

/// Returns the Hub id of the unquantised original, if the model card or the config names it.
fn original(folder: &Path, config: &Value) -> Option<String> {
    let is_id = |name: &str| parse_hub_id(name).is_some();
    if let Some(name) = base_model(&folder.join("README.md")).filter(|name| is_id(name)) {
        return Some(name);
    }
    let fields = ["base_model_name_or_path", "_name_or_path"];
    let named = fields.iter().find_map(|field| config[*field].as_str());
    named.filter(|name| is_id(name) && !folder.ends_with(name)).map(str::to_owned)
}

/// Returns the `base_model` in the front matter of a model card. If it is a list, the first entry is taken.
fn base_model(card: &Path) -> Option<String> {
    let text = fs::read_to_string(card).ok()?;
    let (front, _) = text.strip_prefix("---")?.split_once("\n---")?;
    let mut lines = front.lines();
    let value = lines.find_map(|line| line.strip_prefix("base_model:"))?.trim();
    let name =
        if value.is_empty() { lines.next()?.trim().strip_prefix('-')?.trim() } else { value };
    Some(name.trim_matches(['"', '\'', '[', ']']).to_owned())
}

#[cfg(test)]
#[path = "quantised_tests.rs"]
mod tests;
