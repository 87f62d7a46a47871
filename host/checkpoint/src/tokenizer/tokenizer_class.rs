//! Which tokenizer class of transformers reads a folder, and what this class changes (`auto/tokenization_auto.py` and
//! `tokenization_*.py` of transformers 5.24). The classes of single model families take only the vocabulary and the
//! merges from `tokenizer.json`, and build all other parts themselves, whatever the file says.

use super::special_tokens::ROLES;
use crate::{Result, config, text_file};
use serde_json::{Map, Value as Json, json};
use std::path::Path;

/// The character that stands for a space in SentencePiece's vocabularies.
const SPACE: &str = "▁";

/// Qwen's words: contractions, letters, single digits, punctuation, newlines, spaces.
const QWEN_WORDS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Values of `model_type` for which transformers ignores the class in `tokenizer_config.json`, among the models that
/// llem runs: `MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS`.
const MODELS_WITH_WRONG_CLASS: [&str; 2] = ["phi3", "qwen2"];

/// A tokenizer class of transformers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenizerClass {
    /// `TokenizersBackend`, formerly `PreTrainedTokenizerFast`: uses everything as the files say.
    Saved,
    Llama,
    Gemma,
    Gpt2,
    GptNeox,
    Qwen2,
}

impl TokenizerClass {
    /// Returns the class that `AutoTokenizer` chooses for a folder. `config` is the folder's `tokenizer_config.json`.
    /// `model_config` is its `config.json`, which is read if the caller has not parsed it already.
    ///
    /// # Errors
    /// Fails if `config.json` cannot be read or is not JSON.
    pub(super) fn from_folder(
        folder: &Path,
        config: &Json,
        model_config: Option<&Json>,
    ) -> Result<Self> {
        let path = folder.join("config.json");
        let model = match model_config {
            Some(model) => model,
            None if path.is_file() => &config::parse(&text_file::read(&path)?, &path)?,
            None => &Json::Null,
        };
        let kind = model["model_type"].as_str().unwrap_or_default();
        let named = config["tokenizer_class"].as_str().or(model["tokenizer_class"].as_str());
        let named = named.map(|name| Self::by_name(name.strip_suffix("Fast").unwrap_or(name)));
        let default = match kind {
            "gpt2" => Some(Self::Gpt2),
            "gpt_neox" => Some(Self::GptNeox),
            "qwen2" | "qwen3" | "qwen3_moe" => Some(Self::Qwen2),
            "gemma" | "gemma2" | "gemma3" | "gemma3_text" => Some(Self::Gemma),
            "mistral" | "mixtral" | "phi3" | "olmo2" => Some(Self::Saved),
            _ => None,
        };
        let is_known_wrong = MODELS_WITH_WRONG_CLASS.contains(&kind);
        Ok(match (named, default) {
            (_, Some(Self::Saved)) => Self::Saved,
            (_, Some(default)) if is_known_wrong => default,
            // Some of Llama 3's files name the class of Llama 2, but do not spell spaces as it does.
            (Some(Self::Llama), _) if is_byte_level(folder)? => Self::Saved,
            (Some(named), _) => named,
            (None, default) => default.unwrap_or(Self::Saved),
        })
    }

    fn by_name(name: &str) -> Self {
        match name {
            "LlamaTokenizer" => Self::Llama,
            "GemmaTokenizer" => Self::Gemma,
            "GPT2Tokenizer" => Self::Gpt2,
            "GPTNeoXTokenizer" => Self::GptNeox,
            "Qwen2Tokenizer" => Self::Qwen2,
            _ => Self::Saved,
        }
    }

