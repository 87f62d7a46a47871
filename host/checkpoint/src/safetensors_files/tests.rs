#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::*;
use crate::{
    changed_folders::{self, Tensor, write},
    checkpoint::{
        Tensors,
        tests::{copied, fixtures, open, refused},
    },
    text_file,
};
use safetensors::Dtype;
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs};

/// Compares the expected tensors with folders that transformers saved.
#[test]
fn a_models_tensors_are_those_that_transformers_saves() {
    let mut checked = 0;
    for family in fs::read_dir(fixtures().join("families")).unwrap().flatten() {
        let config = family.path().join("config.json");
        let (_, shape) =
            crate::families::parse(&text_file::read(&config).unwrap(), &config).unwrap();
        let saved: BTreeSet<String> =
            changed_folders::read(&family.path().join("model.safetensors")).into_keys().collect();
        let wanted: BTreeSet<String> =
            expected_tensors::expected_tensors(&shape).into_iter().collect();
        assert_eq!(wanted, saved, "{}", config.display());
        assert!(open(&family.path()).unwrap().warnings.is_empty());
        checked += 1;
    }
    assert!(checked > 20);
}

/// Placeholders, each with words of the message.
const PLACEHOLDERS: [(&str, &str); 8] = [
    (
        "version https://git-lfs.github.com/spec/v1\noid sha256:abababab\nsize 2200119864\n",
        "is a Git LFS pointer, not the file: run 'git lfs pull'",
    ),
    ("/annex/objects/SHA256E-s9--ab.safetensors\n", "git annex get"),
    ("<!DOCTYPE html>\n<html class=\"\"><head>", "is a web page, not the file"),
    ("\u{feff}\n<html><body>Sign in</body></html>", "is a web page, not the file"),
    ("<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "is a server's message"),
    ("{\"error\":\"Repository not found\"}", "is a server's message"),
    ("Entry not found", "is a server's message"),
    ("", "is empty"),
];

#[test]
fn what_is_saved_in_place_of_a_file_is_called_what_it_is() {
    for (text, words) in PLACEHOLDERS {
        for name in ["config.json", "generation_config.json", "model.safetensors.index.json"] {
            let copy = copied("llama/sharded-linear");
            fs::write(copy.path().join(name), text).unwrap();
            refused(copy.path(), &[name, words]);
        }
        for name in ["tokenizer.json", "tokenizer_config.json", "model.safetensors"] {
            let copy = copied("llama/tied");
            for file in ["tokenizer.json", "tokenizer_config.json"] {
                fs::copy(fixtures().join("tokenizer").join(file), copy.path().join(file)).unwrap();
            }
            fs::write(copy.path().join(name), text).unwrap();
            refused(copy.path(), &[name, words]);
        }
        let folder = tempfile::tempdir().unwrap();
        for name in ["adapter_model.safetensors", "model.gguf"] {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            let error = match name.ends_with("gguf") {
                true => crate::gguf::Gguf::open(&path).err(),
                false => TensorFile::open(path).err(),
            };
            let sentence = error.unwrap().to_string();
            assert!(sentence.contains(name) && sentence.contains(words), "{sentence}");
        }
    }
}

/// A byte order mark, which editors on Windows write, is accepted. UTF-16 is refused.
#[test]
fn a_byte_order_mark_does_no_harm() {
    let copy = copied("llama/tied");
    for name in ["config.json", "generation_config.json"] {
        let path = copy.path().join(name);
        let text = format!("\u{feff}{}", fs::read_to_string(&path).unwrap());
        fs::write(&path, text).unwrap();
    }
    assert_eq!(open(copy.path()).unwrap().shape.layers, 3);
    let utf16: Vec<u8> = "\u{feff}{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(copy.path().join("config.json"), utf16).unwrap();
    refused(copy.path(), &["config.json", "UTF-16", "save it as UTF-8"]);
}

#[test]
fn half_a_download_says_how_much_is_missing() {
    let copy = copied("llama/tied");
    let path = copy.path().join("model.safetensors");
    let whole = fs::read(&path).unwrap();
    let size = whole.len();
    for (bytes, words) in [
        (
            whole[..size - 1000].to_vec(),
            format!("{} of {size} bytes are there, 1000 are missing", size - 1000),
        ),
        (whole[..100].to_vec(), "100 of ".to_owned()),
        (whole[..3].to_vec(), "truncated or damaged".to_owned()),
        ([&whole[..], b"\0\0\0"].concat(), "3 bytes more than".to_owned()),
        (vec![0; size], "begins with zeros: its download has not finished".to_owned()),
        (b"PK\x03\x04".repeat(99), "is a file of torch.save".to_owned()),
        (b"GGUF\x03\0\0\0".repeat(99), "is a GGUF file".to_owned()),
    ] {
        fs::write(&path, bytes).unwrap();
        refused(copy.path(), &["model.safetensors", &words]);
    }
    fs::write(&path, &whole).unwrap();
    fs::write(copy.path().join("model.safetensors.aria2"), "").unwrap();
    refused(copy.path(), &["model.safetensors.aria2", "has not finished"]);
    fs::remove_file(&path).unwrap();
    refused(copy.path(), &["model.safetensors.aria2", "has not finished: resume it"]);
    fs::remove_file(copy.path().join("model.safetensors.aria2")).unwrap();
    let kept = ".cache/huggingface/download";
    fs::create_dir_all(copy.path().join(kept)).unwrap();
    fs::write(copy.path().join(kept).join("model.safetensors.abc.incomplete"), "").unwrap();
    refused(copy.path(), &[kept, "has not finished: resume it"]);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("../blobs/abab", &path).unwrap();
        refused(
            copy.path(),
            &["model.safetensors", "is a link to ../blobs/abab, which is not there"],
        );
    }
}

