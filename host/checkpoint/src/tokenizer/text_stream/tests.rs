//! Compares the stream with decoding all tokens after each token.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::DecodingScheme;
use crate::tokenizer::{Tokenizer, TokenizerBackend};
use crate::{gguf::Gguf, tokenizer::SpecialTokens};
use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::path::Path;

fn fixtures() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures"))
}

/// Makes a tokenizer with a few tokens and a byte token for each byte.
fn small(decoder: Value) -> Tokenizer {
    let words = ["<unk>", "<s>", "</s>", "▁", "▁the", "ing", "a", "▁a", "é", "∑x", "##s", "b</w>"];
    let more = ["\u{fffd}", " ", "..", "n't", "<tool>", "<0x4g>", "H", "HH", "Ġw", "Ã", "©"];
    let bytes = (0..256).map(|byte| format!("<0x{byte:02X}>"));
    let tokens = words.iter().chain(&more).map(|&token| token.to_owned()).chain(bytes);
    let vocab: serde_json::Map<_, _> =
        tokens.zip(0..).map(|(token, id): (String, u32)| (token, id.into())).collect();
    let added = |id: u32, content: &str, special: bool| {
        json!({ "id": id, "content": content, "special": special, "single_word": false,
            "lstrip": false, "rstrip": false, "normalized": false })
    };
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null,
        "pre_tokenizer": null, "post_processor": null, "decoder": decoder,
        "added_tokens": [added(1, "<s>", true), added(2, "</s>", true), added(16, "<tool>", false)],
        "model": { "type": "BPE", "vocab": vocab, "merges": [], "unk_token": "<unk>" },
    });
    let library = tokenizer.to_string().parse().unwrap();
    Tokenizer::from_library(library, SpecialTokens::default(), false)
}

fn sequence(decoders: &[Value]) -> Value {
    json!({ "type": "Sequence", "decoders": decoders })
}

/// Tokenizers with the decoders of published models, and whether their text is decoded token by token.
fn tokenizers() -> Vec<(String, Tokenizer, bool)> {
    let replace = json!({ "type": "Replace", "pattern": { "String": "▁" }, "content": " " });
    let regex = json!({ "type": "Replace", "pattern": { "Regex": "a+" }, "content": "-" });
    let (bytes, fuse) = (json!({ "type": "ByteFallback" }), json!({ "type": "Fuse" }));
    let strip = |content: &str, start: u32, stop: u32| json!({ "type": "Strip", "content": content, "start": start, "stop": stop });
    let metaspace = |scheme: &str| json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": true });
    let byte_level = json!({ "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true,
        "use_regex": true });
    let word_piece =
        |cleanup: bool| json!({ "type": "WordPiece", "prefix": "##", "cleanup": cleanup });
    let case =
        |name: &str, decoder: Value, followed: bool| (name.to_owned(), small(decoder), followed);
    let llama = [replace.clone(), bytes.clone(), fuse.clone(), strip(" ", 1, 0)];
    let mut all = vec![
        case("Llama 2", sequence(&llama), true),
        case("Gemma", sequence(&llama[..3]), true),
        case("nested", sequence(&[replace.clone(), sequence(&llama[1..])]), true),
        case("two stripped", sequence(&[fuse.clone(), strip("H", 2, 0)]), true),
        case("each stripped", sequence(&[strip("H", 1, 0), bytes.clone()]), true),
        case("bytes alone", bytes.clone(), true),
        case("T5", metaspace("always"), true),
        case("never first", metaspace("never"), true),
        case("byte level", byte_level.clone(), true),
        case("BERT", word_piece(true), true),
        case("BERT as it is", word_piece(false), true),
        case("none", Value::Null, true),
        case("suffixes", json!({ "type": "BPEDecoder", "suffix": "</w>" }), false),
        case(
            "CTC",
            json!({ "type": "CTC", "pad_token": "a", "word_delimiter_token": "▁",
            "cleanup": true }),
            false,
        ),
        case("a regex over all", sequence(&[bytes, fuse, regex]), false),
    ];
    let file = Tokenizer::from_json_file(&fixtures().join("tokenizer/tokenizer.json")).unwrap();
    all.push(("fixtures/tokenizer".to_owned(), file, true));
    for name in ["bpe", "spm", "unigram", "wpm", "gemma4"] {
        let gguf = Gguf::open(&fixtures().join(format!("vocabularies/{name}.gguf"))).unwrap();
        all.push((name.to_owned(), Tokenizer::from_gguf(&gguf).unwrap().unwrap(), true));
    }
    all.push(("synthetic".to_owned(), Tokenizer::with_byte_tokens().unwrap(), true));
    all
}

