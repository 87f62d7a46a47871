//! Finds the files of an adapter in a folder. If the folder has something else, the message says what it is and what to
//! give instead.

use crate::{Error, Result, text_file};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// PEFT's name of an adapter's config file.
pub const ADAPTER_CONFIG: &str = "adapter_config.json";

/// PEFT's name of an adapter's weight file.
pub const ADAPTER_WEIGHTS: &str = "adapter_model.safetensors";

/// The file in which transformers' trainer notes which checkpoint was the best.
const TRAINER_STATE: &str = "trainer_state.json";

/// How many levels below a folder adapters are searched. NeMo AutoModel writes them to `epoch_0_step_20/model`.
const DEPTH: usize = 2;

/// The files of an adapter, in PEFT's format.
#[derive(Debug)]
pub struct AdapterFiles {
    /// The path of `adapter_config.json`.
    pub config: PathBuf,
    /// The text of `adapter_config.json`.
    pub text: String,
    /// The path of `adapter_model.safetensors`.
    pub weights: PathBuf,
}

impl AdapterFiles {
    /// Finds the files in a folder.
    ///
    /// # Errors
    /// Returns an error if a file is missing. The message says what the folder contains instead, and what to give.
    pub fn find(folder: &Path) -> Result<Self> {
        let bad = |reason: String| Error::file(folder, reason);
        let (config, weights) = (folder.join(ADAPTER_CONFIG), folder.join(ADAPTER_WEIGHTS));
        if !config.is_file() {
            return Err(bad(explain_missing_config(folder)));
        }
        let text = text_file::read(&config)?;
        let json: Value = text_file::parse(&text, &config)?;
        if is_mlx(&json) {
            return Err(bad(MLX.to_owned()));
        }
        if !weights.is_file() {
            let remedy =
                other_weights(folder).unwrap_or_else(|| "fetch the adapter again".to_owned());
            return Err(bad(format!("no {ADAPTER_WEIGHTS}: {remedy}")));
        }
        Ok(Self { config, text, weights })
    }

    /// Explains what a file is that was given as an adapter, and what to give instead.
    pub fn explain_file(file: &Path) -> String {
        if file.extension().is_some_and(|ending| ending == "gguf") {
            return GGUF.to_owned();
        }
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        match folder.join(ADAPTER_CONFIG).is_file() {
            true => format!("is a file: give its folder, {}", folder.display()),
            false => {
                format!("is a file: give the adapter's folder, the one that holds {ADAPTER_CONFIG}")
            }
        }
    }
}

/// The message for an adapter of MLX.
const MLX: &str = "an adapter of MLX, whose factors are transposed and scaled in another way: fuse it with mlx_lm.fuse and load the saved model, or convert it to PEFT's format";

/// Returns `true` if a config was written by `mlx_lm.lora`, which stores the rank in `lora_parameters`.
fn is_mlx(config: &Value) -> bool {
    config.get("peft_type").is_none()
        && ["fine_tune_type", "lora_parameters", "lora_layers", "adapter_path"]
            .iter()
            .any(|field| config.get(field).is_some())
}

/// Other files that may contain an adapter's weights, each with the message.
const OTHER_WEIGHTS: &[(&str, &str)] = &[
    (
        "adapter_model.bin",
        "adapter_model.bin is a pickle, which can run code and is not read: save it again with PEFT's save_pretrained",
    ),
    (
        "adapter_model.pt",
        "adapter_model.pt is a pickle, which can run code and is not read: save it again in PEFT's format",
    ),
    (
        "adapter_model.safetensors.index.json",
        "its weights are in several files, which PEFT does not read either: join them as adapter_model.safetensors",
    ),
    ("adapters.safetensors", MLX),
    ("adapters.npz", MLX),
    (
        "adapter_0.pt",
        "an adapter of torchtune, a pickle, which can run code and is not read: let torchtune save it in PEFT's format",
    ),
    (
        "pytorch_lora_weights.safetensors",
        "an adapter of diffusers, which changes an image model rather than a language model",
    ),
];

/// Returns the message for the first of these files that is in a folder.
fn other_weights(folder: &Path) -> Option<String> {
    let found = OTHER_WEIGHTS.iter().find(|(file, _)| folder.join(file).is_file());
    found.map(|(_, reason)| (*reason).to_owned())
}

/// Explains what a folder without an adapter's config contains.
fn explain_missing_config(folder: &Path) -> String {
    if folder.join(ADAPTER_WEIGHTS).is_file() {
        return format!(
            "no {ADAPTER_CONFIG} beside {ADAPTER_WEIGHTS}: copy it from where the adapter was saved"
        );
    }
    if let Some(reason) = other_weights(folder) {
        return reason;
    }
    let below = adapters_below(folder, DEPTH);
    if !below.is_empty() {
        return suggest_adapters_below(folder, &below);
    }
    let names = file_names(folder);
    let holds = |start: &str, ending: &str| {
        names.iter().any(|name| name.starts_with(start) && name.ends_with(ending))
    };
    if holds("config.json", "")
        && (holds("model", ".safetensors") || holds("pytorch_model", ".bin"))
    {
        return "a whole model rather than an adapter: give it as the model".to_owned();
    }
    if holds("", ".gguf") {
        return GGUF.to_owned();
    }
    format!("no {ADAPTER_CONFIG}: give the folder that PEFT's save_pretrained wrote")
}

