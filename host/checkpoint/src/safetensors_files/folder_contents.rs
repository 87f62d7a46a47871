//! Explains what is in a folder that has no safetensors files: weights in another format, or no model.

use super::{INDEX_FILE, SINGLE_FILE};
use crate::{Error, Result};
use std::path::Path;

/// Files that are not read here: the beginning and the end of the name, and what the file is, with the remedy. The
/// first entry that matches decides.
const OTHER_FILES: &[(&str, &str, &str)] = &[
    (
        "model-",
        ".safetensors",
        "a part of the weights without model.safetensors.index.json, which says what is in which: fetch that file",
    ),
    (
        "adapter_",
        "",
        "an adapter's: give its base model as the model, and this folder with --adapter",
    ),
    ("consolidated", "", ORIGINAL),
    ("tokenizer.model.v3", "", ORIGINAL),
    ("pytorch_model", ".bin", PICKLE),
    ("pytorch_model", ".bin.index.json", PICKLE),
    ("model.", ".safetensors", VARIANT),
    ("model.safetensors.index.", ".json", VARIANT),
    (
        "",
        ".safetensors",
        "safetensors under another name: call the file model.safetensors, if it is a whole model",
    ),
    ("", ".gguf", "a GGUF file: give the file itself as the model"),
    (
        "zero_to_fp32.py",
        "",
        "a checkpoint of DeepSpeed's ZeRO: join its parts with 'python zero_to_fp32.py . . --safe_serialization'",
    ),
    (
        "",
        "_model_states.pt",
        "parts of a checkpoint of DeepSpeed: join them with its zero_to_fp32.py",
    ),
    (
        "",
        ".distcp",
        "a distributed checkpoint of torch: join its parts with 'accelerate merge-weights'",
    ),
    (
        "",
        ".onnx",
        "a model of ONNX, whose weights are not read: use the checkpoint that it was made from",
    ),
    ("flax_model", ".msgpack", FLAX),
    ("tf_model", ".h5", FLAX),
    ("openvino_model", "", "a model of OpenVINO: use the checkpoint that it was made from"),
    ("rank0", ".engine", "an engine of TensorRT-LLM: use the checkpoint that it was made from"),
    ("", ".nemo", "a checkpoint of NeMo: convert it with NeMo's exporter to Hugging Face's format"),
    ("weights", ".npz", "an old model of MLX: use the checkpoint that it was made from"),
    ("model", ".bin", "a model of CTranslate2: use the checkpoint that it was made from"),
    ("", ".pth", PICKLE),
    ("", ".pt", PICKLE),
    ("", ".ckpt", PICKLE),
    ("", ".bin", PICKLE),
];

const ORIGINAL: &str = "weights under the names that their author (Meta, Mistral) uses: take the same model in Hugging \
                        Face's format, or convert it with transformers' convert_llama_weights_to_hf.py or \
                        convert_mistral_weights_to_hf.py";
const PICKLE: &str = "weights of torch.save, which may run code when they are read: load them with transformers' \
                      AutoModelForCausalLM.from_pretrained and save them with save_pretrained, which writes safetensors";
const VARIANT: &str = "a variant of the weights: load it with transformers' from_pretrained(variant=...), and save it \
                       with save_pretrained without one";
const FLAX: &str = "weights of Flax or TensorFlow: load them with a transformers of before version 5 (from_flax=True, \
                    from_tf=True) and save them with save_pretrained";

/// Beginnings of the names of files that training programs write beside the weights.
const TRAINER_FILES: [&str; 5] = ["training_args", "optimizer", "scheduler", "rng_state", "scaler"];

/// Explains why a folder without `model.safetensors` and its index has no model that can be read, and what to do.
pub(super) fn explain_missing_weights(folder: &Path) -> String {
    let instead = describe_contents(folder).unwrap_or_else(|| {
        "other weight formats can be converted with transformers' save_pretrained".to_owned()
    });
    format!("no {SINGLE_FILE} and no {INDEX_FILE}; {instead}")
}

/// Checks that a model's folder has a `config.json`.
///
/// # Errors
/// Returns an error if there is none. The message says what is in the folder instead.
pub(crate) fn check_config(folder: &Path) -> Result<()> {
    let path = folder.join("config.json");
    if path.symlink_metadata().is_ok() || !folder.is_dir() {
        return Ok(());
    }
    let has_weights = [SINGLE_FILE, INDEX_FILE].iter().any(|name| folder.join(name).is_file());
    let instead = describe_contents(folder).filter(|_| !has_weights);
    let instead = instead.unwrap_or_else(|| {
        "it says how the model is built: fetch it from where the weights are from".to_owned()
    });
    Err(Error::file(path, format!("is not there; {instead}")))
}

/// Describes what is in a folder instead of a model. Returns `None` if nothing is recognised.
fn describe_contents(folder: &Path) -> Option<String> {
    let entries = || folder.read_dir().into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| !TRAINER_FILES.iter().any(|own| name.starts_with(own)));
    names.sort_unstable();
    let kinds = OTHER_FILES.iter().find_map(|(start, end, what)| {
        let name = names.iter().find(|name| name.starts_with(start) && name.ends_with(end))?;
        Some(format!("{name} is {what}"))
    });
    kinds.or_else(|| {
        let paths = entries().map(|entry| entry.path());
        let model = paths
            .filter(|path| path.join("config.json").is_file())
            .max_by_key(|path| checkpoint_step(path))?;
        Some(format!("give the folder {} within, which holds a model", model.display()))
    })
}

/// Returns the step in the name of a trainer's folder, `checkpoint-STEP`.
fn checkpoint_step(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_prefix("checkpoint-")?.parse().ok()
}
