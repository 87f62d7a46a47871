//! Reads SentencePiece's `tokenizer.model` (`sentencepiece_model.proto`), and converts it to a `tokenizer.json` as
//! transformers does (`convert_slow_tokenizer.py`).

use super::{
    special_tokens::token_text,
    tokenizer_class::{TokenizerClass, sentencepiece_decoder},
};
use crate::{Error, Result, mapped};
use base64::{Engine, prelude::BASE64_STANDARD};
use prost::Message;
use serde_json::{Map, Value as Json, json};
use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    path::Path,
};

/// The usual name of the file.
pub(super) const FILE: &str = "tokenizer.model";

/// The name that Mistral gives the file of its third vocabulary.
pub(super) const MISTRAL_FILE: &str = "tokenizer.model.v3";

/// Longest piece that is accepted, in bytes. SentencePiece trains pieces of up to 16 characters by default. The limit
/// keeps a damaged file from costing much time, because all ways to divide a piece into two are tried.
const MAX_PIECE_BYTES: usize = 4096;

/// The character that stands for a space in a piece.
const SPACE: &str = "▁";

/// Types of pieces (`SentencePiece.Type` of the proto).
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;

/// Types of models (`TrainerSpec.ModelType` of the proto).
const UNIGRAM: i32 = 1;
const BPE: i32 = 2;

/// The message `ModelProto`. Here and below, only the fields that influence tokens are declared.
#[derive(Clone, PartialEq, Message)]
struct ModelProto {
    #[prost(message, repeated, tag = "1")]
    pieces: Vec<PieceProto>,
    #[prost(message, optional, tag = "2")]
    trainer: Option<TrainerSpec>,
    #[prost(message, optional, tag = "3")]
    normalizer: Option<NormalizerSpec>,
}

