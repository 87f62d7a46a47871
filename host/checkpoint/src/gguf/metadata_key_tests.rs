//! Sets every key and format that gguf-py knows (`tests/fixtures/make-gguf`) in a file of each family. A key with an
//! unusual value must change the shape, be refused, or be listed here as a key that changes nothing.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::*;
use memmap2::MmapMut;
use serde_json::Value as Json;
use std::{collections::BTreeSet, sync::Arc};

/// A fixture for each architecture.
const FILES: [(&str, &str); 13] = [
    ("llama", "llama-biases-f32"),
    ("llama", "mixtral-tiny-f32"),
    ("llama", "llama-yarn-f32"),
    ("qwen2", "qwen2-f32"),
    ("qwen3", "qwen3-f32"),
    ("qwen3moe", "qwen3-moe-f32"),
    ("gemma2", "gemma2-f32"),
    ("gemma3", "gemma3-f32"),
    ("phi3", "phi3-f32"),
    ("phi3", "phi3-longrope-f32"),
    ("olmo2", "olmo3-f32"),
    ("gpt2", "gpt2-f32"),
    ("gptneox", "gpt-neox-f32"),
];

/// Keys that change nothing in any model. The size of the vocabulary is taken from the embedding, the training of
/// RoPE does not change its computation, and positions of text are the same in all sections.
const HARMLESS: [&str; 3] = ["vocab_size", "rope.scaling.finetuned", "rope.dimension_sections"];
/// Keys that change something in some of the files and nothing in the others: the other kind of norm, YaRN's without
/// YaRN.
const SOMEWHERE: [&str; 6] = [
    "attention.layer_norm_epsilon",
    "attention.layer_norm_rms_epsilon",
    "rope.scaling.original_context_length",
    "rope.scaling.yarn_attn_factor",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
];

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../../tests/fixtures/gguf/{name}", env!("CARGO_MANIFEST_DIR")))
        .unwrap()
}

fn known() -> Json {
    serde_json::from_slice(&fixture("keys.json")).unwrap()
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

/// Writes a value after its type.
fn typed(kind: u32, value: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes(), value].concat()
}

fn u32_of(number: u32) -> Vec<u8> {
    typed(4, &number.to_le_bytes())
}

/// Sets a key of a file, which may be new.
fn with(bytes: &[u8], key: &str, value: &[u8]) -> Vec<u8> {
    let header = header::read(bytes).unwrap();
    let mut bytes = bytes.to_vec();
    let mut count = header.entries.len() as u64 + 2;
    let mut removed = 0;
    if let Some(entry) = header.entries.get(key) {
        let own = 8 + key.len() + 4 + if entry.count.is_some() { 12 } else { 0 };
        removed = own + entry.range.len();
        bytes.drain(entry.range.start - own..entry.range.end);
        count -= 1;
    }
    let added = [&text(key)[..], value].concat();
    // A second entry fills the header up, so that the data still begins at a multiple of the alignment.
    let filler =
        |length: usize| [text("general.comment"), typed(8, &text(&"x".repeat(length)))].concat();
    let short = (added.len() + filler(0).len() + 32 * 64 - removed) % 32;
    let filler = filler(32 - short);
    bytes.splice(24..24, [added, filler].concat());
    bytes[16..24].copy_from_slice(&count.to_le_bytes());
    bytes
}

fn open(bytes: &[u8]) -> Result<Gguf> {
    let mut map = MmapMut::map_anon(bytes.len()).unwrap();
    map.copy_from_slice(bytes);
    let path = Path::new("changed.gguf");
    Ok(Gguf::from_files(
        path,
        gguf_files::open_bytes(path, Arc::new(map.make_read_only().unwrap()))?,
    ))
}

/// Describes a file's model in words. The second value has the warnings.
fn read(bytes: &[u8]) -> Result<(String, Vec<String>)> {
    let GgufModel { shape, warnings, .. } = GgufModel::read(&mut open(bytes)?)?;
    Ok((format!("{shape:?}"), warnings))
}

