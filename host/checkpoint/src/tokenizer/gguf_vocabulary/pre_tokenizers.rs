//! How llama.cpp splits a text into words before byte-pair merging, by the name that a GGUF file gives in the key
//! `tokenizer.ggml.pre` (`llama-vocab.cpp` of llama.cpp).

use super::split_patterns::{
    ASIAN, BAILING, CASED_SCRIPTS, CLAUSES, DEEPSEEK3, DIGIT, EXAONE_MOE, FALCON_SYMBOLS, GPT2,
    GPT4O, GPT4O_MARKS, IDEOGRAPHS_AND_HANGUL, IMAGE, INDENTATION, JAIS2, KANJI_AND_KANA, KIMI,
    LAST_SPACES, LETTERS, LINES, LLAMA3, LONG_NUMBERS, MARKED, MARKED_DIGIT, MARKS, NEWLINE,
    NO_CONTRACTIONS, NOT_SPACES, NUMBERS, ONE_MARK, PUNCTUATION, QWEN2, QWEN35, SEED, SENTINEL,
    SPARK, SYMBOLS,
    SplitStep::{self, AsciiDigitGroups, DigitGroups},
    TEKKEN, THREE_ASCII_DIGITS, THREE_DIGITS, YOUTU,
};

/// How a byte-pair vocabulary treats a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct PreTokenizer {
    /// The steps that split a text into words.
    pub(super) splits: &'static [SplitStep],
    /// Whether a word that is a token becomes that token, even if merging would give other tokens.
    pub(super) ignores_merges: bool,
    /// Whether a text begins with BOS unless the file says otherwise.
    pub(super) adds_bos: bool,
    /// Whether words are spelt in the characters of the byte alphabet. Otherwise they are spelt in their own
    /// characters, and single bytes as `<0x0A>`.
    pub(super) is_byte_level: bool,
    /// Whether a space is spelt `▁`.
    pub(super) escapes_spaces: bool,
    /// Whether the rules for Gemma 4 apply. A run of newlines becomes one token if the vocabulary has it. A text begins
    /// with BOS even if the file says otherwise, because Gemma 4's first files said so by mistake.
    pub(super) is_gemma4: bool,
    /// Whether there is no BOS unless the file names one.
    pub(super) has_no_bos: bool,
}

/// Names of pre-tokenizers that split like Llama 3, begin a text with BOS and ignore merges for whole words.
const LLAMA3_NAMES: [&str; 9] = [
    "llama3",
    "llama-v3",
    "llama-bpe",
    "falcon3",
    "falcon-h1",
    "pixtral",
    "midm-2.0",
    "lfm2",
    "jina-v5-nano",
];

/// Returns the pre-tokenizer with this name. Returns `None` for a name that llama.cpp does not know.
pub(super) fn by_name(name: &str) -> Option<PreTokenizer> {
    let is_llama3 = LLAMA3_NAMES.contains(&name);
    let splits: &'static [SplitStep] = match name {
        "default" => &[SYMBOLS, GPT2, NUMBERS, THREE_ASCII_DIGITS],
        "minicpm5" => &[THREE_DIGITS, LONG_NUMBERS],
        "dbrx" | "smaug-bpe" | "chatglm-bpe" | "glm4" | "glm5" => &[LLAMA3],
        _ if is_llama3 => &[LLAMA3],
        "deepseek-llm" => {
            &[NEWLINE, CASED_SCRIPTS, PUNCTUATION, LAST_SPACES, IDEOGRAPHS_AND_HANGUL, NUMBERS]
        }
        "deepseek-coder" => &[NEWLINE, LETTERS, MARKS, IDEOGRAPHS_AND_HANGUL, DIGIT],
        "deepseek-v3" | "hunyuan-dense" | "joyai-llm" | "hy_v4" => {
            &[THREE_DIGITS, KANJI_AND_KANA, DEEPSEEK3]
        }
        "spark2_5" => &[THREE_DIGITS, KANJI_AND_KANA, SPARK, DIGIT],
        "youtu" => &[YOUTU, MARKED_DIGIT],
        "falcon" => &[FALCON_SYMBOLS, GPT2, THREE_ASCII_DIGITS],
        "starcoder" | "refact" | "command-r" | "smollm" | "codeshell" | "exaone" | "minerva-7b"
        | "mellum2" => &[DIGIT, GPT2],
        "gpt-2" | "phi-2" | "jina-es" | "jina-de" | "gigachat" | "jina-v2-es" | "jina-v2-de"
        | "a.x-4.0" | "mellum" | "modern-bert" | "mpt" | "olmo" | "jais" | "trillion"
        | "granite-docling" | "exaone4" | "jina-v1-en" | "jina-v2-code" | "roberta-bpe" => &[GPT2],
        "jais-2" => &[JAIS2],
        "gemma4" | "granite-embed-multi-311m" | "sarvam-moe" => &[LINES],
        "whitespace" => &[NOT_SPACES],
        "qwen2" | "deepseek-r1-qwen" | "kormo" | "f2llmv2" | "stablelm2" | "megrez" | "hunyuan"
        | "grok-2" | "solar-open" => &[QWEN2],
        "qwen35" => &[QWEN35],
        "poro-chat" | "bloom" | "gpt3-finnish" => &[CLAUSES],
        "viking" => &[CLAUSES, DIGIT],
        "tekken" => &[TEKKEN],
        "exaone-moe" => &[EXAONE_MOE],
        "chameleon" => &[SENTINEL, IMAGE, INDENTATION, DIGIT, ONE_MARK, GPT2],
        "gpt-4o" | "llama4" | "kanana2" | "talkie" | "minimax-m2" => &[GPT4O],
        "granite-embed-multi-97m" => &[GPT4O_MARKS],
        "tiny_aya" | "cohere2moe" => &[DigitGroups, MARKED],
        "superbpe" => &[NUMBERS, AsciiDigitGroups],
        "bailingmoe" | "bailingmoe2" | "llada-moe" => &[BAILING],
        "seed-coder" => &[SEED],
        "kimi-k2" => &[KIMI],
        "ufakzeka" => &[NO_CONTRACTIONS],
        "afmoe" => &[DigitGroups, ASIAN, DEEPSEEK3],
        "laguna" => &[LINES, QWEN2],
        _ => return None,
    };
    let is_gemma4 = matches!(name, "gemma4" | "granite-embed-multi-311m");
    let escapes_spaces = is_gemma4 || name == "sarvam-moe";
    let ignores_merges = is_llama3
        || matches!(
            name,
            "minicpm5" | "youtu" | "glm4" | "glm5" | "tekken" | "granite-embed-multi-97m"
        );
    Some(PreTokenizer {
        splits,
        ignores_merges,
        adds_bos: is_llama3 || is_gemma4 || matches!(name, "tekken" | "chameleon"),
        is_byte_level: !escapes_spaces && name != "whitespace",
        escapes_spaces,
        is_gemma4,
        has_no_bos: matches!(name, "chatglm-bpe" | "glm4" | "glm5"),
    })
}
