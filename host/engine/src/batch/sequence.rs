//! One sequence on its way from prompt to completion.

use super::stop_strings::StopStrings;
use crate::{
    Error, Request, Result,
    adapters::Adapted,
    families::Shape,
    sampling::{Sampler, argmax},
    tokenizer::Tokenizer,
};
use std::{
    fmt,
    time::{Duration, Instant},
};

/// What is known of a model that sequences run on.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'a> {
    pub shape: &'a Shape,
    pub tokenizer: Option<&'a Tokenizer>,
    pub eos: &'a [u32],
}

/// A sequence that was submitted.
#[derive(Clone, Copy, Debug)]
pub struct Submitted {
    /// Its name in the batch.
    pub name: u64,
    /// Prompt length.
    pub prompt_tokens: usize,
}

/// Why a sequence ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// An end-of-sequence token, the last of its tokens.
    Eos,
    /// As many tokens as asked for.
    Length,
    /// A stop string appeared.
    Stop,
    /// The context is full.
    Context,
    /// The run was interrupted.
    Interrupted,
    /// It was taken out of its batch.
    Cancelled,
}

impl fmt::Display for FinishReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eos => "eos",
            Self::Length => "length",
            Self::Stop => "stop",
            Self::Context => "context",
            Self::Interrupted => "interrupted",
            Self::Cancelled => "cancelled",
        })
    }
}

/// What became of one prompt.
#[derive(Clone, Debug)]
pub struct Completion {
    /// Prompt length.
    pub prompt_tokens: usize,
    /// Generated tokens.
    pub tokens: Vec<u32>,
    /// Their text; none without a tokenizer, and until [`crate::Model::detokenize_all`] has made it.
    pub text: Option<String>,
    /// What making it took.
    pub detokenize_time: Duration,
    /// Why it ended.
    pub finish: FinishReason,
    /// When it was handed over: the clock of its request started.
    pub submitted: Instant,
    /// When its prompt was tokens.
    pub tokenized: Instant,
    /// When the pass began that ran the first of its prompt; none if it never ran.
    pub started: Option<Instant>,
    /// When each token was on the host.
    pub token_times: Vec<Instant>,
    /// With `keep_logits`: f32 rows, `[prompt + generated - 1, vocab]`. Row i is the distribution
    /// of token i + 1.
    pub logits: Vec<f32>,
    /// What it ran with; none means the base weights.
    pub adapter: Option<Adapted>,
}

/// Tokens for which a sequence makes room before it has any: many sequences may wait that ask for a whole context.
const MADE_ROOM_FOR: usize = 4096;

/// A sequence that is waiting, running or has just ended.
pub(crate) struct Sequence {
    prompt: Vec<u32>,
    /// Prompt tokens that have been run.
    prefilled: usize,
    /// What its batch calls it.
    pub name: u64,
    /// Which KV cache is its own.
    pub slot: usize,
    /// What it runs with.
    pub adapter: Option<Adapted>,
    /// Most tokens it may generate, and whether the context sets that.
    limit: usize,
    limit_is_context: bool,
    ignore_eos: bool,
    stop: Option<StopStrings>,
    greedy: bool,
    sampler: Sampler,
    tokens: Vec<u32>,
    submitted: Instant,
    tokenized: Instant,
    started: Option<Instant>,
    times: Vec<Instant>,
    keep_logits: bool,
    logits: Vec<f32>,
    finish: Option<FinishReason>,
}

impl Sequence {
    /// The sequence of the request's prompt `index`, which has been checked, submitted and tokenized at two moments. Its name and KV cache are
    /// those of its index until it is given others.
    pub fn new(
        request: &Request,
        prompt: Vec<u32>,
        index: usize,
        adapter: Option<Adapted>,
        context: usize,
        [submitted, tokenized]: [Instant; 2],
    ) -> Self {
        let limit = request.max_new_tokens.min(context - prompt.len());
        Self {
            sampler: Sampler::new(&request.sampling, index, &prompt),
            prefilled: 0,
            name: index as u64,
            slot: index,
            adapter,
            limit,
            limit_is_context: limit < request.max_new_tokens,
            ignore_eos: request.ignore_eos,
            stop: StopStrings::new(&request.stop),
            greedy: request.sampling.is_plain_greedy(),
            tokens: Vec::with_capacity(limit.min(MADE_ROOM_FOR)),
            submitted,
            tokenized,
            started: None,
            times: Vec::with_capacity(limit.min(MADE_ROOM_FOR)),
            keep_logits: request.keep_logits,
            logits: Vec::new(),
            finish: None,
            prompt,
        }
    }

    /// What its submitter is told.
    pub fn submitted(&self) -> Submitted {
        Submitted { name: self.name, prompt_tokens: self.prompt.len() }
    }

    /// Length of its prompt.
    pub fn prompt_tokens(&self) -> usize {
        self.prompt.len()
    }

    /// Notes that a pass with some of its tokens began.
    pub fn runs_from(&mut self, began: Instant) {
        self.started.get_or_insert(began);
    }

    /// KV-cache positions that it may come to need.
    pub fn room(&self) -> usize {
        self.prompt.len() + self.limit
    }

    /// Whether part of its prompt has not been run.
    pub fn is_prefilling(&self) -> bool {
        self.prefilled < self.prompt.len()
    }

