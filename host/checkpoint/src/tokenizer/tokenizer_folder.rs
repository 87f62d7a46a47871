//! Reads the tokenizer of a model's folder, as transformers' `AutoTokenizer` does.

use super::{
    SpecialTokens, Tokenizer,
    charsmap::Charsmap,
    sentencepiece::{self, SentencePieceModel},
    special_tokens::{self, ROLES, extra_tokens, read_settings, token_text},
    tokenizer_class::TokenizerClass,
};
use crate::{Error, Result, text_file};
use base64::{Engine, prelude::BASE64_STANDARD as STANDARD};
use serde_json::{Map, Value as Json, json};
use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::Path,
};
use tokenizers::AddedToken;

/// The file with a whole tokenizer.
const TOKENIZER: &str = "tokenizer.json";

/// The file with tokens that were added to a vocabulary, which transformers wrote before version 4.34.
const ADDED_TOKENS: &str = "added_tokens.json";

/// The two vocabulary files of byte-level BPE, which are read if there is no other.
const BYTE_LEVEL: [&str; 2] = ["vocab.json", "merges.txt"];

/// Files with a vocabulary. The first one that exists is read. The last two belong together.
pub(crate) const VOCABULARY_FILES: [&str; 5] =
    [TOKENIZER, sentencepiece::FILE, sentencepiece::MISTRAL_FILE, BYTE_LEVEL[0], BYTE_LEVEL[1]];

/// Files with settings of a tokenizer.
pub(crate) const SETTINGS_FILES: [&str; 3] =
    [special_tokens::FILES[0], special_tokens::FILES[1], ADDED_TOKENS];

/// Vocabularies that are not read: the end of the file name, and a description.
const UNREAD_VOCABULARIES: [(&str, &str); 4] = [
    ("tekken.json", "Mistral's own vocabulary"),
    (".tiktoken", "a tiktoken vocabulary"),
    ("tiktoken.model", "a tiktoken vocabulary"),
    ("vocab.txt", "a list of word pieces"),
];

/// Reads the tokenizer of a folder. Returns `None` if the folder has no vocabulary of a kind that is read.
/// `model_config` is the folder's `config.json`, if the caller has parsed it already.
///
/// # Errors
/// Fails if a file cannot be read or is invalid.
pub(super) fn read(folder: &Path, model_config: Option<&Json>) -> Result<Option<Tokenizer>> {
    let present = |name: &str| Some(folder.join(name)).filter(|path| path.is_file());
    if let Some(path) = present(TOKENIZER) {
        return read_json(&path, model_config).map(Some);
    }
    let path = [sentencepiece::FILE, sentencepiece::MISTRAL_FILE].into_iter().find_map(present);
    if let Some(path) = path
        && let Some(model) = SentencePieceModel::from_file(&path)?
    {
        let (class, mut config) = read_settings(folder, model_config)?;
        let mut json = model.to_json(class, &mut config).map_err(|error| error.in_file(&path))?;
        json["post_processor"] = template_processing(&config, &json);
        return build(json, class, &config, &path).map(Some);
    }
    let [Some(vocabulary), Some(merges)] = BYTE_LEVEL.map(present) else { return Ok(None) };
    let (class, config) = read_settings_with_tokens(folder, &Json::Null, model_config)?;
    if !matches!(class, TokenizerClass::Gpt2 | TokenizerClass::Qwen2 | TokenizerClass::GptNeox) {
        return Ok(None);
    }
    let vocab: Map<String, Json> = text_file::parse(&text_file::read(&vocabulary)?, &vocabulary)?;
    let merges = text_file::read(&merges)?;
    let merges = merges.lines().filter(|line| !line.starts_with("#version") && !line.is_empty());
    let merges: Vec<&str> = merges.collect();
    let mut json =
        json!({ "version": "1.0", "model": { "type": "BPE", "vocab": vocab, "merges": merges } });
    json["post_processor"] = template_processing(&config, &json);
    build(json, class, &config, &vocabulary).map(Some)
}

/// Names the files of a folder that [`read`] would read. Some of them may not exist.
pub(super) fn files(folder: &Path) -> Vec<&'static str> {
    let first = VOCABULARY_FILES.into_iter().find(|name| folder.join(name).is_file());
    let first = first.unwrap_or(TOKENIZER);
    let vocabulary = if BYTE_LEVEL.contains(&first) { BYTE_LEVEL.to_vec() } else { vec![first] };
    vocabulary.into_iter().chain(SETTINGS_FILES).collect()
}