#[test]
fn other_weights_are_called_what_they_are() {
    for (names, words) in [
        (&["pytorch_model.bin"][..], "torch.save"),
        (&["pytorch_model.bin.index.json", "pytorch_model-00001-of-00002.bin"], "torch.save"),
        (&["consolidated.safetensors", "params.json"], "convert_mistral_weights_to_hf"),
        (&["consolidated.00.pth", "params.json"], "convert_llama_weights_to_hf"),
        (&["model.fp16.safetensors"], "model.fp16.safetensors is a variant"),
        (&["model.safetensors.index.fp16.json"], "is a variant"),
        (&["model-00001-of-00002.safetensors"], "without model.safetensors.index.json"),
        (&["adapter_model.safetensors", "adapter_config.json"], "an adapter's"),
        (&["adapter_model.bin"], "an adapter's"),
        (&["tiny.Q4_K_M.gguf"], "tiny.Q4_K_M.gguf is a GGUF file"),
        (&["weights.safetensors"], "under another name"),
        (&["model.onnx"], "ONNX"),
        (&["flax_model.msgpack"], "Flax"),
        (&["tf_model.h5"], "TensorFlow"),
        (&["zero_to_fp32.py", "latest"], "zero_to_fp32.py"),
        (&["__0_0.distcp", ".metadata"], "merge-weights"),
        (&["model.ckpt"], "torch.save"),
        (&[], "no model.safetensors and no model.safetensors.index.json; other weight formats"),
    ] {
        let copy = copied("llama/tied");
        fs::remove_file(copy.path().join("model.safetensors")).unwrap();
        fs::remove_file(copy.path().join("expected.safetensors")).unwrap();
        for name in names {
            fs::write(copy.path().join(name), "x").unwrap();
        }
        refused(copy.path(), &["no model.safetensors", words]);
        if !names.is_empty() {
            fs::remove_file(copy.path().join("config.json")).unwrap();
            refused(copy.path(), &["config.json", "is not there", words]);
        }
    }
    let trainer = copied("llama/tied");
    for file in ["model.safetensors", "expected.safetensors"] {
        fs::remove_file(trainer.path().join(file)).unwrap();
    }
    for step in ["checkpoint-500", "checkpoint-1000"] {
        fs::create_dir(trainer.path().join(step)).unwrap();
        fs::write(trainer.path().join(step).join("config.json"), "{}").unwrap();
    }
    fs::write(trainer.path().join("training_args.bin"), "x").unwrap();
    refused(trainer.path(), &["checkpoint-1000", "which holds a model"]);
    let copy = copied("llama/tied");
    fs::remove_file(copy.path().join("config.json")).unwrap();
    refused(copy.path(), &["config.json", "is not there; it says how the model is built"]);
}

