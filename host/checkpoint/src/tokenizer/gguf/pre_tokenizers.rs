//! How llama.cpp splits a text into words before byte-pair merging, by the name that a file gives
//! (`tokenizer.ggml.pre`): `llama-vocab.cpp` of llama.cpp, whose patterns are those of the models' own tokenizer.json,
//! as far as its regular expressions can tell characters apart. They take all letters beyond ASCII for one class, so that
//! `\p{Lu}` is written `\p{L}` here.

/// One step of splitting: each applies to what the steps before have left, apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// Matches of a pattern, and what is between them.
    Pattern(&'static str),
    /// Digits in groups of three, counted from the right: `1234567` becomes `1`, `234` and `567`.
    DigitGroups,
    /// The same of ASCII digits, which may be part of a longer piece.
    AsciiDigitGroups,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug)]
pub struct PreTokenizer {
    /// How words are found.
    pub splits: &'static [Split],
    /// A word that is a token is that, whatever the merges would make of it.
    pub ignores_merges: bool,
    /// A text begins with BOS unless the file says otherwise.
    pub adds_bos: bool,
    /// Words are spelt in characters that stand for bytes; otherwise in their own characters, with bytes as `<0x0A>`.
    pub is_byte_level: bool,
    /// A space is spelt `▁`.
    pub escapes_spaces: bool,
    /// Newlines in a row are a token if there is such, whatever the merges would make of them; and a text begins with
    /// BOS even if the file says otherwise, because Gemma 4's first files did by mistake.
    pub is_gemma4: bool,
    /// There is no BOS unless the file names one.
    pub has_no_bos: bool,
}

use Split::{AsciiDigitGroups, DigitGroups, Pattern};