    /// Whether it still runs.
    pub fn is_running(&self) -> bool {
        self.finish.is_none()
    }

    /// Whether its tokens are the most likely ones, as the model gives them.
    pub fn is_greedy(&self) -> bool {
        self.greedy
    }

    /// Whether the logits of all its rows are kept.
    pub fn keeps_logits(&self) -> bool {
        self.keep_logits
    }

    /// Tokens that have been run.
    pub fn past(&self) -> usize {
        self.prefilled + self.tokens.len().saturating_sub(1)
    }

    /// The tokens to run next, at most `room` of them.
    pub fn next(&self, room: usize) -> &[u32] {
        if self.is_prefilling() {
            let end = self.prompt.len().min(self.prefilled.saturating_add(room));
            &self.prompt[self.prefilled..end]
        } else {
            &self.tokens[self.tokens.len().saturating_sub(room.min(1))..]
        }
    }

    /// Whether `count` more tokens leave only tokens of its own to come.
    pub fn completes_prompt(&self, count: usize) -> bool {
        self.prefilled + count >= self.prompt.len()
    }

    /// Notes that `count` tokens have been run.
    pub fn ran(&mut self, count: usize) {
        self.prefilled = self.prompt.len().min(self.prefilled + count);
    }

    /// Keeps rows of logits.
    pub fn keep(&mut self, rows: &[f32]) {
        self.logits.extend_from_slice(rows);
    }

    /// Chooses from a row of logits.
    pub fn choose(&mut self, logits: &[f32]) -> Result<u32> {
        let chosen = if self.greedy { argmax(logits) } else { self.sampler.choose(logits, &[]) };
        chosen.map_err(|error| self.blamed(error))
    }

    /// An error in choosing its next token, which names the sequence.
    pub fn blamed(&self, error: Error) -> Error {
        match error {
            Error::NotANumber(reason) => Error::NotANumber(format!(
                "sequence {}, token {}: {reason}",
                self.name,
                self.tokens.len()
            )),
            other => other,
        }
    }

    /// Takes a token that is on the host now, and ends the sequence if it is the last.
    pub fn take(&mut self, token: u32, now: Instant, parts: Parts<'_>) -> Result<()> {
        self.tokens.push(token);
        self.times.push(now);
        if !self.ignore_eos && parts.eos.contains(&token) {
            self.finish = Some(FinishReason::Eos);
            return Ok(());
        }
        if let (Some(tokenizer), Some(stop)) = (parts.tokenizer, &mut self.stop)
            && stop.appear_with(token, tokenizer)?
        {
            self.finish = Some(FinishReason::Stop);
            return Ok(());
        }
        if self.tokens.len() == self.limit {
            let context = self.limit_is_context;
            self.finish = Some(if context { FinishReason::Context } else { FinishReason::Length });
        }
        Ok(())
    }

    /// Ends it, unless it has ended.
    pub fn end(&mut self, reason: FinishReason) {
        self.finish.get_or_insert(reason);
    }

    /// Why it ended.
    pub fn finish(&self) -> Option<FinishReason> {
        self.finish
    }

    /// Its last token and when that was on the host.
    pub fn last(&self) -> Option<(u32, Instant)> {
        Some((*self.tokens.last()?, *self.times.last()?))
    }

    /// Tokens generated so far.
    pub fn generated(&self) -> usize {
        self.tokens.len()
    }

    /// What became of it.
    pub fn complete(self) -> Completion {
        Completion {
            prompt_tokens: self.prompt.len(),
            text: None,
            detokenize_time: Duration::ZERO,
            finish: self.finish.unwrap_or(FinishReason::Interrupted),
            submitted: self.submitted,
            tokenized: self.tokenized,
            started: self.started,
            token_times: self.times,
            tokens: self.tokens,
            logits: self.logits,
            adapter: self.adapter,
        }
    }
}

/// Refuses a request that cannot be run before any work is done.
pub(crate) fn check(
    request: &Request,
    prompts: &[Vec<u32>],
    shape: &Shape,
    has_tokenizer: bool,
) -> Result<()> {
    let refuse = |message: String| Err(Error::Invalid(message));
    let (vocab, context) = (shape.vocab, shape.context);
    request.sampling.check(vocab)?;
    StopStrings::check(&request.stop)?;
    if prompts.is_empty() {
        return refuse("a request needs at least one prompt".to_owned());
    }
    if request.max_new_tokens == 0 {
        return refuse("max-new-tokens must be at least 1".to_owned());
    }
    if !request.stop.is_empty() && !has_tokenizer {
        return refuse(
            "stop strings need a tokenizer, and the model's folder has no tokenizer.json"
                .to_owned(),
        );
    }
    for (index, prompt) in prompts.iter().enumerate() {
        if prompt.is_empty() {
            return refuse(format!("prompt {index} has no tokens"));
        }
        if prompt.len() >= context {
            return refuse(format!(
                "prompt {index} has {} tokens, but the model's context holds {context} with at least one to generate",
                prompt.len()
            ));
        }
        if let Some(token) = prompt.iter().find(|&&token| token as usize >= vocab) {
            return refuse(format!(
                "prompt {index} holds token {token}, but the vocabulary ends at {}",
                vocab - 1
            ));
        }
    }
    Ok(())
}