/// Changes the index of a fixture with four files.
fn with_index(change: impl FnOnce(&mut serde_json::Map<String, Value>)) -> tempfile::TempDir {
    let copy = copied("llama/sharded-linear");
    let path = copy.path().join(INDEX_FILE);
    let mut index: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    change(index["weight_map"].as_object_mut().unwrap());
    fs::write(path, index.to_string()).unwrap();
    copy
}

const SECOND: &str = "model-00002-of-00004.safetensors";

#[test]
fn an_index_that_is_wrong_is_put_right_or_refused() {
    // transformers reads all tensors of all files that an index names, wherever it says that they are.
    let moved = with_index(|map| {
        for file in map.values_mut().filter(|file| **file == SECOND).skip(1) {
            *file = json!("model-00001-of-00004.safetensors");
        }
    });
    assert!(open(moved.path()).unwrap().warnings.is_empty());
    let lost = with_index(|map| map.retain(|_, file| *file != SECOND));
    refused(lost.path(), &["missing from its safetensors files", SECOND, "does not name it"]);
    let gone = with_index(|_| ());
    fs::remove_file(gone.path().join(SECOND)).unwrap();
    refused(gone.path(), &[INDEX_FILE, "names 4 files, of which 1 are not there", SECOND]);
    fs::write(gone.path().join(format!("{SECOND}.crdownload")), "").unwrap();
    refused(gone.path(), &[SECOND, "a download that has not finished"]);
    let empty = with_index(serde_json::Map::clear);
    refused(empty.path(), &[INDEX_FILE, "names no tensor"]);
}

#[test]
fn a_tensor_that_the_index_promises_is_asked_for_in_its_file() {
    let copy = with_index(|_| ());
    let path = copy.path().join(SECOND);
    let mut tensors = changed_folders::read(&path);
    let (name, _) = tensors.pop_first().unwrap();
    write(&tensors, &path);
    refused(copy.path(), &[&name, &format!("by {INDEX_FILE} it is in {SECOND}, which lacks it")]);
}

/// As in transformers, `model.safetensors` wins over an index, and the last of several files wins over the others.
#[test]
fn an_index_beside_a_single_file_and_tensors_in_two_files_are_told() {
    let copy = copied("llama/tied");
    fs::write(copy.path().join(INDEX_FILE), "{}").unwrap();
    assert!(open(copy.path()).unwrap().warnings[0].contains(INDEX_FILE));
    let copy = with_index(|_| ());
    let [first, last] = ["model-00001-of-00004.safetensors", "model-00004-of-00004.safetensors"]
        .map(|name| copy.path().join(name));
    let mut tensors = changed_folders::read(&last);
    let (name, tensor) = changed_folders::read(&first).pop_first().unwrap();
    let twice = Tensor::full(Dtype::F32, &tensor.shape, 7.0);
    tensors.insert(name.clone(), twice.clone());
    write(&tensors, &last);
    let opened = open(copy.path()).unwrap();
    assert!(opened.warnings[0].contains(&format!("several files hold the same tensors ({name})")));
    let Tensors::Safetensors(files) = &opened.tensors else { panic!() };
    assert_eq!(&files.find(&name, &tensor.shape).unwrap().mapped_bytes()[..], twice.bytes);
}

#[test]
fn two_decoders_of_one_folder_are_refused() {
    let copy = copied("families/qwen3");
    let path = copy.path().join("model.safetensors");
    let tensors = changed_folders::read(&path);
    let both = ["talker.", "thinker."].map(|part| {
        tensors.iter().map(move |(name, tensor)| (format!("{part}{name}"), tensor.clone()))
    });
    write(&both.into_iter().flatten().collect(), &path);
    refused(copy.path(), &["decoders under 'talker.model.' and under 'thinker.model.'"]);
}
