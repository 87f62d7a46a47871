//! Recognises GGUF files, files of other formats that are given as GGUF, and GGUF files that contain no language model.

use super::{Gguf, header};
use std::{fs::File, io::Read, path::Path};

/// Returns `true` if a file exists and should be opened as GGUF: it begins like a GGUF file, or its name ends with
/// `.gguf`.
pub fn is_gguf(path: &Path) -> bool {
    let mut magic = [0; 4];
    let begins = |mut file: File| {
        file.read_exact(&mut magic).is_ok()
            && (magic == header::MAGIC
                || magic == header::SWAPPED_MAGIC
                || OLD_MAGIC.iter().any(|(old, _)| **old == magic))
    };
    path.is_file() && (is_named_gguf(path) || File::open(path).is_ok_and(begins))
}

/// Returns `true` if a path ends with `.gguf`.
pub(crate) fn is_named_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"))
}

/// Describes a file that begins like another format. Returns `None` if it may be GGUF.
pub(super) fn describe_other_format(bytes: &[u8]) -> Option<String> {
    let starts = |with: &[u8]| bytes.starts_with(with);
    if starts(&header::MAGIC) || starts(&header::SWAPPED_MAGIC) {
        return None;
    }
    if let Some((_, name)) = OLD_MAGIC.iter().find(|(magic, _)| starts(*magic)) {
        return Some(format!(
            "a {name} file, of llama.cpp before August 2023: convert the model to GGUF again"
        ));
    }
    if let Some((_, what)) = OTHER_MAGIC.iter().find(|(magic, _)| starts(magic)) {
        return Some((*what).to_owned());
    }
    if is_safetensors(bytes) {
        return Some("a safetensors file: give its folder, with its config.json".to_owned());
    }
    None
}

/// The first four bytes of llama.cpp's earlier formats (`llama.h` of July 2023), and the names of the formats.
const OLD_MAGIC: [(&[u8; 4], &str); 5] = [
    (b"lmgg", "ggml"),
    (b"fmgg", "ggmf"),
    (b"tjgg", "ggjt"),
    (b"algg", "ggla (LoRA)"),
    (b"nsgg", "ggsn (session)"),
];

/// The first bytes of other formats that people give as GGUF, with what the file is and the remedy.
const OTHER_MAGIC: [(&[u8], &str); 7] = [
    (
        b"PK\x03\x04",
        "a zip archive, as PyTorch writes checkpoints: unpack it, or convert the checkpoint to safetensors",
    ),
    (b"\x80\x02", "a Python pickle, as PyTorch writes checkpoints: convert it to safetensors"),
    (b"\x1f\x8b", "compressed by gzip: unpack it"),
    (b"\x28\xb5\x2f\xfd", "compressed by Zstandard: unpack it"),
    (b"\xfd7zXZ\0", "compressed by xz: unpack it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it"),
    (b"\x89HDF", "an HDF5 file, as Keras writes models: use a checkpoint in safetensors"),
];

/// Returns `true` if a file begins like a safetensors file, with the length of a JSON object and the object.
fn is_safetensors(bytes: &[u8]) -> bool {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else { return false };
    let length = u64::from_le_bytes(*length);
    rest.first() == Some(&b'{') && (2..=rest.len() as u64).contains(&length)
}

/// Architectures of GGUF files that do not predict the next token, and what they are.
const OTHER_ARCHITECTURES: [(&[&str], &str); 6] = [
    (
        &["clip", "mmproj"],
        "the image or sound part of a model (mmproj): give the file of the language model",
    ),
    (&["controlvector"], "a control vector: give the file of the model"),
    (&["imatrix"], "an importance matrix: give the file of the model"),
    (
        &["dream", "llada", "llada-moe", "rnd1"],
        "a diffusion language model, which does not predict the next token: this version does not run it",
    ),
    (
        &[
            "bert",
            "eurobert",
            "modern-bert",
            "neo-bert",
            "nomic-bert",
            "nomic-bert-moe",
            "jina-bert-v2",
            "jina-bert-v3",
            "t5encoder",
            "gemma-embedding",
            "llama-embed",
        ],
        "an embedding model, which does not predict the next token: this version does not run it",
    ),
    (
        &[
            "aura",
            "cosmos",
            "flux",
            "hidream",
            "hyvid",
            "ltxv",
            "lumina2",
            "pixart",
            "qwen_image",
            "sd1",
            "sd3",
            "sdxl",
            "wan",
        ],
        "a model that makes images or videos: this version does not run it",
    ),
];

/// Describes a GGUF file that contains no language model, with the remedy. Returns `None` if it may contain one.
pub(super) fn describe_other_content(gguf: &Gguf) -> Option<String> {
    let architecture = gguf.text("general.architecture").unwrap_or_default();
    let known = OTHER_ARCHITECTURES.iter().find(|(all, _)| all.contains(&&architecture[..]));
    if let Some((_, what)) = known {
        return Some(format!("it is {what}"));
    }
    let kind = gguf.text("general.type").unwrap_or_default();
    let what = match kind.as_str() {
        "adapter" => {
            "a LoRA adapter in GGUF, which this version does not attach: use the adapter's PEFT folder, and give the model's file here"
        }
        "imatrix" => "an importance matrix: give the file of the model",
        "mmproj" => OTHER_ARCHITECTURES[0].1,
        "" | "model" => return describe_missing_weights(gguf),
        other => {
            return Some(format!(
                "it is of general.type '{other}', which is no model: give the file of the model"
            ));
        }
    };
    Some(format!("it is {what}"))
}

fn describe_missing_weights(gguf: &Gguf) -> Option<String> {
    if gguf.has_key("diffusion.shift_logits") {
        return Some(format!("it is {}", OTHER_ARCHITECTURES[3].1));
    }
    gguf.tensor_names().next().is_none().then(|| {
        "it holds a vocabulary and no weights (vocab-only): give the file of the model".to_owned()
    })
}