/// The message for an adapter of llama.cpp.
const GGUF: &str = "an adapter in llama.cpp's format is not read: give the folder of PEFT that it was converted from";

/// Returns the message for a folder with adapters in the folders below it.
fn suggest_adapters_below(folder: &Path, below: &[PathBuf]) -> String {
    let name = |path: &Path| path.strip_prefix(folder).unwrap_or(path).display().to_string();
    let last = below.last().map(PathBuf::as_path).unwrap_or(folder);
    let steps = below.iter().filter(|path| training_step(path).is_some()).count();
    let mut sentence =
        format!("no {ADAPTER_CONFIG} in the folder itself, but in {} below it", below.len());
    if below.len() <= 4 {
        let names: Vec<String> = below.iter().map(|path| name(path)).collect();
        sentence = format!("no {ADAPTER_CONFIG} in the folder itself, but in {}", names.join(", "));
    }
    let best = [folder, last].iter().find_map(|place| best_checkpoint(place));
    let best = best.filter(|best| below.iter().any(|path| path.ends_with(best)));
    match (steps > 1, best) {
        (true, Some(best)) if !last.ends_with(&best) => format!(
            "{sentence}: give one of them, {best}, which {TRAINER_STATE} names as the best, or {}, the last",
            name(last)
        ),
        (true, Some(best)) => format!(
            "{sentence}: give one of them, such as {best}, which is the last and, as {TRAINER_STATE} says, the best"
        ),
        (true, None) => format!("{sentence}: give one of them, such as {}, the last", name(last)),
        (false, _) if below.len() == 1 => format!("{sentence}: give that"),
        (false, _) => format!("{sentence}: give one of them"),
    }
}

/// Returns the folder name of the checkpoint that the trainer noted as the best.
fn best_checkpoint(folder: &Path) -> Option<String> {
    let path = folder.join(TRAINER_STATE);
    let state: Value = text_file::parse(&text_file::read(&path).ok()?, &path).ok()?;
    let best = state.get("best_model_checkpoint")?.as_str()?;
    // A trainer on Windows writes its own separators.
    best.rsplit(['/', '\\']).next().map(ToOwned::to_owned)
}

/// Returns the epoch (0 if there is none) and the step in a path such as `checkpoint-200` or `epoch_0_step_20/model`.
fn training_step(path: &Path) -> Option<(u64, u64)> {
    let numbers = |name: &str| {
        let digits = name.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
        let numbers: Vec<u64> = digits.filter_map(|part| part.parse().ok()).collect();
        match numbers[..] {
            [step] => Some((0, step)),
            [epoch, step, ..] => Some((epoch, step)),
            [] => None,
        }
    };
    path.iter().rev().take(DEPTH).find_map(|part| numbers(part.to_str()?))
}

/// Returns the folders with an adapter, at most `depth` levels below this folder, sorted by training step.
fn adapters_below(folder: &Path, depth: usize) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_path_buf(), depth)];
    while let Some((folder, depth)) = folders.pop() {
        for inner in file_names(&folder).into_iter().map(|name| folder.join(name)) {
            // A link, such as NeMo's LATEST, is another name of a folder that is found anyway.
            if inner.is_symlink() || !inner.is_dir() {
                continue;
            }
            if inner.join(ADAPTER_CONFIG).is_file() {
                found.push(inner);
            } else if depth > 1 {
                folders.push((inner, depth - 1));
            }
        }
    }
    found.sort_by_cached_key(|path| (training_step(path), path.clone()));
    found
}

