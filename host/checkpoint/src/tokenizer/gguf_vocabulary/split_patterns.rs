//! The regular expressions by which llama.cpp splits a text into words before byte-pair merging (`llama-vocab.cpp`).
//! They come from the `tokenizer.json` files of the models. llama.cpp's regular expressions take all letters beyond
//! ASCII for one class, so `\p{Lu}` of the original is written `\p{L}` here.

/// One step of splitting. Each step splits the parts that the steps before it have made, one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SplitStep {
    /// Splits into the matches of a regular expression and the text between them.
    Pattern(&'static str),
    /// Splits digits into groups of three, counted from the right: `1234567` becomes `1`, `234` and `567`.
    DigitGroups,
    /// Splits ASCII digits into groups of three, counted from the right.
    AsciiDigitGroups,
}

use SplitStep::Pattern;

// Parts of regular expressions that several patterns share. They are macros because `concat!` takes only literals.

/// An English contraction, such as `'s` or `'LL`.
macro_rules! contraction {
    () => {
        r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
    };
}
/// Letters, and one character before them that is neither a letter nor a number nor a newline.
macro_rules! letters {
    () => {
        r"[^\r\n\p{L}\p{N}]?\p{L}+"
    };
}
/// Punctuation, with a space before it and newlines after it.
macro_rules! punctuation {
    () => {
        r" ?[^\s\p{L}\p{N}]+[\r\n]*"
    };
}
/// White space: up to the last newline, or all but the last space before a word, or all.
macro_rules! white_space {
    () => {
        r"\s*[\r\n]+|\s+(?!\S)|\s+"
    };
}
/// The ranges of Chinese characters, for use in a character class.
macro_rules! ideographs {
    () => {
        r"\u{4e00}-\u{9fff}\u{3400}-\u{4dbf}\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b820}-\u{2ceaf}\u{2ceb0}-\u{2ebef}\u{f900}-\u{faff}\u{2f800}-\u{2fa1f}"
    };
}

/// GPT-2's words.
pub(super) const GPT2: SplitStep =
    Pattern(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)");
/// Llama 3's words: contractions in upper and lower case, up to three digits, and punctuation with the newlines after
/// it.
pub(super) const LLAMA3: SplitStep = Pattern(concat!(
    contraction!(),
    r"|",
    letters!(),
    r"|\p{N}{1,3}|",
    punctuation!(),
    r"|",
    white_space!()
));
/// Llama 3's words, with runs of spaces split into powers of two.
pub(super) const JAIS2: SplitStep = Pattern(concat!(
    contraction!(),
    r"|",
    letters!(),
    r"|\p{N}{1,3}|",
    punctuation!(),
    r"|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}"
));
/// Qwen 2's words: those of Llama 3, but with single digits.
pub(super) const QWEN2: SplitStep = Pattern(concat!(
    contraction!(),
    r"|",
    letters!(),
    r"|\p{N}|",
    punctuation!(),
    r"|",
    white_space!()
));
/// Qwen 2's words with combining marks.
pub(super) const QWEN35: SplitStep = Pattern(concat!(
    contraction!(),
    r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|",
    white_space!()
));
/// Qwen 2's words without contractions.
pub(super) const NO_CONTRACTIONS: SplitStep =
    Pattern(concat!(letters!(), r"|\p{N}|", punctuation!(), r"|", white_space!()));
/// Qwen 2's words with numbers of any length.
pub(super) const LONG_NUMBERS: SplitStep = Pattern(concat!(
    contraction!(),
    r"|",
    letters!(),
    r"|\p{N}+|",
    punctuation!(),
    r"|",
    white_space!()
));
/// Qwen 2's words with single newlines.
pub(super) const BAILING: SplitStep = Pattern(concat!(
    r"'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|",
    letters!(),
    r"|\p{N}|",
    punctuation!(),
    r"|\s*[\r\n]|\s+(?!\S)|\s+"
));
/// Qwen 2's words without newlines after punctuation.
pub(super) const SEED: SplitStep = Pattern(concat!(
    contraction!(),
    r"|",
    letters!(),
    r"|\p{N}| ?[^\s\p{L}\p{N}\r\n]+|",
    white_space!()
));
/// EXAONE MoE's words: those of Qwen 2, but several words with single spaces between them count as one.
pub(super) const EXAONE_MOE: SplitStep = Pattern(concat!(
    contraction!(),
    r"|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+"
));
/// DeepSeek 3's words.
pub(super) const DEEPSEEK3: SplitStep = Pattern(concat!(
    r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"##,
    white_space!()
));
/// DeepSeek 3's words with single newlines.
pub(super) const SPARK: SplitStep = Pattern(
    r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+"##,
);
/// Runs of Chinese characters and Japanese syllables.
pub(super) const KANJI_AND_KANA: SplitStep = Pattern(r"[一-龥぀-ゟ゠-ヿ]+");
/// Runs of Chinese characters and Hangul, in the ranges that DeepSeek's first models use.
pub(super) const IDEOGRAPHS_AND_HANGUL: SplitStep = Pattern(r"[一-龥ࠀ-一가-퟿--\s]+");
/// Runs of Asian scripts without spaces between words.
pub(super) const ASIAN: SplitStep =
    Pattern(r"[一-鿿㐀-䶿豈-﫿぀-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿຀-໿ក-៿က-႟ꩠ-ꩿꧠ-꧿가-힯ᄀ-ᇿ]+");