/// GPT-2's words.
const GPT2: Split =
    Pattern(r#"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"#);
/// Llama 3's words: letters in any case of contractions, up to three digits, newlines after punctuation.
const LLAMA3: Split = Pattern(
    r#"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#,
);
/// Llama 3's words, and spaces in powers of two.
const JAIS2: Split = Pattern(
    r#"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}"#,
);
/// Llama 3's words with single digits.
const QWEN2: Split = Pattern(
    r#"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#,
);
/// Qwen 2's words with combining marks.
const QWEN35: Split = Pattern(
    r#"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#,
);
/// Qwen 2's words without contractions.
const NO_CONTRACTIONS: Split =
    Pattern(r#"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#);
/// Qwen 2's words with numbers of any length.
const LONG_NUMBERS: Split = Pattern(
    r#"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#,
);
/// Qwen 2's words with single newlines.
const BAILING: Split = Pattern(
    r#"'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"#,
);
/// Qwen 2's words without newlines after punctuation.
const SEED: Split = Pattern(
    r#"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"#,
);
/// Qwen 2's words, of which several may be one.
const EXAONE_MOE: Split = Pattern(
    r#"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+"#,
);
/// DeepSeek 3's words.
const DEEPSEEK3: Split = Pattern(
    r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##,
);
/// DeepSeek 3's words with single newlines.
const SPARK: Split = Pattern(
    r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+"##,
);
/// Ideographs and Japanese syllables in a row.
const KANJI_AND_KANA: Split = Pattern(r#"[一-龥぀-ゟ゠-ヿ]+"#);
/// Ideographs and Hangul in a row, as DeepSeek's first models have them.
const IDEOGRAPHS_AND_HANGUL: Split = Pattern(r#"[一-龥ࠀ-一가-퟿--\s]+"#);
/// Scripts of Asia that put no spaces between words.
const ASIAN: Split = Pattern(r#"[一-鿿㐀-䶿豈-﫿぀-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿຀-໿ក-៿က-႟ꩠ-ꩿꧠ-꧿가-힯ᄀ-ᇿ]+"#);
/// Letters of scripts that have small and capital ones.
const CASED_SCRIPTS: Split = Pattern(
    r#"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+"#,
);
/// Punctuation in ASCII and full width.
const PUNCTUATION: Split = Pattern(r#"\s?[!-/:-~！-／：-～‘-‟、-。]+"#);
/// Mistral's words, which end where a small letter precedes a capital.
const TEKKEN: Split = Pattern(
    r#"[^\r\n\p{L}\p{N}]?[\p{L}--a-z]*[\p{L}--A-Z]+|[^\r\n\p{L}\p{N}]?[\p{L}--a-z]+[\p{L}--A-Z]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#,
);
/// GPT-4o's words, which end where a small letter precedes a capital.
const GPT4O: Split = Pattern(
    r#"[^\r\n\p{L}\p{N}]?[\p{L}--a-z]*[\p{L}--A-Z]+(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|[^\r\n\p{L}\p{N}]?[\p{L}--a-z]+[\p{L}--A-Z]*(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#,
);
/// GPT-4o's words with combining marks.
const GPT4O_MARKS: Split = Pattern(
    r#"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}--a-z]*[\p{L}\p{M}--A-Z]+(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}--a-z]+[\p{L}\p{M}--A-Z]*(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#,
);
/// Words of letters and combining marks, single digits.
const MARKED_DIGIT: Split = Pattern(
    r#"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#,
);
/// Words of letters and combining marks, up to three digits.
const MARKED: Split = Pattern(
    r#"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#,
);
/// Hangul, full-width punctuation, Bopomofo, ideographs and kana.
const YOUTU: Split =
    Pattern(r#"[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+"#);
/// Kimi's words, which ideographs end.
const KIMI: Split = Pattern(
    r#"[\u{4e00}-\u{9fff}\u{3400}-\u{4dbf}\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b820}-\u{2ceaf}\u{2ceb0}-\u{2ebef}\u{f900}-\u{faff}\u{2f800}-\u{2fa1f}]+|[^\r\n\p{L}\p{N}]?[\p{L}--[\u{4e00}-\u{9fff}\u{3400}-\u{4dbf}\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b820}-\u{2ceaf}\u{2ceb0}-\u{2ebef}\u{f900}-\u{faff}\u{2f800}-\u{2fa1f}]]+(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#,
);
/// BLOOM's words: all between spaces and what ends a clause.
const CLAUSES: Split = Pattern(r#" ?[^(\s|.,!?…。，、।۔،)]+"#);
/// Lines, and newlines in a row.
const LINES: Split = Pattern(r#"[^\n]+|[\n]+"#);
/// All between spaces.
const NOT_SPACES: Split = Pattern(r#"\S+"#);
/// Numbers.
const NUMBERS: Split = Pattern(r#"\p{N}+"#);
/// Single digits.
const DIGIT: Split = Pattern(r#"\p{N}"#);
/// Up to three digits.
const THREE_DIGITS: Split = Pattern(r#"\p{N}{1,3}"#);
/// Three ASCII digits.
const THREE_ASCII_DIGITS: Split = Pattern(r#"[0-9][0-9][0-9]"#);
/// Single newlines.
const NEWLINE: Split = Pattern(r#"[\r\n]"#);
/// Spaces at the end.
const LAST_SPACES: Split = Pattern(r#"\s+$"#);
/// Letters, and a space before them.
const LETTERS: Split = Pattern(r#"\s?\p{L}+"#);
/// Punctuation, and a space before it.
const MARKS: Split = Pattern(r#"\s?\p{P}+"#);
/// Punctuation and ASCII's symbols but the grave accent.
const SYMBOLS: Split = Pattern(r#"[\p{P}\$\+<=>\^~\|]+"#);
/// Punctuation and ASCII's symbols.
const FALCON_SYMBOLS: Split = Pattern(r#"[\p{P}\$\+<=>\^~\|`]+"#);
/// Chameleon's sentinels.
const SENTINEL: Split = Pattern(r#"<sentinel:[0-9]+>"#);
/// Chameleon's tokens of images.
const IMAGE: Split = Pattern(r#"(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z"#);
/// Chameleon's tabs, newlines and pairs of spaces.
const INDENTATION: Split = Pattern(r#"([\t\n]|    |  )"#);
/// Single punctuation marks.
const ONE_MARK: Split = Pattern(r#"[\p{P}!-/:-@\[-`{-~]"#);

/// The pre-tokenizer of that name, as llama.cpp knows it; none where it knows no such.
pub fn by_name(name: &str) -> Option<PreTokenizer> {
    let splits: &'static [Split] = match name {
        "default" => &[SYMBOLS, GPT2, NUMBERS, THREE_ASCII_DIGITS],
        "minicpm5" => &[THREE_DIGITS, LONG_NUMBERS],
        "llama3" | "llama-v3" | "llama-bpe" | "falcon3" | "falcon-h1" | "pixtral" | "midm-2.0"
        | "lfm2" | "jina-v5-nano" | "dbrx" | "smaug-bpe" | "chatglm-bpe" | "glm4" | "glm5" => {
            &[LLAMA3]
        }
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
    let is_llama3 = matches!(
        name,
        "llama3"
            | "llama-v3"
            | "llama-bpe"
            | "falcon3"
            | "falcon-h1"
            | "pixtral"
            | "midm-2.0"
            | "lfm2"
            | "jina-v5-nano"
    );
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