#[derive(Clone, PartialEq, Message)]
struct PieceProto {
    #[prost(string, tag = "1")]
    text: String,
    #[prost(float, tag = "2")]
    score: f32,
    #[prost(int32, tag = "3", optional)]
    kind: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct TrainerSpec {
    #[prost(int32, tag = "3", optional)]
    model_type: Option<i32>,
    #[prost(bool, tag = "24")]
    treat_whitespace_as_suffix: bool,
    #[prost(bool, tag = "35")]
    byte_fallback: bool,
    #[prost(int32, tag = "40")]
    unk_id: i32,
    #[prost(int32, tag = "41", optional)]
    bos_id: Option<i32>,
    #[prost(int32, tag = "42", optional)]
    eos_id: Option<i32>,
    #[prost(string, tag = "45", optional)]
    unk_piece: Option<String>,
    #[prost(string, tag = "46", optional)]
    bos_piece: Option<String>,
    #[prost(string, tag = "47", optional)]
    eos_piece: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct NormalizerSpec {
    #[prost(bytes = "vec", tag = "2")]
    precompiled_charsmap: Vec<u8>,
    #[prost(bool, tag = "3", optional)]
    add_dummy_prefix: Option<bool>,
    #[prost(bool, tag = "4", optional)]
    remove_extra_whitespaces: Option<bool>,
    #[prost(bool, tag = "5", optional)]
    escape_whitespaces: Option<bool>,
}

/// A SentencePiece model: its pieces, and how a text is normalized before it is split into pieces.
pub(super) struct SentencePieceModel {
    pieces: Vec<PieceProto>,
    trainer: TrainerSpec,
    normalizer: NormalizerSpec,
}

impl SentencePieceModel {
    /// Reads a model. Returns `None` if the file is not a SentencePiece model.
    ///
    /// # Errors
    /// Fails if the file cannot be read.
    pub(super) fn from_file(path: &Path) -> Result<Option<Self>> {
        let Ok(model) = ModelProto::decode(&mapped::map(path)?[..]) else { return Ok(None) };
        let has_pieces = model.pieces.iter().any(|piece| !piece.text.is_empty());
        Ok(has_pieces.then(|| Self {
            pieces: model.pieces,
            trainer: model.trainer.unwrap_or_default(),
            normalizer: model.normalizer.unwrap_or_default(),
        }))
    }

    /// Converts the model to a `tokenizer.json`, and adds the special tokens of the model to `config`.
    ///
    /// # Errors
    /// Fails if the model is of a type that is not supported or has a very long piece.
    pub(super) fn to_json(&self, class: TokenizerClass, config: &mut Json) -> Result<Json> {
        let kind = self.trainer.model_type.unwrap_or(UNIGRAM);
        if ![UNIGRAM, BPE].contains(&kind) || self.trainer.treat_whitespace_as_suffix {
            return Err(Error::Unsupported(
                "only BPE and unigram models with spaces before words are read: use the model's tokenizer.json"
                    .to_owned(),
            ));
        }
        if let Some(piece) = self.pieces.iter().find(|piece| piece.text.len() > MAX_PIECE_BYTES) {
            return Err(Error::Invalid(format!(
                "has a piece of {} bytes, more than any such model: fetch it again",
                piece.text.len()
            )));
        }
        let saved = class == TokenizerClass::Saved;
        self.add_special_tokens(saved, config);
        let model = match (saved, kind) {
            // The tokenizer class builds the other parts.
            (false, _) => {
                json!({ "type": "BPE", "vocab": self.vocabulary(&Map::new()), "merges": self.merges_by_id() })
            }
            (true, UNIGRAM) => json!({
                "type": "Unigram", "unk_id": self.trainer.unk_id, "byte_fallback": self.trainer.byte_fallback,
                "vocab": self.pieces.iter().map(|piece| json!([piece.text, piece.score])).collect::<Vec<_>>(),
            }),
            (true, _) => {
                let names = config["added_tokens_decoder"].as_object().cloned().unwrap_or_default();
                json!({
                    "type": "BPE", "vocab": self.vocabulary(&names), "merges": self.merges_by_score(),
                    "unk_token": self.trainer.unk_piece.as_deref().unwrap_or("<unk>"), "fuse_unk": true,
                    "byte_fallback": self.trainer.byte_fallback,
                    "ignore_merges": self.pieces_of_kind(USER_DEFINED).next().is_some(),
                })
            }
        };
        let mut json = json!({ "version": "1.0", "model": model });
        if saved {
            let legacy = config.get("legacy").is_none_or(|legacy| *legacy == true);
            json["normalizer"] = self.normalizer(legacy);
            json["pre_tokenizer"] = self.pre_tokenizer(legacy);
            let adds_space = self.normalizer.add_dummy_prefix.unwrap_or(true);
            json["decoder"] = sentencepiece_decoder(self.trainer.byte_fallback, adds_space);
        }
        Ok(json)
    }

    fn pieces_of_kind(&self, kind: i32) -> impl Iterator<Item = &str> {
        let pieces = self.pieces.iter().filter(move |piece| piece.kind.unwrap_or(NORMAL) == kind);
        pieces.map(|piece| &piece.text[..])
    }

    /// Adds the special tokens of the model to the config, unless the config has them already.
    fn add_special_tokens(&self, saved: bool, config: &mut Json) {
        let lists = ["extra_special_tokens", "additional_special_tokens"];
        if lists.iter().all(|list| config.get(list).is_none()) {
            // User-defined tokens that the pre-tokenizer finds by itself are not added.
            let is_added = |kind: i32| kind == CONTROL || (kind == USER_DEFINED && !saved);
            let added = self.pieces.iter().map(|piece| (piece, piece.kind.unwrap_or(NORMAL)));
            let added = added.filter(|(_, kind)| is_added(*kind)).map(|(piece, kind)| {
                json!({ "content": piece.text, "special": kind == CONTROL, "normalized": false })
            });
            config["extra_special_tokens"] = added.collect();
        }
        let trainer = &self.trainer;
        let roles = [
            ("bos_token", trainer.bos_id.unwrap_or(1), &trainer.bos_piece, "<s>"),
            ("eos_token", trainer.eos_id.unwrap_or(2), &trainer.eos_piece, "</s>"),
            ("unk_token", trainer.unk_id, &trainer.unk_piece, "<unk>"),
        ];
        for (role, id, piece, usual) in roles {
            if saved && id >= 0 && config.get(role).is_none() {
                config[role] = json!(piece.as_deref().unwrap_or(usual));
            }
        }
        let adds_space = self.normalizer.add_dummy_prefix.unwrap_or(true);
        if saved
            && adds_space
            && let Some(tokens) = config["added_tokens_decoder"].as_object_mut()
        {
            // These tokens are searched in the original text, so that each part between them gets its own space.
            tokens
                .values_mut()
                .filter(|token| token.is_object())
                .for_each(|token| token["normalized"] = false.into());
        }
    }

    /// Returns the ids by piece. `names` are the added tokens by id; their texts replace those of the pieces.
    fn vocabulary(&self, names: &Map<String, Json>) -> Map<String, Json> {
        let named = |id: usize| names.get(&id.to_string()).and_then(token_text);
        let kept: HashSet<&str> = (self.pieces.iter().enumerate())
            .filter(|(id, _)| named(*id).is_none())
            .map(|(_, piece)| &piece.text[..])
            .collect();
        let pieces = self.pieces.iter().enumerate();
        let pieces = pieces.map(|(id, piece)| {
            let name = named(id).filter(|name| !kept.contains(&name[..]));
            (name.unwrap_or_else(|| piece.text.clone()), id.into())
        });
        pieces.collect()
    }

    /// Returns all pairs of pieces that form another piece, sorted by `key`. Only pieces for which `is_part` is true
    /// count.
    fn merges<'a, K: Ord>(
        &'a self,
        is_part: impl Fn(&PieceProto) -> bool,
        key: impl Fn(usize, &'a str, &'a str, &HashMap<&'a str, usize>) -> K,
    ) -> Vec<[&'a str; 2]> {
        let pieces = self.pieces.iter().enumerate().filter(|(_, piece)| is_part(piece));
        let ids: HashMap<&str, usize> = pieces.map(|(id, piece)| (&piece.text[..], id)).collect();
        let mut merges = Vec::new();
        for (&piece, &id) in &ids {
            for (middle, _) in piece.char_indices().skip(1) {
                let (left, right) = piece.split_at(middle);
                if ids.contains_key(left) && ids.contains_key(right) {
                    merges.push((key(id, left, right, &ids), [left, right]));
                }
            }
        }
        merges.sort_unstable();
        merges.into_iter().map(|(_, pair)| pair).collect()
    }

    /// Returns the merges in the order of transformers' own classes: by the id of the merged piece.
    fn merges_by_id(&self) -> Vec<[&str; 2]> {
        let length = |piece: &str| piece.chars().count();
        self.merges(
            |_| true,
            |id, left, right, ids| (id, length(left), length(right), ids[left], ids[right]),
        )
    }

    /// Returns the merges of normal pieces in the order of SentencePiece: by the score of the merged piece.
    fn merges_by_score(&self) -> Vec<[&str; 2]> {
        // Maps a float to an integer with the same order, and reverses it, so that the highest score comes first.
        let rank = |score: f32| {
            let bits = (score + 0.0).to_bits() as i32;
            Reverse(bits ^ (((bits >> 31) as u32) >> 1) as i32)
        };
        self.merges(
            |piece| piece.kind.unwrap_or(NORMAL) == NORMAL,
            |id, left, right, _| (rank(self.pieces[id].score), id, left, right),
        )
    }

    fn normalizer(&self, legacy: bool) -> Json {
        let replace = |pattern: &str, content: &str| json!({ "type": "Replace", "pattern": { "Regex": pattern }, "content": content });
        let normalizer = &self.normalizer;
        let mut steps = Vec::new();
        if !normalizer.precompiled_charsmap.is_empty() {
            let map = BASE64_STANDARD.encode(&normalizer.precompiled_charsmap);
            steps.push(json!({ "type": "Precompiled", "precompiled_charsmap": map }));
        }
        if normalizer.remove_extra_whitespaces.unwrap_or(true) {
            steps.push(replace(r"\A +| +\z", ""));
            steps.push(replace(" {2,}", " "));
        }
        if normalizer.escape_whitespaces.unwrap_or(true) {
            steps
                .push(json!({ "type": "Replace", "pattern": { "String": " " }, "content": SPACE }));
        }
        if legacy && normalizer.add_dummy_prefix.unwrap_or(true) {
            // The pre-tokenizer `Metaspace` would not add a space to a text that begins with one.
            steps.push(replace(r"\A▁", "▁▁"));
        }
        json!({ "type": "Sequence", "normalizers": steps })
    }

    fn pre_tokenizer(&self, legacy: bool) -> Json {
        let mut steps = Vec::new();
        if self.normalizer.add_dummy_prefix.unwrap_or(true) {
            let scheme = if legacy { "always" } else { "first" };
            steps.push(json!({
                "type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": false,
            }));
        }
        let mut whole: Vec<&str> = self.pieces_of_kind(USER_DEFINED).collect();
        whole.sort_by_key(|piece| Reverse(piece.chars().count()));
        if !whole.is_empty() {
            // User-defined pieces are never part of another piece.
            let pattern: Vec<_> = whole.into_iter().map(fancy_regex::escape).collect();
            steps.push(json!({
                "type": "Split", "pattern": { "Regex": pattern.join("|") }, "behavior": "Isolated", "invert": false,
            }));
        }
        if steps.is_empty() {
            Json::Null
        } else {
            json!({ "type": "Sequence", "pretokenizers": steps })
        }
    }
}
