//! Requests to score a continuation, and the checks of requests and texts.

use crate::{Error, Result};
use llem_checkpoint::Shape;

/// A continuation whose likelihood is to be computed.
///
/// ```
/// use llem_engine::{Control, LoadOptions, Model, ScoreRequest};
///
/// let mut model = Model::load(&LoadOptions::new("synthetic:tiny".parse()?))?;
/// let request = ScoreRequest { context: vec![1, 2, 3], continuation: vec![4, 5] };
/// assert_eq!(request.input_tokens(), 4);
///
/// let control = Control { cancelled: &|| false, progress: &|_| () };
/// let scoring = model.score(&[request], &control, &|_, _| ())?;
/// assert_eq!((scoring.completed(), scoring.scored_tokens), (1, 2));
/// assert_eq!((scoring.work[0].tokens, scoring.work[0].logits), (4, 2));
///
/// // A random model is close to a uniform distribution over its 512 tokens.
/// let score = scoring.scores[0].as_ref().unwrap();
/// for log_likelihood in &score.log_likelihoods {
///     assert!((log_likelihood + 512f64.ln()).abs() < 2.0);
/// }
/// # Ok::<(), llem_engine::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ScoreRequest {
    /// The tokens before the continuation. There must be at least one.
    pub context: Vec<u32>,
    /// The tokens that are scored. There must be at least one.
    pub continuation: Vec<u32>,
}

impl ScoreRequest {
    /// Returns the number of tokens that run through the model. The last token is never run, because it predicts only
    /// a token that is not scored.
    pub fn input_tokens(&self) -> usize {
        (self.context.len() + self.continuation.len()).saturating_sub(1)
    }
}

/// Checks all requests before any of them is scored.
///
/// # Errors
/// Returns [`Error::Invalid`] with the index of the request that cannot be scored.
pub(crate) fn check(requests: &[ScoreRequest], shape: &Shape) -> Result<()> {
    let each = |(index, request)| check_one(index, request, shape.vocab, shape.context);
    requests.iter().enumerate().try_for_each(each)
}

/// Checks all texts before any of them is scored.
///
/// # Errors
/// Returns [`Error::Invalid`] with the index of the text that cannot be scored.
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
