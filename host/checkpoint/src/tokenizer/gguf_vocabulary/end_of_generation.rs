//! Finds the tokens that end generation. llama.cpp recognizes them by their text, because files name only some of them.

use super::token_entries::{RoleIds, TokenEntries, TokenType};
use crate::{Result, gguf::Gguf};
use std::collections::BTreeSet;

/// Texts of tokens that end a text, a turn or a message.
const END_TEXTS: [&str; 22] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
];

/// Tokens for filling in the middle of code. Each entry has the GGUF key of the token's id, an older key, the texts by
/// which llama.cpp recognizes the token if the file has neither key, and whether the token ends generation.
const FILL_IN_THE_MIDDLE: [(&str, Option<&str>, &[&str], bool); 6] = [
    (
        "fim_pre_token_id",
        Some("prefix_token_id"),
        &[
            "<|fim_prefix|>",
            "<fim-prefix>",
            "<fim_prefix>",
            "<｜fim▁begin｜>",
            "<PRE>",
            "▁<PRE>",
            "<|code_prefix|>",
            "<|prefix|>",
        ],
        false,
    ),
    (
        "fim_suf_token_id",
        Some("suffix_token_id"),
        &[
            "<|fim_suffix|>",
            "<fim-suffix>",
            "<fim_suffix>",
            "<｜fim▁hole｜>",
            "<SUF>",
            "▁<SUF>",
            "<|code_suffix|>",
            "<|suffix|>",
        ],
        false,
    ),
    (
        "fim_mid_token_id",
        Some("middle_token_id"),
        &[
            "<|fim_middle|>",
            "<fim-middle>",
            "<fim_middle>",
            "<｜fim▁end｜>",
            "<MID>",
            "▁<MID>",
            "<|code_middle|>",
            "<|middle|>",
        ],
        false,
    ),
    ("fim_pad_token_id", None, &["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"], true),
    (
        "fim_rep_token_id",
        None,
        &["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"],
        true,
    ),
    ("fim_sep_token_id", None, &["<|file_sep|>"], true),
];

/// Tokens of gpt-oss that decoding never leaves out.
const ALWAYS_DECODED: [&str; 4] = ["<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"];

/// Returns the tokens that end generation, in ascending order. Also changes the types of tokens that llama.cpp
/// recognizes by their text, as llama.cpp does.
pub(super) fn find_and_mark(
    gguf: &Gguf,
    entries: &mut TokenEntries,
    roles: &RoleIds,
) -> Result<Vec<u32>> {
    let count = entries.len() as u64;
    let named = |key: &str| -> Result<Option<u32>> {
        let id = gguf.whole(&format!("tokenizer.ggml.{key}"))?;
        Ok(id.filter(|&id| id < count).map(|id| id as u32))
    };
    let ids = entries.ids();
    let mut ends = BTreeSet::new();
    let mut control = Vec::new();
    for (key, older, texts, is_end) in FILL_IN_THE_MIDDLE {
        let older = older.map(named).transpose()?.flatten();
        let named = older.or(named(key)?);
        let by_text = || texts.iter().find_map(|text| ids.get(*text).copied());
        let id = named.or_else(by_text);
        control.extend(id.filter(|_| named.is_none()));
        ends.extend(id.filter(|_| is_end));
    }
    let by_text: Vec<u32> = END_TEXTS.iter().filter_map(|text| ids.get(*text).copied()).collect();
    control.extend(&by_text);
    ends.extend(by_text);
    for id in control {
        if let Some(entry) = entries.get_mut(id) {
            entry.kind = TokenType::Control;
        }
    }
    for text in ALWAYS_DECODED {
        if let Some(entry) = ids.get(text).and_then(|&id| entries.get_mut(id)) {
            entry.kind = TokenType::UserDefined;
        }
    }
    ends.extend(roles.id("eos_token"));
    ends.extend([named("eot_token_id")?, named("eom_token_id")?].into_iter().flatten());

    let mut remove_end = |text: &str, kind: TokenType, ends: &mut BTreeSet<u32>| {
        if let Some(&id) = ids.get(text)
            && ends.remove(&id)
            && let Some(entry) = entries.get_mut(id)
        {
            entry.kind = kind;
        }
    };
    let has = |text: &str, ends: &BTreeSet<u32>| ids.get(text).is_some_and(|id| ends.contains(id));
    let has_call = has("<|call|>", &ends) || has("<|calls|>", &ends);
    // In gpt-oss and Solar, the end of a message is not the end of the turn.
    if has_call && (has("<|return|>", &ends) || has("<|flush|>", &ends)) {
        remove_end("<|end|>", TokenType::UserDefined, &mut ends);
    }
    // In Gemma 4 and PLaMo, `</s>` is ordinary text.
    if has("<|tool_response>", &ends) || has("<|plamo:eos|>", &ends) {
        remove_end("</s>", TokenType::Normal, &mut ends);
    }
    Ok(ends.into_iter().collect())
}
