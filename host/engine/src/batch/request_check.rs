//! Checks of a request before any work is done.

use super::stop_strings::StopStrings;
use crate::{Error, Request, Result, flops::LogitPositions};
use llem_checkpoint::Shape;

/// The largest value of [`Request::log_probabilities`].
const MOST_LOG_PROBABILITIES: usize = 20;

/// Refuses a request that cannot be run.
pub(crate) fn check_request(
    request: &Request,
    prompts: &[Vec<u32>],
    shape: &Shape,
    has_tokenizer: bool,
) -> Result<()> {
    request.sampling.check(shape.vocab)?;
    StopStrings::check(&request.stop)?;
    check_tokens("stop-tokens holds", &request.stop_tokens, shape.vocab)?;
    check_ends(request, has_tokenizer)?;
    check_prompts(request, prompts, shape)?;
    check_given(request, prompts.len(), shape.vocab)
}

/// Checks how many tokens are generated, and what is returned with them.
fn check_ends(request: &Request, has_tokenizer: bool) -> Result<()> {
    let refuse = |message: String| Err(Error::Invalid(message));
    let (fewest, most) = (request.min_new_tokens, request.max_new_tokens);
    if fewest > most {
        return refuse(format!(
            "min-new-tokens {fewest} must be at most max-new-tokens, which is {most}"
        ));
    }
    if request.prompt_logits == LogitPositions::All && most > 0 {
        return refuse(format!(
            "all prompt logits are computed only where nothing is generated, and max-new-tokens is {most}: make it 0"
        ));
    }
    if let Some(count) = request.log_probabilities.filter(|&count| count > MOST_LOG_PROBABILITIES) {
        return refuse(format!(
            "log-probabilities {count} must be at most {MOST_LOG_PROBABILITIES}"
        ));
    }
    if !request.stop.is_empty() && !has_tokenizer {
        return refuse(
            "stop strings need a tokenizer, and the model has none that is read".to_owned(),
        );
    }
    Ok(())
}

fn check_prompts(request: &Request, prompts: &[Vec<u32>], shape: &Shape) -> Result<()> {
    let refuse = |message: String| Err(Error::Invalid(message));
    let context = shape.context;
    if prompts.is_empty() {
        return refuse("a request needs at least one prompt".to_owned());
    }
    for (index, prompt) in prompts.iter().enumerate() {
        if prompt.is_empty() {
            return refuse(format!("prompt {index} has no tokens"));
        }
        let (to_come, with) = match request.max_new_tokens {
            0 => (0, ""),
            _ => (1, " with at least one to generate"),
        };
        if prompt.len() + to_come > context {
            return refuse(format!(
                "prompt {index} has {} tokens, but the model's context holds {context}{with}",
                prompt.len()
            ));
        }
        // The last generated token is not run.
        let generated = request.most_new_tokens(index).min(context - prompt.len());
        let rows = prompt.len() + generated.saturating_sub(1);
        if let Err(reason) = shape.check_sequence(prompt.len(), rows) {
            return refuse(format!("prompt {index} has {} tokens: {reason}", prompt.len()));
        }
        check_tokens(&format!("prompt {index} holds"), prompt, shape.vocab)?;
    }
    Ok(())
}

/// Checks the tokens that the request gives instead of generating them.
fn check_given(request: &Request, prompts: usize, vocab: usize) -> Result<()> {
    let refuse = |message: String| Err(Error::Invalid(message));
    let given = &request.given;
    if given.is_empty() {
        return Ok(());
    }
    if request.caller_chooses {
        return refuse(
            "tokens are given, so that there is nothing for the caller to choose: ask for one of the two"
                .to_owned(),
        );
    }
    if given.len() != prompts {
        return refuse(format!(
            "{} lists of given tokens for {prompts} prompts: give one a prompt, or none at all",
            given.len()
        ));
    }
    for (index, tokens) in given.iter().enumerate() {
        if tokens.len() > request.max_new_tokens {
            return refuse(format!(
                "{} tokens are given for prompt {index}, more than max-new-tokens, which is {}",
                tokens.len(),
                request.max_new_tokens
            ));
        }
        check_tokens(&format!("what is given for prompt {index} holds"), tokens, vocab)?;
    }
    Ok(())
}

/// Refuses token ids outside the vocabulary.
fn check_tokens(holder: &str, tokens: &[u32], vocab: usize) -> Result<()> {
    match tokens.iter().find(|&&token| token as usize >= vocab) {
        Some(token) => Err(Error::Invalid(format!(
            "{holder} token {token}, but the vocabulary ends at {}",
            vocab - 1
        ))),
        None => Ok(()),
    }
}