/// Makes random tokens: runs of byte tokens, whole characters and other tokens.
fn ids(tokenizer: &Tokenizer, random: &mut ChaCha8Rng) -> Vec<u32> {
    let size = tokenizer.facts().vocabulary as u32;
    let byte = |byte: u8| tokenizer.token_id(&format!("<0x{byte:02X}>"));
    let count = random.random_range(1..60);
    let mut ids = Vec::new();
    while ids.len() < count {
        let text = ["é", "∑", "🦀", "ab", "\u{fffd}"].choose(random).unwrap();
        match random.random_range(0..4) {
            0 => ids.extend(text.bytes().filter_map(byte)),
            1 => ids.extend(tokenizer.encode(text, false).unwrap()),
            // Includes ids beyond the vocabulary, because models can have more rows than tokens.
            2 => ids.push(random.random_range(0..size + 3)),
            _ => ids.push(random.random_range(0..size.min(24))),
        }
    }
    ids
}

/// Makes a random stop string: usually a part of one of the texts.
fn stop(texts: &[String], random: &mut ChaCha8Rng) -> String {
    let text: Vec<char> = texts.choose(random).unwrap().chars().collect();
    if text.is_empty() || random.random_bool(0.2) {
        return ["\u{fffd}", "\u{fffd}\u{fffd}\u{fffd}", " ", "nowhere", "a"]
            .choose(random)
            .unwrap()
            .to_string();
    }
    let start = random.random_range(0..text.len());
    let end = text.len().min(start + random.random_range(1..12));
    text[start..end].iter().collect()
}

#[test]
fn stop_strings_are_found_where_the_whole_text_has_them() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    for (name, tokenizer, _) in tokenizers() {
        for _ in 0..400 {
            let ids = ids(&tokenizer, &mut random);
            let texts: Vec<String> =
                (1..=ids.len()).map(|end| tokenizer.decode(&ids[..end], false).unwrap()).collect();
            let stops: Vec<String> =
                (0..random.random_range(1..4)).map(|_| stop(&texts, &mut random)).collect();
            let has_stop = |text: &String| stops.iter().any(|stop| text.contains(stop));
            let expected = texts.iter().position(has_stop);
            let keep = stops.iter().map(String::len).max().unwrap() - 1;
            let mut stream = tokenizer.stream(keep);
            let found = ids.iter().position(|&id| {
                let end = tokenizer.push(&mut stream, id).unwrap();
                has_stop(&end)
            });
            assert_eq!(found, expected, "{name}: {stops:?} in {texts:?} of {ids:?}");
        }
    }
}

#[test]
fn texts_of_published_decoders_are_decoded_token_by_token() {
    for (name, tokenizer, followed) in tokenizers() {
        let is_whole = matches!(
            tokenizer.backend,
            TokenizerBackend::Library { scheme: DecodingScheme::Whole, .. }
        );
        assert_eq!(!is_whole, followed, "{name}");
    }
}

/// This holds for characters, for bytes that are not UTF-8, and for tokens without a text.
#[test]
fn the_returned_text_does_not_grow() {
    let mut random = ChaCha8Rng::seed_from_u64(4);
    for (name, tokenizer, followed) in tokenizers() {
        let case = |token: &str| tokenizer.token_id(token).unwrap_or(0);
        for ids in [vec![case("<0xE5>")], vec![case("<0x61>")], vec![1], vec![case("a"), 3, 7]] {
            let mut stream = tokenizer.stream(20);
            let longest = (0..5_000)
                .map(|_| {
                    let id = *ids.choose(&mut random).unwrap();
                    tokenizer.push(&mut stream, id).unwrap().len()
                })
                .max();
            assert!(!followed || longest.unwrap() < 100, "{name}: {longest:?}");
            if !followed {
                break;
            }
        }
    }
}