fn file_names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use tempfile::TempDir;

    /// A folder with these files, all of one text.
    fn folder(text: &str, files: &[&str]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        add(&folder, text, files);
        folder
    }

    fn add(folder: &TempDir, text: &str, files: &[&str]) {
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    fn refusal(folder: &TempDir) -> String {
        AdapterFiles::find(folder.path()).unwrap_err().to_string()
    }

    #[track_caller]
    fn is_refused(folder: &TempDir, words: &[&str]) {
        let refusal = refusal(folder);
        for word in words {
            assert!(refusal.contains(word), "'{word}' is not in: {refusal}");
        }
    }

    const PEFT: &str = r#"{"peft_type": "LORA"}"#;

    #[test]
    fn the_files_of_peft_are_found_whatever_is_beside_them() {
        let files = [
            ADAPTER_CONFIG,
            ADAPTER_WEIGHTS,
            "adapter_model.bin",
            "config.json",
            "checkpoint-5/adapter_config.json",
        ];
        let folder = folder(PEFT, &files);
        let found = AdapterFiles::find(folder.path()).unwrap();
        assert_eq!(found.text, PEFT);
        assert_eq!(found.weights, folder.path().join(ADAPTER_WEIGHTS));
    }

    #[test]
    fn a_trainers_folder_says_which_checkpoint_to_take() {
        let files = [
            "checkpoint-100/adapter_config.json",
            "checkpoint-1000/adapter_config.json",
            "checkpoint-200/adapter_config.json",
        ];
        let of_trainer = folder(PEFT, &files);
        is_refused(
            &of_trainer,
            &[
                "checkpoint-100, checkpoint-200, checkpoint-1000: give",
                "such as checkpoint-1000, the last",
            ],
        );
        let best = r#"{"best_model_checkpoint": "C:\\out\\checkpoint-100"}"#;
        add(&of_trainer, best, &["checkpoint-1000/trainer_state.json"]);
        is_refused(
            &of_trainer,
            &[
                "checkpoint-100, which trainer_state.json names as the best",
                "or checkpoint-1000, the last",
            ],
        );
        add(
            &of_trainer,
            r#"{"best_model_checkpoint": "out/checkpoint-1000"}"#,
            &["trainer_state.json"],
        );
        is_refused(
            &of_trainer,
            &[
                "such as checkpoint-1000, which is the last and, as trainer_state.json says, the best",
            ],
        );
        // The trainer has deleted the best checkpoint, because it keeps only the last ones.
        add(
            &of_trainer,
            r#"{"best_model_checkpoint": "out/checkpoint-20"}"#,
            &["trainer_state.json"],
        );
        is_refused(&of_trainer, &["checkpoint-1000, the last"]);
    }

    #[test]
    fn adapters_in_folders_below_are_named() {
        is_refused(&folder(PEFT, &["default/adapter_config.json"]), &["in default: give that"]);
        is_refused(
            &folder(PEFT, &["policy/adapter_config.json", "reference/adapter_config.json"]),
            &["in policy, reference: give one of them"],
        );
        let steps = [
            "epoch_0_step_20/model/adapter_config.json",
            "epoch_1_step_5/model/adapter_config.json",
        ];
        let of_nemo = folder(PEFT, &steps);
        is_refused(&of_nemo, &["such as epoch_1_step_5/model, the last"]);
        std::os::unix::fs::symlink("epoch_0_step_20", of_nemo.path().join("LATEST")).unwrap();
        assert!(!refusal(&of_nemo).contains("LATEST"));
        let many: Vec<String> =
            (1..9).map(|step| format!("checkpoint-{step}/{ADAPTER_CONFIG}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        is_refused(
            &folder(PEFT, &many),
            &["but in 8 below it: give one of them, such as checkpoint-8"],
        );
    }

    #[test]
    fn other_formats_are_called_what_they_are() {
        is_refused(
            &folder(PEFT, &[ADAPTER_CONFIG, "adapter_model.bin"]),
            &["adapter_model.bin is a pickle"],
        );
        is_refused(&folder(PEFT, &[ADAPTER_CONFIG]), &["no adapter_model.safetensors", "fetch"]);
        is_refused(
            &folder(PEFT, &[ADAPTER_WEIGHTS]),
            &["no adapter_config.json beside", "copy it"],
        );
        is_refused(
            &folder(PEFT, &[ADAPTER_CONFIG, "adapter_model.safetensors.index.json"]),
            &["in several files", "join"],
        );
        let mlx = r#"{"fine_tune_type": "lora", "num_layers": 16, "lora_parameters": {"rank": 8}}"#;
        is_refused(
            &folder(mlx, &[ADAPTER_CONFIG, "adapters.safetensors"]),
            &["MLX", "mlx_lm.fuse"],
        );
        is_refused(&folder(mlx, &[ADAPTER_CONFIG, ADAPTER_WEIGHTS]), &["MLX"]);
        is_refused(&folder(PEFT, &["adapters.safetensors"]), &["MLX"]);
        is_refused(&folder(PEFT, &["adapter_0.pt"]), &["torchtune"]);
        is_refused(&folder(PEFT, &["pytorch_lora_weights.safetensors"]), &["diffusers"]);
        is_refused(&folder(PEFT, &["lora-f16.gguf"]), &["llama.cpp's format"]);
        is_refused(
            &folder("{}", &["config.json", "model.safetensors"]),
            &["a whole model", "as the model"],
        );
        is_refused(
            &folder("{}", &["config.json", "model-00001-of-00002.safetensors"]),
            &["a whole model"],
        );
        is_refused(&folder("", &["README.md"]), &["no adapter_config.json", "save_pretrained"]);
    }

    #[test]
    fn a_file_is_answered_with_its_folder() {
        let folder = folder(PEFT, &[ADAPTER_CONFIG, ADAPTER_WEIGHTS]);
        let answer = AdapterFiles::explain_file(&folder.path().join(ADAPTER_WEIGHTS));
        assert!(
            answer.ends_with(&format!("give its folder, {}", folder.path().display())),
            "{answer}"
        );
        assert!(AdapterFiles::explain_file(Path::new("notes.txt")).contains(ADAPTER_CONFIG));
        assert!(AdapterFiles::explain_file(Path::new("lora.gguf")).contains("llama.cpp's format"));
    }
}
