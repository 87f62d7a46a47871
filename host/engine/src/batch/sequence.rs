//! One sequence on its way from prompt to completion.

mod chooser;
mod end_tokens;

pub use chooser::Takes;

use super::{admission::Admission, reuse::Origin, stop_strings::StopStrings};
use crate::{Error, Request, Result, adapters::Adapted, flops::Logits};
use chooser::Chooser;
use end_tokens::EndTokens;
use llem_checkpoint::{
    families::{RopeRange, Shape},
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
    /// Prompt length, without what a continued sequence has in its KV cache.
    pub prompt_tokens: usize,
}

/// Why a sequence ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// An end-of-sequence token, the last of its tokens.
    Eos,
    /// As many tokens as asked for, or given.
    Length,
    /// A stop string appeared, or a stop token, the last of its tokens.
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
    /// Prompt tokens that are run for it: all but those that were cached.
    pub prompt_tokens: usize,
    /// Tokens before those, whose keys and values were taken over from a KV cache.
    pub cached_tokens: usize,
    /// Positions of the prompt whose logits were computed, which its operations are counted by
    /// ([`crate::flops::Counted::generation`]).
    pub prompt_logits: Logits,
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
    /// With `keep_logits`: f32 rows, `[prompt + generated - 1, vocab]`, or `[prompt, vocab]` where none was generated. Row
    /// i is the distribution of token i + 1.
    pub logits: Vec<f32>,
    /// With `log_probabilities`: one for each generated token; otherwise empty.
    pub log_probabilities: Vec<TokenLogProbabilities>,
    /// What it ran with; none means the base weights.
    pub adapter: Option<Adapted>,
}

/// How likely a generated token was, and what else was: natural logarithms of probabilities by the model's logits as they
/// are, before bias, penalties and temperature (vLLM's `raw_logprobs`).
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogProbabilities {
    /// Of the token that was chosen.
    pub chosen: f64,
    /// The most likely tokens with theirs, as many as were asked for, the most likely first.
    pub top: Vec<(u32, f64)>,
}

/// Tokens for which a sequence makes room before it has any: many sequences may wait that ask for a whole context.
const MADE_ROOM_FOR: usize = 4096;