/// Explains why [`read`] returned `None`, and what to do. Returns `None` if the folder has no known vocabulary.
pub(super) fn refusal(folder: &Path) -> Option<String> {
    let names =
        fs::read_dir(folder).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.collect();
    names.sort();
    let other = names.iter().find_map(|name| {
        let what = UNREAD_VOCABULARIES.iter().find(|(ending, _)| name.ends_with(ending));
        what.map(|(_, what)| (name.as_str(), *what))
    });
    // Llama 3's original tiktoken file has the same name as Llama 2's SentencePiece model.
    let tiktoken = || names.iter().find(|name| *name == sentencepiece::FILE);
    let (name, what) = other.or_else(|| Some((tiktoken()?.as_str(), "no SentencePiece model")))?;
    Some(format!(
        "{} is {what}, which is not read: give token ids instead of text, or put the model's tokenizer.json beside it",
        folder.join(name).display()
    ))
}

/// Reads a `tokenizer.json`, and the settings files in the same folder.
pub(super) fn read_json(path: &Path, model_config: Option<&Json>) -> Result<Tokenizer> {
    let json: Json = text_file::parse(&text_file::read(path)?, path)?;
    if !json.is_object() {
        return Err(Error::file(path, "is no tokenizer: fetch it again"));
    }
    let (class, mut config) =
        read_settings_with_tokens(path.parent().unwrap_or(Path::new("")), &json, model_config)?;
    if let Some(token) = json["padding"]["pad_token"].as_str()
        && config.get("pad_token").is_none()
    {
        config["pad_token"] = token.into();
    }
    build(json, class, &config, path)
}

/// Reads the settings of a folder. If they do not list the added tokens, it collects them from `added_tokens.json` and
/// from `json`, the contents of `tokenizer.json`.
fn read_settings_with_tokens(
    folder: &Path,
    json: &Json,
    model_config: Option<&Json>,
) -> Result<(TokenizerClass, Json)> {
    let (class, mut config) = read_settings(folder, model_config)?;
    if config.get("added_tokens_decoder").is_some() {
        return Ok((class, config));
    }
    let path = folder.join(ADDED_TOKENS);
    let ids: Map<String, Json> = match path.is_file() {
        true => text_file::parse(&text_file::read(&path)?, &path)?,
        false => Map::new(),
    };
    let special = SpecialTokens::from_config(&config);
    let mut tokens: Map<String, Json> = (ids.iter())
        .map(|(text, id)| {
            let special = special.texts().contains(&&text[..]);
            (id.to_string(), json!({ "content": text, "special": special }))
        })
        .collect();
    let listed = json["added_tokens"].as_array().into_iter().flatten();
    tokens.extend(listed.map(|token| (token["id"].to_string(), token.clone())));
    config["added_tokens_decoder"] = tokens.into();
    Ok((class, config))
}

/// Returns the post-processor that adds BOS and EOS around a text, for vocabularies whose only source for this is the
/// config.
fn template_processing(config: &Json, json: &Json) -> Json {
    let token = |flag: &str, role: &str| {
        let text = token_text(&config[role]).filter(|_| config[flag] == true)?;
        let listed = configured_tokens(config).into_iter().find(|(_, token)| token.content == text);
        let vocabulary = &json["model"]["vocab"];
        let pieces = vocabulary.as_array().into_iter().flatten();
        let piece = || pieces.zip(0..).find_map(|(piece, id)| (piece[0] == text).then_some(id));
        let id = vocabulary[&text].as_u64().or(listed.map(|(id, _)| id)).or_else(piece)?;
        Some((text, id))
    };
    let (bos, eos) = (token("add_bos_token", "bos_token"), token("add_eos_token", "eos_token"));
    let piece = |token: &(String, u64)| json!({ "SpecialToken": { "id": token.0, "type_id": 0 } });
    let mut single = vec![json!({ "Sequence": { "id": "A", "type_id": 0 } })];
    single.splice(0..0, bos.as_ref().map(piece));
    single.extend(eos.as_ref().map(piece));
    let tokens = [bos, eos].into_iter().flatten().map(|(text, id)| {
        let token = json!({ "id": text, "ids": [id], "tokens": [text] });
        (text, token)
    });
    let tokens: Map<_, _> = tokens.collect();
    json!({ "type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": tokens })
}

