//! What is asked to be scored, and what cannot be.

use crate::{Error, Result};
use llem_checkpoint::families::Shape;

/// A continuation whose likelihood is asked.
#[derive(Clone, Debug)]
pub struct ScoreRequest {
    /// What comes before; at least one token.
    pub context: Vec<u32>,
    /// What is scored; at least one token.
    pub continuation: Vec<u32>,
}

impl ScoreRequest {
    /// Tokens that are run to score it. The last predicts nothing that is asked, so it is never run.
    pub fn input_tokens(&self) -> usize {
        (self.context.len() + self.continuation.len()).saturating_sub(1)
    }
}

/// Refuses requests that cannot be scored before any is.
pub(crate) fn check(requests: &[ScoreRequest], shape: &Shape) -> Result<()> {
    let each = |(index, request)| check_one(index, request, shape.vocab, shape.context);
    requests.iter().enumerate().try_for_each(each)
}

/// Refuses texts that cannot be scored before any is.
pub(crate) fn check_texts(texts: &[Vec<u32>], prefix: u32, shape: &Shape) -> Result<()> {
    if texts.iter().any(|text| !text.is_empty()) {
        check_tokens(&[prefix], "prefix", shape.vocab)?;
    }
    let each = |(index, text): (usize, &Vec<u32>)| {
        check_tokens(text, &format!("text {index} to score"), shape.vocab)
    };
    texts.iter().enumerate().try_for_each(each)
}

fn check_one(index: usize, request: &ScoreRequest, vocab: usize, context: usize) -> Result<()> {
    let ScoreRequest { context: before, continuation } = request;
    let name = format!("score request {index}");
    if before.is_empty() || continuation.is_empty() {
        return Err(Error::Invalid(format!(
            "{name}: context and continuation need at least one token each"
        )));
    }
    if request.input_tokens() > context {
        return Err(Error::Invalid(format!(
            "{name}: {} tokens do not fit the model's context of {context}",
            before.len() + continuation.len()
        )));
    }
    check_tokens(before, &name, vocab)?;
    check_tokens(continuation, &name, vocab)
}

fn check_tokens(tokens: &[u32], name: &str, vocab: usize) -> Result<()> {
    match tokens.iter().find(|&&token| token as usize >= vocab) {
        None => Ok(()),
        Some(token) => Err(Error::Invalid(format!(
            "{name}: token {token} is beyond the vocabulary, which ends at {}",
            vocab - 1
        ))),
    }
}