/// A sequence that is waiting, running or has just ended.
pub(crate) struct Sequence {
    prompt: Vec<u32>,
    /// Prompt tokens that have been run or taken over.
    prefilled: usize,
    /// Prompt tokens that were taken over.
    cached: usize,
    /// What its batch calls it.
    pub name: u64,
    /// Which KV cache is its own.
    pub slot: usize,
    /// What it runs with.
    pub adapter: Option<Adapted>,
    /// Which frequencies its keys are rotated with.
    pub rope_range: RopeRange,
    /// Whether its KV memory is kept when it has ended.
    pub hold: bool,
    /// The sequence that it continues.
    pub origin: Option<Origin>,
    /// When its batch took it in.
    pub admission: Admission,
    /// Most tokens it may generate, and whether the context sets that.
    limit: usize,
    limit_is_context: bool,
    end_tokens: EndTokens,
    stop: Option<StopStrings>,
    chooser: Chooser,
    tokens: Vec<u32>,
    submitted: Instant,
    tokenized: Instant,
    started: Option<Instant>,
    times: Vec<Instant>,
    keep_logits: bool,
    prompt_logits: Logits,
    logits: Vec<f32>,
    /// How many of the most likely tokens are told beside each chosen one.
    told: Option<usize>,
    log_probabilities: Vec<TokenLogProbabilities>,
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
        shape: &Shape,
        [submitted, tokenized]: [Instant; 2],
    ) -> Self {
        let asked = request.most_new_tokens(index);
        let limit = asked.min(shape.context - prompt.len());
        let rope_range = shape.rope_range(prompt.len() + limit);
        Self {
            chooser: Chooser::new(request, index, &prompt),
            prefilled: 0,
            cached: 0,
            hold: request.hold,
            origin: None,
            admission: Admission::new(submitted),
            name: index as u64,
            slot: index,
            adapter,
            limit,
            limit_is_context: limit < asked,
            rope_range,
            end_tokens: EndTokens::new(request),
            stop: StopStrings::new(&request.stop),
            tokens: Vec::with_capacity(limit.min(MADE_ROOM_FOR)),
            submitted,
            tokenized,
            started: None,
            times: Vec::with_capacity(limit.min(MADE_ROOM_FOR)),
            keep_logits: request.keep_logits,
            prompt_logits: if request.keep_logits { Logits::All } else { request.prompt_logits },
            logits: Vec::new(),
            told: request.log_probabilities,
            log_probabilities: Vec::new(),
            finish: None,
            prompt,
        }
    }

    /// What its submitter is told.
    pub fn submitted(&self) -> Submitted {
        Submitted { name: self.name, prompt_tokens: self.prompt.len() - self.cached }
    }

    /// Notes that keys and values of the first `tokens` of its prompt are taken over.
    pub fn take_over(&mut self, tokens: usize) {
        (self.cached, self.prefilled) = (tokens, tokens);
    }

    /// Whether it goes on in the KV cache of the sequence that it continues.
    pub fn takes_over(&self) -> bool {
        matches!(self.origin, Some(Origin::TakesOver { .. }))
    }

    /// Its prompt, and then what it has generated.
    pub fn context(&self) -> impl Iterator<Item = u32> {
        self.prompt.iter().chain(&self.tokens).copied()
    }

    /// Length of its prompt, with what is taken over.
    pub fn prompt_tokens(&self) -> usize {
        self.prompt.len()
    }

    /// Tokens that it holds before it runs.
    pub fn waiting_tokens(&self) -> usize {
        self.prompt.len() + self.chooser.given_tokens()
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

    /// Whether the logits of all its rows are kept.
    pub fn keeps_logits(&self) -> bool {
        self.keep_logits
    }

    /// Of `new` rows that it runs next, for how many logits are computed.
    pub fn logits_of(&self, new: usize) -> usize {
        match self.prompt_logits {
            Logits::All => new,
            Logits::Last => usize::from(self.completes_prompt(new)),
        }
    }

    /// Positions of its prompt whose logits are computed.
    pub fn prompt_logits(&self) -> Logits {
        self.prompt_logits
    }

    /// Tokens that are in its KV cache.
    pub fn past(&self) -> usize {
        let generated = self.tokens.len();
        // The last one has been run where the logits that came of it are there.
        let to_run = usize::from(generated > 0 && !self.awaits_choice());
        self.prefilled + generated - to_run
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
        self.finish = self.end_with(token, parts)?;
        if self.finish.is_none() && self.tokens.len() == self.limit {
            self.end_at_limit();
        }
        Ok(())
    }

    /// Why it ends with a token for what that is. Tokens that are given end nothing.
    fn end_with(&mut self, token: u32, parts: Parts<'_>) -> Result<Option<FinishReason>> {
        if matches!(self.chooser, Chooser::Given(_)) {
            return Ok(None);
        }
        if let Some(reason) = self.end_tokens.reason(token, parts.eos) {
            return Ok(Some(reason));
        }
        let (Some(tokenizer), Some(stop)) = (parts.tokenizer, &mut self.stop) else {
            return Ok(None);
        };
        let has_stop = stop.appear_with(token, tokenizer)?;
        let ends = has_stop && self.end_tokens.may_end(self.tokens.len());
        Ok(ends.then_some(FinishReason::Stop))
    }

    /// Ends it because it has as many tokens as it may have.
    pub fn end_at_limit(&mut self) {
        let reason =
            if self.limit_is_context { FinishReason::Context } else { FinishReason::Length };
        self.end(reason);
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
            prompt_tokens: self.prompt.len() - self.cached,
            cached_tokens: self.cached,
            prompt_logits: self.prompt_logits,
            text: None,
            detokenize_time: Duration::ZERO,
            finish: self.finish.unwrap_or(FinishReason::Interrupted),
            submitted: self.submitted,
            tokenized: self.tokenized,
            started: self.started,
            token_times: self.times,
            tokens: self.tokens,
            logits: self.logits,
            log_probabilities: self.log_probabilities,
            adapter: self.adapter,
        }
    }
}