/// Builds the tokenizer from its JSON, and adds the tokens and settings of the config. `path` is for error messages.
fn build(mut json: Json, class: TokenizerClass, config: &Json, path: &Path) -> Result<Tokenizer> {
    let bad = |reason: String| Error::file(path, reason);
    class.rebuild(&mut json, config);
    for part in ["normalizer", "post_processor"] {
        check_part(&json[part]).map_err(|cause| bad(cause.to_string()))?;
    }
    // transformers resets both settings at each call, because the caller decides about truncation and padding.
    (json["truncation"], json["padding"]) = (Json::Null, Json::Null);
    let is_bpe = json["model"]["type"] == "BPE";
    let mut inner: tokenizers::Tokenizer =
        serde_json::from_value(json).map_err(|error| bad(error.to_string()))?;

    let special = SpecialTokens::from_config(config);
    let existing: Vec<AddedToken> = inner.get_added_tokens_decoder().into_values().collect();
    let mut tokens: Vec<AddedToken> = configured_tokens(config).into_values().collect();
    tokens.retain(|token| !existing.contains(token));
    for token in &mut tokens {
        token.special |= special.has_role(&token.content);
    }
    let known = existing.iter().chain(&tokens).map(|token| token.content.clone());
    let mut known: HashSet<String> = known.collect();
    let roles: Vec<&Json> = ROLES.iter().map(|(role, _)| &config[role]).collect();
    let extra = extra_tokens(config);
    for text in special.texts() {
        if known.insert(text.to_owned()) {
            let has_role = special.has_role(text);
            let mut described = if has_role { roles.iter() } else { extra.iter() };
            let described = described.find(|token| token["content"] == text);
            let token = described.and_then(|token| added_token(token, true));
            let mut token = token.unwrap_or_else(|| AddedToken::from(text, true));
            token.special |= has_role;
            tokens.push(token);
        }
    }
    // Qwen's class adds these tokens once more, and marks them as special.
    if class == TokenizerClass::Qwen2 {
        tokens.extend(special.texts().into_iter().map(|text| AddedToken::from(text, true)));
    }
    inner.add_tokens(tokens).map_err(|error| bad(format!("cannot add a token: {error}")))?;
    let flag = |key: &str| config[key] == true;
    inner.set_encode_special_tokens(flag("split_special_tokens"));
    let cleans_up_spaces = flag("clean_up_tokenization_spaces")
        && (!is_bpe
            || flag("clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output"));
    Ok(Tokenizer::from_library(inner, special, cleans_up_spaces))
}

/// Returns the added tokens that a config lists in `added_tokens_decoder`, by id.
fn configured_tokens(config: &Json) -> BTreeMap<u64, AddedToken> {
    let listed = config["added_tokens_decoder"].as_object().into_iter().flatten();
    let token =
        |(id, token): (&String, &Json)| Some((id.parse().ok()?, added_token(token, false)?));
    listed.filter_map(token).collect()
}

/// Reads an added token with its properties. `special` is used if the object does not say whether the token is special.
fn added_token(value: &Json, special: bool) -> Option<AddedToken> {
    let flag = |key: &str| value[key].as_bool();
    let special = flag("special").unwrap_or(special);
    Some(AddedToken {
        content: token_text(value)?,
        single_word: flag("single_word").unwrap_or_default(),
        lstrip: flag("lstrip").unwrap_or_default(),
        rstrip: flag("rstrip").unwrap_or_default(),
        normalized: flag("normalized").unwrap_or(!special),
        special,
    })
}

/// A mistake in a part of a tokenizer with which the library would panic.
#[derive(Debug, thiserror::Error)]
enum TokenizerPartError {
    /// The table of a normalizer refers to bytes outside the table.
    #[error("normalizer: precompiled_charsmap leads out of itself: fetch it again")]
    Charsmap,

    /// The post-processor adds a special token that it does not define. The value is the token's name in its JSON.
    #[error("post_processor: special_tokens lacks {0}, which single names")]
    UndefinedToken(Json),

    /// The post-processor's template for one sequence names a second one.
    #[error("post_processor: single names the sequence B, and has A alone")]
    SecondSequence,
}

/// Checks a part of a tokenizer, and the parts inside it, for mistakes with which the library would panic.
fn check_part(part: &Json) -> std::result::Result<(), TokenizerPartError> {
    if part["type"] == "Precompiled" {
        let map = part["precompiled_charsmap"].as_str().and_then(|map| STANDARD.decode(map).ok());
        let map = map.and_then(|map| Charsmap::from_bytes(&map).ok());
        if !map.is_some_and(|map| map.is_sound()) {
            return Err(TokenizerPartError::Charsmap);
        }
    }
    for piece in part["single"].as_array().into_iter().flatten() {
        let token = &piece["SpecialToken"]["id"];
        if token.as_str().is_some_and(|token| part["special_tokens"].get(token).is_none()) {
            return Err(TokenizerPartError::UndefinedToken(token.clone()));
        }
        if piece["Sequence"]["id"] == "B" {
            return Err(TokenizerPartError::SecondSequence);
        }
    }
    match part {
        Json::Array(parts) => parts.iter().try_for_each(check_part),
        Json::Object(parts) => parts.values().try_for_each(check_part),
        _ => Ok(()),
    }
}
