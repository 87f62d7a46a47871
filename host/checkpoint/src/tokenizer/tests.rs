use super::*;
use crate::text_file;
use serde_json::{Value as Json, json};

/// Compares what is known of a tokenizer with what transformers says of it (`tests/fixtures/make-special-tokens`).
pub(super) fn assert_facts(facts: &TokenizerFacts, theirs: &Json, name: &str) {
    let role = |token: &Option<SpecialToken>| {
        token.as_ref().map_or(Json::Null, |token| json!({ "id": token.id, "text": token.text }))
    };
    let roles =
        [("bos", &facts.bos), ("eos", &facts.eos), ("pad", &facts.pad), ("unk", &facts.unk)];
    for (key, ours) in roles {
        assert_eq!(role(ours), theirs["roles"][key], "{key} of {name}");
    }
    let named: Vec<_> = facts.special.iter().filter(|token| token.is_named).collect();
    let ids: Vec<u32> = named.iter().map(|token| token.id).collect();
    let texts: Vec<&str> = named.iter().map(|token| &token.text[..]).collect();
    assert_eq!(json!(ids), theirs["all_special_ids"], "{name}");
    assert_eq!(json!(texts), theirs["all_special_tokens"], "{name}");
    assert_eq!(json!(facts.added_by_encoding), theirs["added"], "{name}");
    assert_eq!(json!(facts.vocabulary), theirs["length"], "{name}");
}

/// Replaces a part of the fixture, and returns the error message of the tokenizer.
fn refusal(part: &str, value: Json) -> String {
    let fixture =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/tokenizer/tokenizer.json");
    let text = std::fs::read_to_string(fixture).expect("the fixture");
    let mut json: Json = serde_json::from_str(&text).expect("JSON");
    json[part] = value;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tokenizer.json");
    std::fs::write(&path, json.to_string()).expect("written");
    Tokenizer::from_json_file(&path).err().expect("refused").to_string()
}

#[test]
fn parts_that_the_library_panics_with_are_refused() {
    let template = |single: Json| {
        let pieces = json!([{ "Sequence": { "id": "A", "type_id": 0 } }]);
        json!({
            "type": "TemplateProcessing", "single": [single], "pair": pieces, "special_tokens": {},
        })
    };
    let missing = template(json!({ "SpecialToken": { "id": "<s>", "type_id": 0 } }));
    assert!(refusal("post_processor", missing.clone()).contains("lacks \"<s>\""));
    let within = json!({ "type": "Sequence", "processors": [missing] });
    assert!(refusal("post_processor", within).contains("lacks \"<s>\""));
    let second = template(json!({ "Sequence": { "id": "B", "type_id": 0 } }));
    assert!(refusal("post_processor", second).contains("sequence B"));
    let map = json!({ "type": "Precompiled", "precompiled_charsmap": "AAAA" });
    assert!(refusal("normalizer", map).contains("precompiled_charsmap"));
}

fn fixtures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures")
}

/// The expected values come from transformers' `AutoTokenizer` (`tests/fixtures/make-special-tokens`).
#[test]
fn special_tokens_are_those_that_transformers_knows() {
    let text = text_file::read(&fixtures().join("special-tokens/expected.json"));
    let expected: Json = serde_json::from_str(&text.expect("the fixture")).expect("JSON");
    let tokenizers = expected["tokenizers"].as_object().expect("tokenizers");
    assert_eq!(tokenizers.len(), 4);
    for (name, theirs) in tokenizers {
        let folder = match &name[..] {
            "tokenizer" => fixtures().join(name),
            _ => fixtures().join("special-tokens").join(name),
        };
        let tokenizer =
            Tokenizer::from_json_file(&folder.join("tokenizer.json")).expect("readable");
        let facts = tokenizer.facts();
        assert_facts(&facts, theirs, name);
        for (id, text) in theirs["tokens"].as_array().expect("tokens").iter().enumerate() {
            let text = text.as_str().expect("text");
            assert_eq!(tokenizer.token_text(id as u32).as_deref(), Some(text), "{name}");
            assert_eq!(tokenizer.token_id(text), Some(id as u32), "{name}");
        }
        assert_eq!(tokenizer.token_text(facts.vocabulary as u32), None);
        assert_eq!(tokenizer.token_id("no such token"), None);
        for case in theirs["cases"].as_array().expect("cases") {
            let text = case["text"].as_str().expect("text");
            let [plain, special] =
                [false, true].map(|add| tokenizer.encode(text, add).expect("encoded"));
            assert_eq!(json!(plain), case["plain"], "{text:?} by {name}");
            assert_eq!(json!(special), case["special"], "{text:?} by {name}");
            let decode = |keep| tokenizer.decode(&special, keep).expect("decoded");
            assert_eq!(json!(decode(false)), case["skipped"], "{text:?} by {name}");
            assert_eq!(json!(decode(true)), case["kept"], "{text:?} by {name}");
        }
    }
}

#[test]
fn tokens_that_the_vocabulary_alone_marks_are_told_apart() {
    let path = fixtures().join("special-tokens/listed/tokenizer.json");
    let facts = Tokenizer::from_json_file(&path).expect("readable").facts();
    let marked = facts.special.iter().filter(|token| !token.is_named);
    let marked: Vec<_> = marked.map(|token| (token.id, &token.text[..])).collect();
    assert_eq!(marked, [(262, "<|reserved|>")]);
    // The byte tokenizer, and a GGUF file whose first two tokens have roles.
    let bytes = Tokenizer::with_byte_tokens().expect("made").facts();
    let gguf = Gguf::open(&fixtures().join("gguf/vocabulary-qwen2.gguf")).expect("a file");
    let gguf = Tokenizer::from_gguf(&gguf).expect("readable").expect("a vocabulary").facts();
    for (facts, ids, texts, length) in
        [(bytes, [256, 257], BYTE_SPECIALS, 258), (gguf, [0, 1], ["<|begin|>", "<|end|>"], 400)]
    {
        let token = |index: usize| SpecialToken {
            id: ids[index],
            text: texts[index].to_owned(),
            is_named: true,
        };
        assert_eq!([facts.bos, facts.eos], [Some(token(0)), Some(token(1))]);
        assert_eq!([facts.pad, facts.unk], [None, None]);
        assert_eq!(facts.special, [token(0), token(1)]);
        assert_eq!(facts.vocabulary, length);
    }
}

#[test]
fn a_decoder_that_is_no_json_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tokenizer.json");
    for decoder in ["nul", &"[".repeat(100_000)] {
        std::fs::write(&path, format!("{{\"decoder\": {decoder}")).expect("written");
        let refusal = Tokenizer::from_json_file(&path).err().expect("refused").to_string();
        assert!(refusal.contains("tokenizer.json"), "{refusal}");
    }
}