    /// The default special tokens of the class, by role.
    fn defaults(self) -> &'static [(&'static str, &'static str)] {
        const END: &str = "<|endoftext|>";
        match self {
            Self::Saved => &[],
            Self::Llama => &[("bos_token", "<s>"), ("eos_token", "</s>"), ("unk_token", "<unk>")],
            Self::Gemma => &[
                ("bos_token", "<bos>"),
                ("eos_token", "<eos>"),
                ("unk_token", "<unk>"),
                ("pad_token", "<pad>"),
                ("mask_token", "<mask>"),
            ],
            Self::Gpt2 => &[("bos_token", END), ("eos_token", END), ("unk_token", END)],
            Self::GptNeox => &[
                ("bos_token", END),
                ("eos_token", END),
                ("unk_token", END),
                ("pad_token", "<|padding|>"),
            ],
            Self::Qwen2 => &[("eos_token", END), ("unk_token", END), ("pad_token", END)],
        }
    }

    /// Adds the default special token for each role that the config does not mention.
    pub(super) fn add_default_tokens(self, config: &mut Map<String, Json>) {
        for &(role, text) in self.defaults() {
            debug_assert!(ROLES.iter().any(|(known, _)| *known == role));
            config.entry(role).or_insert_with(|| json!(text));
        }
    }

    /// Replaces the parts of a `tokenizer.json` that the class builds itself. Added tokens are added later.
    pub(super) fn rebuild(self, json: &mut Json, config: &Json) {
        // These classes only change BPE models.
        if self == Self::Saved || json["model"]["type"] != "BPE" {
            return;
        }
        let flag = |key: &str| config[key].as_bool();
        let adds_space = flag("add_prefix_space").unwrap_or(self == Self::Llama);
        let text = |role: &str| config[role].as_str().or(config[role]["content"].as_str());
        let is_gemma = self == Self::Gemma;
        let has_bytes = is_gemma || self == Self::Llama;
        let model = &mut json["model"];
        for (key, value) in [
            ("dropout", Json::Null),
            ("unk_token", text("unk_token").filter(|_| is_gemma).map_or(Json::Null, Json::from)),
            ("continuing_subword_prefix", Json::Null),
            ("end_of_word_suffix", Json::Null),
            ("fuse_unk", has_bytes.into()),
            ("byte_fallback", has_bytes.into()),
            ("ignore_merges", false.into()),
        ] {
            model[key] = value;
        }
        json["added_tokens"] = json!([]);
        let byte_level = |adds_space: bool, finds_words: bool| json!({ "type": "ByteLevel", "add_prefix_space": adds_space, "trim_offsets": true, "use_regex": finds_words });
        let nfc = json!({ "type": "NFC" });
        let (normalizer, pre_tokenizer) = match self {
            Self::Llama => {
                let scheme = match (adds_space, flag("legacy").unwrap_or_default()) {
                    (false, _) => "never",
                    (true, true) => "always",
                    (true, false) => "first",
                };
                let metaspace = json!({
                    "type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": false,
                });
                (Json::Null, metaspace)
            }
            Self::Gemma => (
                json!({ "type": "Replace", "pattern": { "String": " " }, "content": SPACE }),
                json!({ "type": "Split", "pattern": { "String": " " }, "behavior": "MergedWithPrevious", "invert": false }),
            ),
            Self::Qwen2 => {
                let split = json!({ "type": "Split", "pattern": { "Regex": QWEN_WORDS }, "behavior": "Isolated", "invert": false });
                let pieces = [split, byte_level(adds_space, false)];
                (nfc, json!({ "type": "Sequence", "pretokenizers": pieces }))
            }
            Self::GptNeox => (nfc, byte_level(adds_space, true)),
            Self::Gpt2 | Self::Saved => (Json::Null, byte_level(adds_space, true)),
        };
        (json["normalizer"], json["pre_tokenizer"]) = (normalizer, pre_tokenizer);
        json["decoder"] = match self {
            Self::Llama => sentencepiece_decoder(true, adds_space),
            Self::Gemma => sentencepiece_decoder(true, false),
            _ => byte_level(true, true),
        };
        // GPT-NeoX's class adds no special tokens around a text, whatever the file says.
        if self == Self::GptNeox {
            json["post_processor"] = Json::Null;
        }
    }
}

/// Returns the decoder for SentencePiece's tokens, as JSON of the library.
pub(super) fn sentencepiece_decoder(has_bytes: bool, strips_space: bool) -> Json {
    let mut steps =
        vec![json!({ "type": "Replace", "pattern": { "String": SPACE }, "content": " " })];
    if has_bytes {
        steps.push(json!({ "type": "ByteFallback" }));
    }
    if has_bytes || strips_space {
        steps.push(json!({ "type": "Fuse" }));
    }
    if strips_space {
        steps.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    json!({ "type": "Sequence", "decoders": steps })
}

/// Whether a folder's `tokenizer.json` mentions a byte-level part.
fn is_byte_level(folder: &Path) -> Result<bool> {
    let path = folder.join("tokenizer.json");
    Ok(path.is_file() && text_file::read(&path)?.contains("\"ByteLevel\""))
}
