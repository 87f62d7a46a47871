//! Which of transformers' tokenizer classes reads a folder, and what that class makes of it whatever the files say
//! (`auto/tokenization_auto.py` and `tokenization_*.py` of transformers 5.24): classes of their own take vocabulary and
//! merges from tokenizer.json and put everything else together themselves.

use super::special_tokens::ROLES;
use crate::{Result, config, text_file};
use serde_json::{Map, Value as Json, json};
use std::path::Path;

/// What stands for a space in SentencePiece's vocabularies.
const SPACE: &str = "▁";

/// Qwen's words: contractions, letters, single digits, punctuation, newlines, spaces.
const QWEN_WORDS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Kinds of models for which transformers does not believe what tokenizer_config.json says of the class, of those that
/// llem runs: `MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS`.
const DISBELIEVED: [&str; 2] = ["phi3", "qwen2"];

/// A class of transformers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// `TokenizersBackend`, once `PreTrainedTokenizerFast`: everything is as files say.
    Saved,
    /// `LlamaTokenizer`.
    Llama,
    /// `GemmaTokenizer`.
    Gemma,
    /// `GPT2Tokenizer`.
    Gpt2,
    /// `GPTNeoXTokenizer`.
    GptNeox,
    /// `Qwen2Tokenizer`.
    Qwen2,
}

impl Class {
    /// The class that `AutoTokenizer` takes for a folder. `config` is its tokenizer_config.json.
    ///
    /// # Errors
    /// config.json is no JSON.
    pub fn of(folder: &Path, config: &Json) -> Result<Self> {
        let path = folder.join("config.json");
        let model: Json = match path.is_file() {
            true => config::parse(&text_file::read(&path)?, &path)?,
            false => Json::Null,
        };
        let kind = model["model_type"].as_str().unwrap_or_default();
        let named = config["tokenizer_class"].as_str().or(model["tokenizer_class"].as_str());
        let named = named.map(|name| Self::by_name(name.strip_suffix("Fast").unwrap_or(name)));
        let usual = match kind {
            "gpt2" => Some(Self::Gpt2),
            "gpt_neox" => Some(Self::GptNeox),
            "qwen2" | "qwen3" | "qwen3_moe" => Some(Self::Qwen2),
            "gemma" | "gemma2" | "gemma3" | "gemma3_text" => Some(Self::Gemma),
            "mistral" | "mixtral" | "phi3" | "olmo2" => Some(Self::Saved),
            _ => None,
        };
        let is_disbelieved = DISBELIEVED.contains(&kind);
        Ok(match (named, usual) {
            (_, Some(Self::Saved)) => Self::Saved,
            (_, Some(usual)) if is_disbelieved => usual,
            // Llama 3's files name the class of Llama 2, whose spaces they do not spell so.
            (Some(Self::Llama), _) if is_byte_level(folder)? => Self::Saved,
            (Some(named), _) => named,
            (None, usual) => usual.unwrap_or(Self::Saved),
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

    /// The special tokens that the class has unless files say otherwise, by role.
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

    /// Adds the class's own special tokens where the config is silent.
    pub fn complete(self, config: &mut Map<String, Json>) {
        for &(role, text) in self.defaults() {
            debug_assert!(ROLES.iter().any(|(known, _)| *known == role));
            config.entry(role).or_insert_with(|| json!(text));
        }
    }

    /// Puts together again what the class does not take from a `tokenizer.json`. Added tokens are added later.
    pub fn rebuild(self, json: &mut Json, config: &Json) {
        // Other models than BPE are not what these classes expect.
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
        // GPT-NeoX's class puts nothing around a text, whatever the file says.
        if self == Self::GptNeox {
            json["post_processor"] = Json::Null;
        }
    }
}

/// How texts are put together of SentencePiece's tokens.
pub fn sentencepiece_decoder(has_bytes: bool, strips_space: bool) -> Json {
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

/// Whether a folder's `tokenizer.json` spells bytes.
fn is_byte_level(folder: &Path) -> Result<bool> {
    let path = folder.join("tokenizer.json");
    Ok(path.is_file() && text_file::read(&path)?.contains("\"ByteLevel\""))
}
