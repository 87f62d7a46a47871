#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::*;
use crate::changed_folders::{self, Tensor, write};
use std::fs;
use tempfile::TempDir;

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures")
}

/// Copies a fixture's folder, so that a test can change it.
pub(crate) fn copied(fixture: &str) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in fs::read_dir(fixtures().join(fixture)).unwrap().flatten() {
        fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    copy
}

pub(crate) fn open(folder: &Path) -> Result<Checkpoint> {
    Checkpoint::open(&ModelSource::Folder(folder.to_path_buf()), 0, &DigestOptions::disabled())
}

/// Opens a folder that must be refused. Returns the message, which must contain all `words`.
pub(crate) fn refused(folder: &Path, words: &[&str]) -> String {
    let error = open(folder).err().unwrap_or_else(|| panic!("not refused for {words:?}"));
    let sentence = error.to_string();
    assert!(words.iter().all(|word| sentence.contains(word)), "{words:?}: {sentence}");
    sentence
}

/// Cases in which transformers makes random tensors and this crate refuses the model, with words of the message. In all
/// other cases the names have a wrapper's prefix, and the tensors are read.
const REFUSED: [(&str, &[&str]); 10] = [
    ("untied base model", &["lm_head.weight is missing", "without its LM head"]),
    ("gemma2 untied without its head", &["lm_head.weight is missing", "without its LM head"]),
    ("untied without its head", &["lm_head.weight is missing", "tie_word_embeddings"]),
    ("untied without its embedding", &["model.embed_tokens.weight is missing"]),
    ("tied with neither", &["model.embed_tokens.weight is missing"]),
    ("fewer layers than num_hidden_layers", &["they hold 2 layers", "num_hidden_layers", "is 3"]),
    (
        "biases that the family has",
        &["model.layers.0.self_attn.q_proj.bias and another are missing"],
    ),
    (
        "biases of attention_bias",
        &["model.layers.0.self_attn.q_proj.bias and 7 others are missing"],
    ),
    ("a norm left out", &["model.layers.1.input_layernorm.weight is missing"]),
    ("an unmerged adapter", &["an adapter is in them that is not merged", "merge_and_unload"]),
];

/// Opens every case of `make-checkpoints`. The results of these models are compared in `tests/checkpoints.rs`.
#[test]
fn odd_checkpoints_are_read_as_transformers_reads_them_or_refused() {
    let text = fs::read_to_string(fixtures().join("checkpoints.json")).unwrap();
    let fixture: Value = serde_json::from_str(&text).unwrap();
    for case in fixture["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let folder = tempfile::tempdir().unwrap();
        changed_folders::make(case, &fixtures(), folder.path());
        let words = REFUSED.iter().find(|(refused, _)| *refused == name);
        match (words, case["missing"].is_array()) {
            (Some((_, words)), true) => drop(refused(folder.path(), words)),
            (None, true) => is_unwrapped(name, case, folder.path()),
            (None, false) if name.starts_with("dtype of") || name == "dtype auto" => {
                refused(folder.path(), &["config.json", "dtype"]);
            }
            (None, false) => is_as_in_transformers(name, case, &open(folder.path()).unwrap()),
            (Some(_), false) => panic!("transformers runs '{name}'"),
        }
    }
}

/// Checks that all tensors of the original folder are found under their names, with a warning about the other names.
fn is_unwrapped(name: &str, case: &Value, folder: &Path) {
    let opened = open(folder).unwrap_or_else(|error| panic!("{name}: {error}"));
    let Tensors::Safetensors(files) = &opened.tensors else { panic!("{name}") };
    let source = fixtures().join(case["from"].as_str().unwrap()).join("model.safetensors");
    for (tensor, Tensor { shape, bytes, .. }) in changed_folders::read(&source) {
        let raw = files.find(&tensor, &shape).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(&raw.mapped_bytes()[..], bytes, "{name}: {tensor}");
    }
    assert!(
        opened.warnings[0].contains("names of tensors are those of a wrapper"),
        "{name}: {:?}",
        opened.warnings
    );
}

fn is_as_in_transformers(name: &str, case: &Value, opened: &Checkpoint) {
    let Tensors::Safetensors(files) = &opened.tensors else { panic!("{name}") };
    if case["error"].is_string() {
        let error = files.find("lm_head.weight", &[opened.shape.vocab, opened.shape.hidden]);
        assert!(error.err().unwrap().to_string().contains("has shape [192, 32]"), "{name}");
        return;
    }
    assert_eq!(opened.shape.tied_head, case["tied"].as_bool().unwrap(), "{name}");
    let format = match case["dtype_found"].as_str().unwrap() {
        "float64" => FloatFormat::F32,
        format => format.parse().unwrap(),
    };
    if case["dtype"] == "auto" {
        assert_eq!(opened.format, format, "{name}");
    }
    let unexpected = case["unexpected"].as_array().unwrap();
    // transformers also reports a constant for masked scores that old versions saved.
    let first = unexpected
        .first()
        .map(|tensor| tensor.as_str().unwrap())
        .filter(|tensor| !tensor.ends_with("masked_bias"));
    let said = opened.warnings.join("\n");
    match first {
        Some(first) => assert!(said.contains(first) && said.contains("not read"), "{name}: {said}"),
        None if name.contains("another head") => {
            assert!(said.contains("tie_word_embeddings"), "{name}: {said}")
        }
        None if case["dtype_found"] == "float64" => {
            assert!(said.contains("run in float32"), "{said}")
        }
        None => assert_eq!(said, "", "{name}"),
    }
    let others = unexpected.len().saturating_sub(1);
    assert!(others < 2 || said.contains(&format!("and {others} others")), "{name}: {said}");
}

#[test]
fn a_config_of_f64_is_narrowed_with_a_word() {
    for field in ["dtype", "torch_dtype"] {
        let copy = copied("families/qwen3");
        let path = copy.path().join("config.json");
        let mut config: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        config.as_object_mut().unwrap().remove("dtype");
        config[field] = "float64".into();
        fs::write(&path, config.to_string()).unwrap();
        let opened = open(copy.path()).unwrap();
        assert_eq!(opened.format, FloatFormat::F32);
        assert!(opened.warnings[0].contains(field) && opened.warnings[0].contains("float32"));
    }
}

/// Uses number formats that unquantised weights never have.
#[test]
fn tensors_of_integers_and_of_eight_bits_are_refused_by_name() {
    for dtype in [Dtype::I64, Dtype::I8, Dtype::U8, Dtype::BOOL, Dtype::F8_E4M3, Dtype::F8_E5M2] {
        let copy = copied("families/qwen3");
        let path = copy.path().join("model.safetensors");
        let mut tensors = changed_folders::read(&path);
        let name = "model.layers.1.mlp.up_proj.weight";
        let shape = tensors[name].shape.clone();
        tensors.insert(name.to_owned(), Tensor::full(dtype, &shape, 1.0));
        write(&tensors, &path);
        let opened = open(copy.path()).unwrap();
        let Tensors::Safetensors(files) = &opened.tensors else { panic!() };
        let error = files.find(name, &shape).err().unwrap().to_string();
        for word in [name, &format!("{dtype:?}"), "model.safetensors", "use f32, bf16 or f16"] {
            assert!(error.contains(word), "{error}");
        }
    }
}
