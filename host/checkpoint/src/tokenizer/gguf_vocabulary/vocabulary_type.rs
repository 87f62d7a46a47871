//! Which kind of vocabulary a GGUF file has, and why some kinds are not read.

use super::pre_tokenizers::{self, PreTokenizer};
use crate::gguf::Gguf;

/// The kind of a vocabulary, from the key `tokenizer.ggml.model`. The variants are those of
/// llama.cpp's `llama_vocab_type` that are read here.
pub(super) enum VocabularyType {
    /// `llama`: SentencePiece's BPE, which merges by score.
    Spm,
    /// `gpt2` and `gemma4`: BPE that merges by rank within words.
    Bpe(PreTokenizer),
    /// `t5`: SentencePiece's unigram model.
    Unigram,
    /// `bert`: WordPiece.
    WordPiece,
}

impl VocabularyType {
    /// Reads the type from a file. Returns `None` if the file has no vocabulary, or one of a type or with a
    /// pre-tokenizer that is not known here.
    pub(super) fn from_gguf(gguf: &Gguf) -> Option<Self> {
        let model = gguf.text("tokenizer.ggml.model")?;
        match &model[..] {
            "llama" => Some(Self::Spm),
            "bert" => Some(Self::WordPiece),
            "t5" => Some(Self::Unigram),
            "gemma4" => pre_tokenizers::by_name("gemma4").map(Self::Bpe),
            "gpt2" => {
                let name = gguf.text("tokenizer.ggml.pre").unwrap_or_else(|| "default".to_owned());
                pre_tokenizers::by_name(&name).map(Self::Bpe)
            }
            _ => None,
        }
    }
}

/// Explains why the vocabulary of a file is not read, and what to do about it. Returns `None` if the file has no
/// vocabulary. The caller asks only if [`VocabularyType::from_gguf`] returned `None`.
pub(in crate::tokenizer) fn refusal(gguf: &Gguf) -> Option<String> {
    let model =
        gguf.text("tokenizer.ggml.model").filter(|model| model != "none" && model != "no_vocab")?;
    let remedy =
        "give token ids instead of text, or put the original's tokenizer.json beside the file";
    Some(match (&model[..], gguf.text("tokenizer.ggml.pre")) {
        ("gpt2", Some(pre)) => {
            format!("its way of splitting text (tokenizer.ggml.pre {pre:?}) is not known: {remedy}")
        }
        _ => {
            format!("its kind of vocabulary (tokenizer.ggml.model {model:?}) is not read: {remedy}")
        }
    })
}
