//! Compares tokens with those of transformers' `AutoTokenizer` for the same folders (`tests/fixtures/make-tokenizers`).

use crate::{
    gguf::Gguf,
    tokenizer::{Tokenizer, tests::assert_facts},
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/tokenizers")
}

fn expected() -> Value {
    let text = fs::read_to_string(fixtures().join("expected.json")).expect("the fixture");
    serde_json::from_str(&text).expect("JSON")
}

fn read(name: &str) -> Tokenizer {
    let read = Tokenizer::from_folder(&fixtures().join(name));
    read.expect("readable").expect("a tokenizer")
}

#[test]
fn every_folder_gives_the_tokens_and_texts_of_transformers() {
    let expected = expected();
    let folders = expected["folders"].as_object().expect("folders");
    assert_eq!(folders.len(), 29);
    let texts = expected["texts"].as_array().expect("texts");
    let mut wrong = Vec::new();
    for (name, theirs) in folders {
        let tokenizer = read(name);
        for (text, case) in texts.iter().zip(theirs["cases"].as_array().expect("cases")) {
            let text = text.as_str().expect("a text");
            let encode = |special| tokenizer.encode(text, special).expect("encoded");
            let special = encode(true);
            let decode = |keep| tokenizer.decode(&special, keep).expect("decoded");
            let ours = json!([encode(false), special, decode(false), decode(true)]);
            if ours != *case {
                wrong.push(format!("{name}, {text:?}:\n  {ours}\n  {case}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} texts:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn facts_of_every_folder_are_those_of_transformers() {
    let expected = expected();
    for (name, theirs) in expected["folders"].as_object().expect("folders") {
        assert_facts(&read(name).facts(), theirs, name);
    }
}

#[test]
fn vocabularies_that_are_not_read_are_named() {
    for (name, content) in [
        ("tekken.json", "{}"),
        ("qwen.tiktoken", "IQ== 0\n"),
        ("tokenizer.model", "IQ== 0\nIg== 1\n"),
        ("vocab.txt", "[PAD]\n[UNK]\n"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(name), content).expect("written");
        assert!(Tokenizer::from_folder(folder.path()).expect("no fault").is_none(), "{name}");
        let refusal = Tokenizer::folder_refusal(folder.path()).expect("a reason");
        assert!(refusal.contains(name) && refusal.contains("tokenizer.json"), "{refusal}");
    }
}

/// Changes a few random bytes of each file. The seed is fixed.
#[test]
fn damaged_vocabularies_end_in_a_sentence_or_in_tokens() {
    let vocabularies = fixtures().join("../vocabularies");
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let folder = tempfile::tempdir().expect("a folder");
    let mut outcomes = [0, 0];
    for (path, name) in [
        (fixtures().join("unigram-spm/tokenizer.model"), "tokenizer.model"),
        (fixtures().join("mistral-spm/tokenizer.model"), "tokenizer.model"),
        (fixtures().join("word-pieces/tokenizer.json"), "tokenizer.json"),
        (vocabularies.join("spm.gguf"), "model.gguf"),
        (vocabularies.join("unigram.gguf"), "model.gguf"),
        (vocabularies.join("wpm.gguf"), "model.gguf"),
        (vocabularies.join("bpe.gguf"), "model.gguf"),
    ] {
        let whole = fs::read(path).expect("the fixture");
        for _ in 0..40 {
            let mut bytes = whole.clone();
            for _ in 0..random.random_range(1..8) {
                let place = random.random_range(0..bytes.len());
                bytes[place] = random.random();
            }
            let path = folder.path().join(name);
            fs::write(&path, bytes).expect("written");
            let tokenizer = match name {
                "model.gguf" => Gguf::open(&path).and_then(|gguf| Tokenizer::from_gguf(&gguf)),
                _ => Tokenizer::from_folder(folder.path()),
            };
            outcomes[usize::from(matches!(tokenizer, Ok(Some(_))))] += 1;
            if let Ok(Some(tokenizer)) = tokenizer {
                for text in ["Ünïcödé ﬁ 12345 <s>", "你好 \u{a0}\u{2003}x"] {
                    let tokens = tokenizer.encode(text, true).unwrap_or_default();
                    tokenizer.decode(&tokens, true).expect("decoded");
                }
            }
            fs::remove_file(&path).expect("removed");
        }
    }
    assert!(outcomes.iter().all(|&count| count > 10), "{outcomes:?}");
}