#[test]
fn each_key_is_read_refused_or_harmless() {
    let known = known();
    let keys = known["keys"].as_array().unwrap().iter().map(|key| key.as_str().unwrap());
    let own: Vec<&str> = keys.filter_map(|key| key.strip_prefix("{arch}.")).collect();
    assert!(own.len() > 100, "only {} keys", own.len());
    let loud = [
        u32_of(7),
        typed(6, &0.37f32.to_le_bytes()),
        typed(7, &[0]),
        typed(7, &[1]),
        typed(8, &text("other")),
    ];
    let mut used = BTreeSet::new();
    for (architecture, name) in FILES {
        let bytes = fixture(&format!("{name}.gguf"));
        let (plain, warnings) = read(&bytes).unwrap();
        assert_eq!(warnings, [""; 0], "{name}");
        for key in &own {
            let key = key.replace("{dense}", "dense_2");
            let whole = format!("{architecture}.{key}");
            let (mut is_read, mut is_refused) = (false, false);
            for value in &loud {
                match read(&with(&bytes, &whole, value)) {
                    Ok((shape, warnings)) => {
                        assert_eq!(warnings, [""; 0], "{whole} is not known");
                        is_read |= shape != plain;
                    }
                    Err(error) => {
                        let said = error.to_string();
                        assert!(
                            said.starts_with("changed.gguf") && said.lines().count() == 1,
                            "{said}"
                        );
                        is_refused = true;
                    }
                }
                if is_read || (is_refused && !SOMEWHERE.contains(&&key[..])) {
                    break;
                }
            }
            if is_read {
                used.insert(key.clone());
            }
            // If there are lists of factors, the type is longrope whatever the key says, as in llama.cpp.
            let has_lists = name.contains("longrope");
            let is_idle = HARMLESS.contains(&&key[..])
                || (has_lists && key == "rope.scaling.type")
                || SOMEWHERE.contains(&&key[..])
                || (architecture == "gpt2" && key.starts_with("rope."));
            assert!(is_read || is_refused || is_idle, "{name}: {whole} is passed over");
        }
    }
    for key in SOMEWHERE {
        assert!(used.contains(key), "{key} is read in no family");
    }
}

#[test]
fn what_changes_nothing_is_accepted() {
    let bytes = fixture("llama-biases-f32.gguf");
    for (key, value) in [
        ("llama.logit_scale", typed(6, &1f32.to_le_bytes())),
        ("llama.attention.causal", typed(7, &[1])),
        ("llama.attention.clamp_kqv", typed(6, &0f32.to_le_bytes())),
        ("llama.expert_count", u32_of(0)),
        ("llama.expert_used_count", u32_of(0)),
        ("llama.rope.scaling.type", typed(8, &text("none"))),
        ("llama.tensor_data_layout", typed(8, &text("Meta AI original pth"))),
        ("general.name", typed(8, &text("a name"))),
        ("quantize.imatrix.file", typed(8, &text("a file"))),
    ] {
        let (_, warnings) = read(&with(&bytes, key, &value)).unwrap();
        assert_eq!(warnings, [""; 0], "{key}");
    }
}

#[test]
fn a_key_of_tomorrow_is_warned_of() {
    let bytes = fixture("llama-biases-f32.gguf");
    for key in ["llama.attention.of_tomorrow", "tomorrow.scale"] {
        let (_, warnings) = read(&with(&bytes, key, &u32_of(1))).unwrap();
        assert!(warnings.len() == 1 && warnings[0].contains(key), "{warnings:?}");
    }
}

/// Uses old names, defaults, and lists with one number for each layer.
#[test]
fn other_spellings_say_the_same() {
    let llama = fixture("llama-biases-f32.gguf");
    let of = |key: &str, value: Vec<u8>| read(&with(&llama, key, &value)).unwrap().0;
    let factor = typed(6, &4f32.to_le_bytes());
    let scaled = of("llama.rope.scaling.factor", factor.clone());
    assert_ne!(scaled, read(&llama).unwrap().0);
    assert_eq!(scaled, of("llama.rope.scale_linear", factor));
    // The fixture has two layers, two query heads, and one key and value head.
    let list = |numbers: &[u32]| {
        let numbers: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        typed(9, &[&4u32.to_le_bytes()[..], &2u64.to_le_bytes(), &numbers].concat())
    };
    let plain = read(&llama).unwrap().0;
    assert_eq!(plain, of("llama.attention.head_count_kv", list(&[1, 1])));
    let differing = read(&with(&llama, "llama.attention.head_count_kv", &list(&[1, 2])));
    assert!(differing.unwrap_err().to_string().contains("layer to layer"));
    // The pattern of Gemma 3's seven layers is written as a list of truth values.
    let gemma = fixture("gemma3-f32.gguf");
    let pattern = |every: u8| -> Vec<u8> {
        let layers: Vec<u8> = (0..7).map(|layer| u8::from(layer % every < every - 1)).collect();
        typed(9, &[&7u32.to_le_bytes()[..], &7u64.to_le_bytes(), &layers].concat())
    };
    let key = "gemma3.attention.sliding_window_pattern";
    let of = |value: Vec<u8>| read(&with(&gemma, key, &value)).unwrap().0;
    assert_eq!(of(pattern(6)), read(&gemma).unwrap().0);
    assert_eq!(of(pattern(3)), of(u32_of(3)));
    assert_ne!(of(pattern(3)), of(pattern(6)));
    let local = typed(6, &5000f32.to_le_bytes());
    let spelled = |key: &str| read(&with(&gemma, key, &local)).unwrap().0;
    assert_eq!(spelled("gemma3.rope.freq_base_swa"), spelled("gemma3.rope.local.freq_base"));
}