/// Letters of scripts with upper and lower case, and a space before them.
pub(super) const CASED_SCRIPTS: SplitStep = Pattern(
    r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+",
);
/// Punctuation of ASCII and in full width, and a space before it.
pub(super) const PUNCTUATION: SplitStep = Pattern(r"\s?[!-/:-~！-／：-～‘-‟、-。]+");
/// Mistral's words, which are split between a lower-case and an upper-case letter.
pub(super) const TEKKEN: SplitStep = Pattern(concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{L}--a-z]*[\p{L}--A-Z]+|[^\r\n\p{L}\p{N}]?[\p{L}--a-z]+[\p{L}--A-Z]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|",
    white_space!()
));
/// GPT-4o's words, which are split between a lower-case and an upper-case letter.
pub(super) const GPT4O: SplitStep = Pattern(concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{L}--a-z]*[\p{L}--A-Z]+",
    contraction!(),
    r"?|[^\r\n\p{L}\p{N}]?[\p{L}--a-z]+[\p{L}--A-Z]*",
    contraction!(),
    r"?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|",
    white_space!()
));
/// GPT-4o's words with combining marks.
pub(super) const GPT4O_MARKS: SplitStep = Pattern(concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}--a-z]*[\p{L}\p{M}--A-Z]+",
    contraction!(),
    r"?|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}--a-z]+[\p{L}\p{M}--A-Z]*",
    contraction!(),
    r"?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|",
    white_space!()
));
/// Words of letters and combining marks, with single digits.
pub(super) const MARKED_DIGIT: SplitStep = Pattern(concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+",
    contraction!(),
    r"?|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|",
    white_space!()
));
/// Words of letters and combining marks, with up to three digits.
pub(super) const MARKED: SplitStep = Pattern(concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+",
    contraction!(),
    r"?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|",
    white_space!()
));
/// Runs of Hangul, full-width punctuation, Bopomofo, Chinese characters and kana.
pub(super) const YOUTU: SplitStep =
    Pattern(r"[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+");
/// Kimi's words, where runs of Chinese characters are words of their own.
pub(super) const KIMI: SplitStep = Pattern(concat!(
    r"[",
    ideographs!(),
    r"]+|[^\r\n\p{L}\p{N}]?[\p{L}--[",
    ideographs!(),
    r"]]+",
    contraction!(),
    r"?|\p{N}{1,3}|",
    punctuation!(),
    r"|",
    white_space!()
));
/// BLOOM's words: text between spaces and clause-ending punctuation.
pub(super) const CLAUSES: SplitStep = Pattern(r" ?[^(\s|.,!?…。，、।۔،)]+");
/// Lines, and runs of newlines.
pub(super) const LINES: SplitStep = Pattern(r"[^\n]+|[\n]+");
/// Text between white space.
pub(super) const NOT_SPACES: SplitStep = Pattern(r"\S+");
/// Runs of digits.
pub(super) const NUMBERS: SplitStep = Pattern(r"\p{N}+");
/// Single digits.
pub(super) const DIGIT: SplitStep = Pattern(r"\p{N}");
/// Up to three digits.
pub(super) const THREE_DIGITS: SplitStep = Pattern(r"\p{N}{1,3}");
/// Exactly three ASCII digits.
pub(super) const THREE_ASCII_DIGITS: SplitStep = Pattern(r"[0-9][0-9][0-9]");
/// Single newlines.
pub(super) const NEWLINE: SplitStep = Pattern(r"[\r\n]");
/// White space at the end of the text.
pub(super) const LAST_SPACES: SplitStep = Pattern(r"\s+$");
/// Letters, and a space before them.
pub(super) const LETTERS: SplitStep = Pattern(r"\s?\p{L}+");
/// Punctuation, and a space before it.
pub(super) const MARKS: SplitStep = Pattern(r"\s?\p{P}+");
/// Punctuation and the symbols of ASCII, except the grave accent.
pub(super) const SYMBOLS: SplitStep = Pattern(r"[\p{P}\$\+<=>\^~\|]+");
/// Punctuation and the symbols of ASCII.
pub(super) const FALCON_SYMBOLS: SplitStep = Pattern(r"[\p{P}\$\+<=>\^~\|`]+");
/// Chameleon's sentinels.
pub(super) const SENTINEL: SplitStep = Pattern(r"<sentinel:[0-9]+>");
/// Chameleon's image tokens.
pub(super) const IMAGE: SplitStep = Pattern(r"(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z");
/// Chameleon's indentation: a tab, a newline, four spaces or two spaces.
pub(super) const INDENTATION: SplitStep = Pattern(r"([\t\n]|    |  )");
/// Single punctuation marks.
pub(super) const ONE_MARK: SplitStep = Pattern(r"[\p{P}!-/:-@\[-`{-~]");
