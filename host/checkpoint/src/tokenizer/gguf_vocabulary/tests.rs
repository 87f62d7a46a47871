//! Compares tokens with those of llama.cpp for the same files (`tests/fixtures/make-vocabularies`).

use super::pre_tokenizers;
use crate::{gguf::Gguf, tokenizer::Tokenizer};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/vocabularies")
}

fn expected() -> Value {
    let text = fs::read_to_string(fixtures().join("expected.json")).expect("the fixture");
    serde_json::from_str(&text).expect("JSON")
}

fn read(path: &Path) -> Tokenizer {
    let gguf = Gguf::open(path).expect("a file");
    Tokenizer::from_gguf(&gguf).expect("readable").expect("a vocabulary")
}

/// Describes the texts for which a tokenizer gives other tokens than llama.cpp.
fn differences(tokenizer: &Tokenizer, texts: &Value, cases: &Value) -> Vec<String> {
    let pairs = texts.as_array().expect("texts").iter().zip(cases.as_array().expect("cases"));
    let mut differences = Vec::new();
    for (text, theirs) in pairs {
        let text = text.as_str().expect("a text");
        for special in [false, true] {
            let ours = tokenizer.encode(text, special).expect("encoded");
            let theirs = &theirs[usize::from(special)];
            if json!(ours) != *theirs {
                differences.push(format!("{text:?}: {ours:?}, and llama.cpp {theirs}"));
            }
        }
    }
    differences
}

#[test]
fn every_kind_of_vocabulary_gives_the_tokens_of_llama_cpp() {
    let expected = expected();
    let files = expected["files"].as_object().expect("files");
    assert_eq!(files.len(), 7);
    for (name, theirs) in files {
        let tokenizer = read(&fixtures().join(format!("{name}.gguf")));
        let differences = differences(&tokenizer, &expected["texts"], &theirs["cases"]);
        assert!(differences.is_empty(), "{name}: {differences:#?}");
    }
}

#[test]
fn facts_and_texts_of_tokens_are_those_of_llama_cpp() {
    for (name, theirs) in expected()["files"].as_object().expect("files") {
        let tokenizer = read(&fixtures().join(format!("{name}.gguf")));
        let facts = tokenizer.facts();
        assert_eq!(json!(facts.vocabulary), theirs["count"], "{name}");
        assert_eq!(json!(tokenizer.end_of_generation()), theirs["ends"], "{name}");
        for (role, ours) in [("bos", &facts.bos), ("eos", &facts.eos), ("pad", &facts.pad)] {
            // For BERT's vocabularies, llama.cpp has an EOS token only if the file names one.
            let ours = ours.as_ref().map_or(Value::Null, |token| json!(token.id));
            assert_eq!(ours, theirs["named"][role], "{role} of {name}");
        }
        let super::super::TokenizerBackend::Gguf(vocabulary) = &tokenizer.backend else {
            panic!("{name} is another kind");
        };
        for (key, keep_special) in [("shown", false), ("kept", true)] {
            let ids = 0..vocabulary.len() as u32;
            let bytes = ids.flat_map(|id| vocabulary.bytes(id, keep_special));
            let digits: String = bytes.map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(json!(digits), theirs[key], "{key} of {name}");
        }
    }
}

#[test]
fn texts_come_back_from_their_tokens() {
    for name in ["spm", "spm-ties", "bpe", "gemma4"] {
        let tokenizer = read(&fixtures().join(format!("{name}.gguf")));
        for text in expected()["texts"].as_array().expect("texts") {
            let text = text.as_str().expect("a text");
            // Leave out texts that do not survive: the spelling of a special token or of a space becomes that token,
            // `▁the` has no text in these files, and a space is added after `ab`, which is never split.
            if ["▁", "<", "[", " the", "ab"].iter().any(|part| text.contains(part)) {
                continue;
            }
            let tokens = tokenizer.encode(text, true).expect("encoded");
            assert_eq!(tokenizer.decode(&tokens, false).expect("decoded"), text, "{name}");
        }
    }
}

/// Writes a copy of the fixture with another value of `tokenizer.ggml.pre`.
fn with_pre(name: &str, folder: &Path) -> PathBuf {
    let bytes = fs::read(fixtures().join("bpe.gguf")).expect("the fixture");
    let key = b"tokenizer.ggml.pre";
    let place = bytes.windows(key.len()).position(|window| window == key).expect("the key");
    // The type of the value, then its length, then the text.
    let value = place + key.len() + 4;
    let mut changed = bytes[..value].to_vec();
    changed.extend((name.len() as u64).to_le_bytes());
    changed.extend(name.as_bytes());
    changed.extend(&bytes[value + 8 + "gpt-2".len()..]);
    let path = folder.join("changed.gguf");
    fs::write(&path, changed).expect("written");
    path
}

#[test]
fn every_pre_tokenizer_splits_as_llama_cpp_does() {
    let expected = expected();
    let folder = tempfile::tempdir().expect("a folder");
    let mut names = BTreeSet::new();
    let mut wrong = Vec::new();
    for way in expected["pre"].as_array().expect("ways") {
        for name in way["names"].as_array().expect("names") {
            let name = name.as_str().expect("a name");
            names.insert(name);
            let tokenizer = read(&with_pre(name, folder.path()));
            let differences = differences(&tokenizer, &expected["texts"], &way["cases"]);
            wrong.extend((!differences.is_empty()).then(|| format!("{name}: {differences:#?}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(names.len(), 87);
}

#[test]
fn an_unknown_pre_tokenizer_is_reported() {
    assert!(pre_tokenizers::by_name("no such").is_none());
    let folder = tempfile::tempdir().expect("a folder");
    let gguf = Gguf::open(&with_pre("no such", folder.path())).expect("a file");
    assert!(Tokenizer::from_gguf(&gguf).expect("readable").is_none());
    let refusal = Tokenizer::gguf_refusal(&gguf).expect("a reason");
    assert!(refusal.contains("\"no such\"") && refusal.contains("token ids"), "{refusal}");
}

#[test]
#[ignore = "needs vocabularies of published models: tests/peers/llama-vocabularies"]
fn large_vocabularies_give_the_tokens_of_llama_cpp() {
    let path =
        std::env::var_os("LLEM_VOCABULARIES").expect("tests/peers/llama-vocabularies sets it");
    let text = fs::read_to_string(path).expect("the texts");
    let expected: Value = serde_json::from_str(&text).expect("JSON");
    let mut is_same = true;
    for (path, theirs) in expected.as_object().expect("files") {
        let tokenizer = read(Path::new(path));
        let differences = differences(&tokenizer, &theirs["texts"], &theirs["cases"]);
        let texts = theirs["texts"].as_array().map_or(0, Vec::len);
        println!("{path}: {} of {texts} texts differ", differences.len());
        println!("{}", differences.iter().take(3).cloned().collect::<Vec<_>>().join("\n"));
        is_same &= differences.is_empty() && json!(tokenizer.end_of_generation()) == theirs["ends"];
    }
    assert!(is_same, "see above");
}