#[test]
fn what_is_no_language_model_is_called_what_it_is() {
    let llama = fixture("llama-biases-f32.gguf");
    let is = |key: &str, value: &str, word: &str| {
        let refused = read(&with(&llama, key, &typed(8, &text(value)))).unwrap_err().to_string();
        assert!(refused.contains(word), "{refused}");
    };
    is("general.architecture", "clip", "mmproj");
    is("general.architecture", "controlvector", "control vector");
    is("general.architecture", "llada", "diffusion");
    is("general.architecture", "flux", "images");
    is("general.architecture", "bert", "embedding");
    is("general.architecture", "rwkv7", "unknown general.architecture 'rwkv7'");
    is("general.type", "adapter", "LoRA adapter");
    is("general.type", "imatrix", "importance matrix");
    is("general.type", "mmproj", "mmproj");
    is("adapter.type", "lora", "adapter.type");
    let vocabulary = fixture("vocabulary-qwen2.gguf");
    assert!(read(&vocabulary).unwrap_err().to_string().contains("vocab-only"));
}

#[test]
fn other_files_are_called_what_they_are() {
    let refused = |bytes: &[u8], word: &str| {
        let said = open(bytes).err().unwrap().to_string();
        assert!(said.contains(word) && said.lines().count() == 1, "{said}");
    };
    let mut big = fixture("llama-biases-f32.gguf");
    big[4..8].reverse();
    refused(&big, "big-endian");
    big[..4].copy_from_slice(b"FUGG");
    refused(&big, "big-endian");
    big[..4].copy_from_slice(b"tjgg");
    refused(&big, "ggjt");
    big[..4].copy_from_slice(b"PK\x03\x04");
    refused(&big, "zip archive");
    big[..2].copy_from_slice(b"\x80\x02");
    refused(&big, "pickle");
    refused(&[&24u64.to_le_bytes()[..], br#"{"a": {"dtype": "F32"}  }"#].concat(), "safetensors");
    for (version, word) in [(1u32, "version 1"), (4, "version 4")] {
        let mut bytes = fixture("llama-biases-f32.gguf");
        bytes[4..8].copy_from_slice(&version.to_le_bytes());
        refused(&bytes, word);
    }
    let mut second = fixture("llama-biases-f32.gguf");
    second[4..8].copy_from_slice(&2u32.to_le_bytes());
    assert!(read(&second).is_ok(), "version 2 is laid out as version 3");
}

#[test]
fn formats_have_the_sizes_that_ggml_gives_them() {
    for format in known()["formats"].as_array().unwrap() {
        let number = format["number"].as_u64().unwrap() as u32;
        let ours = BlockFormat::from_number(number).unwrap();
        assert_eq!(ours.to_string(), format["name"].as_str().unwrap());
        assert_eq!(ours.block_len() as u64, format["block"].as_u64().unwrap(), "{ours}");
        // gguf-py counts two scales of four bytes. ggml has two bytes for each since 2023. No file has this format.
        if ours != BlockFormat::Q8_1 {
            assert_eq!(ours.block_bytes() as u64, format["bytes"].as_u64().unwrap(), "{ours}");
        }
    }
}

/// If a tensor were ignored, the result would be wrong.
#[test]
fn a_tensor_that_is_not_read_is_refused_by_name() {
    for (_, name) in FILES {
        let whole = fixture(&format!("{name}.gguf"));
        // Replaces the name of the last norm's gain by another name of the same length.
        let place = whole.windows(18).position(|bytes| bytes == b"output_norm.weight").unwrap();
        for other in [b"output_none.weight", b"blk.7.attn_q.scale"] {
            let mut bytes = whole.clone();
            bytes[place..place + 18].copy_from_slice(other);
            let said = read(&bytes).unwrap_err().to_string();
            assert!(said.contains(std::str::from_utf8(other).unwrap()), "{name}: {said}");
        }
    }
}

#[test]
fn parts_of_a_model_are_opened_by_any_of_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/gguf");
    let part = |index: usize| folder.join(format!("split-{index:05}-of-00003.gguf"));
    let whole = Gguf::open(&folder.join("llama-biases-f32.gguf")).unwrap();
    for index in 1..=3 {
        let mut split = Gguf::open(&part(index)).unwrap();
        assert_eq!(split.files().len(), 3);
        let names: Vec<_> = split.tensor_names().collect();
        assert_eq!(names, whole.tensor_names().collect::<Vec<_>>());
        for name in names {
            let dims = whole.dims(name).unwrap();
            let columns = dims.get(1).copied();
            let bytes =
                |gguf: &Gguf| gguf.rows(name, dims[0], columns).unwrap().mapped_bytes().to_vec();
            assert!(bytes(&split) == bytes(&whole), "{name}");
        }
        GgufModel::read(&mut split).unwrap();
    }
    let apart = tempfile::tempdir().unwrap();
    for index in [1, 3] {
        std::fs::copy(part(index), apart.path().join(part(index).file_name().unwrap())).unwrap();
    }
    let first = apart.path().join("split-00001-of-00003.gguf");
    let said = Gguf::open(&first).err().unwrap().to_string();
    assert!(said.contains("1 are missing") && said.contains("split-00002-of-00003.gguf"), "{said}");
    let renamed = apart.path().join("model.gguf");
    std::fs::rename(&first, &renamed).unwrap();
    let said = Gguf::open(&renamed).err().unwrap().to_string();
    assert!(said.contains("NAME-00001-of-00003.gguf"), "{said}");
}
