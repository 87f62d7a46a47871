//! One sequence, from its prompt to its completion.

mod chooser;
mod end_tokens;

pub(super) use chooser::RowUse;

use super::{admission::Admission, kv_reuse::CacheOrigin, stop_strings::StopStrings};
use crate::{Error, Request, Result, adapters::ActiveAdapter, flops::LogitPositions};
use chooser::Chooser;
use end_tokens::EndTokens;
use llem_checkpoint::{RopeRange, Shape, tokenizer::Tokenizer};
use std::{
    fmt,
    time::{Duration, Instant},
};

/// The parts of a model that sequences refer to.
#[derive(Clone, Copy)]
pub(crate) struct ModelParts<'a> {
    pub shape: &'a Shape,
    pub tokenizer: Option<&'a Tokenizer>,
    pub eos: &'a [u32],
}

/// A sequence that was submitted to a batch.
#[derive(Clone, Copy, Debug)]
pub struct SubmittedSequence {
    /// The sequence's name in the batch.
    pub name: u64,
    /// Number of prompt tokens to run, without those that a continued sequence has in its KV cache.
    pub prompt_tokens: usize,
}

/// Why a sequence ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The last token is an end-of-sequence token.
    Eos,
    /// The sequence has as many tokens as requested or given.
    Length,
    /// The text contains a stop string, or the last token is a stop token.
    Stop,
    /// The model's context is full.
    Context,
    /// The run was interrupted.
    Interrupted,
    /// The sequence was cancelled.
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

/// The result for one prompt.
#[derive(Clone, Debug)]
pub struct Completion {
    /// Number of prompt tokens that were run, without the cached ones.
    pub prompt_tokens: usize,
    /// Number of tokens before these whose keys and values came from a KV cache.
    pub cached_tokens: usize,
    /// Positions of the prompt whose logits were computed. The FLOP count depends on them
    /// ([`crate::flops::FlopCounter::generation`]).
    pub prompt_logits: LogitPositions,
    /// The generated tokens.
    pub tokens: Vec<u32>,
    /// The text of the generated tokens. `None` without a tokenizer, and until [`crate::Model::detokenize_all`] has
    /// been called.
    pub text: Option<String>,
    /// Time that it took to turn the tokens into text.
    pub detokenize_time: Duration,
    /// Why the sequence ended.
    pub finish: FinishReason,
    /// When the prompt was handed over. The request's clock starts then.
    pub submitted: Instant,
    /// When the prompt had been tokenized.
    pub tokenized: Instant,
    /// When the pass began that ran the first token of the prompt. `None` if the sequence never ran.
    pub started: Option<Instant>,
    /// When each token was on the host.
    pub token_times: Vec<Instant>,
    /// Logits in f32 if [`Request::keep_logits`] is set: `[prompt + generated - 1, vocab]`, or `[prompt, vocab]` if
    /// no token was generated. Row i is the distribution of token i + 1.
    pub logits: Vec<f32>,
    /// One entry for each generated token if [`Request::log_probabilities`] is set, and otherwise empty.
    pub log_probabilities: Vec<TokenLogProbabilities>,
    /// The adapter that the sequence ran with. `None` means the base weights.
    pub adapter: Option<ActiveAdapter>,
}

/// How likely a generated token and the most likely tokens were, as natural logarithms of probabilities. They come
/// from the model's unchanged logits, before bias, penalties and temperature (vLLM's `raw_logprobs`).
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogProbabilities {
    /// The log-probability of the chosen token.
    pub chosen: f64,
    /// The most likely tokens with their log-probabilities, the most likely first. There are as many as requested.
    pub top: Vec<(u32, f64)>,
}

/// Most tokens for which a new sequence allocates memory at once. Many sequences that ask for a whole context may be
/// waiting.
const INITIAL_CAPACITY: usize = 4096;

/// A sequence that waits, runs, or has just ended.
pub(crate) struct Sequence {
    prompt: Vec<u32>,
    /// Number of prompt tokens that have been run or taken over.
    prefilled: usize,
    /// Number of prompt tokens that were taken over.
    cached: usize,
    /// The sequence's name in its batch.
    pub name: u64,
    /// Index of the sequence's KV cache.
    pub slot: usize,
    /// The adapter that the sequence runs with.
    pub adapter: Option<ActiveAdapter>,
    /// The rotary frequencies of the sequence's keys.
    pub rope_range: RopeRange,
    /// Whether the KV memory is kept after the sequence has ended.
    pub hold: bool,
    /// The cache from which the sequence continues.
    pub origin: Option<CacheOrigin>,
    pub admission: Admission,
    /// Most tokens to generate. The next field is true if the context sets this limit.
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
    prompt_logits: LogitPositions,
    logits: Vec<f32>,
    /// How many of the most likely tokens are returned with each chosen token.
    top_count: Option<usize>,
    log_probabilities: Vec<TokenLogProbabilities>,
    finish: Option<FinishReason>,
}

impl Sequence {
    /// Creates the sequence of the request's prompt `index`, which has been checked. The pair of times is when it was
    /// submitted and tokenized. Its name and its slot are its index until others are set.
    pub(crate) fn new(
        request: &Request,
        prompt: Vec<u32>,
        index: usize,
        adapter: Option<ActiveAdapter>,
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
            tokens: Vec::with_capacity(limit.min(INITIAL_CAPACITY)),
            submitted,
            tokenized,
            started: None,
            times: Vec::with_capacity(limit.min(INITIAL_CAPACITY)),
            keep_logits: request.keep_logits,
            prompt_logits: if request.keep_logits {
                LogitPositions::All
            } else {
                request.prompt_logits
            },
            logits: Vec::new(),
            top_count: request.log_probabilities,
            log_probabilities: Vec::new(),
            finish: None,
            prompt,
        }
    }

    /// Returns what the submitter learns of the sequence.
    pub(crate) fn submitted(&self) -> SubmittedSequence {
        SubmittedSequence { name: self.name, prompt_tokens: self.prompt.len() - self.cached }
    }

    /// Records that the keys and values of the first `tokens` tokens of the prompt are taken over.
    pub(crate) fn take_over(&mut self, tokens: usize) {
        (self.cached, self.prefilled) = (tokens, tokens);
    }

    /// Returns true if the sequence continues in the KV cache of the held sequence, and not in a copy.
    pub(crate) fn takes_over(&self) -> bool {
        matches!(self.origin, Some(CacheOrigin::TakeOver { .. }))
    }

    /// Returns the prompt, and then the generated tokens.
    pub(crate) fn context(&self) -> impl Iterator<Item = u32> {
        self.prompt.iter().chain(&self.tokens).copied()
    }

    /// Returns the number of prompt tokens, including those taken over.
    pub(crate) fn prompt_tokens(&self) -> usize {
        self.prompt.len()
    }

    /// Returns the number of tokens that are in memory while the sequence waits.
    pub(crate) fn waiting_tokens(&self) -> usize {
        self.prompt.len() + self.chooser.given_tokens()
    }

    /// Records when the first pass with the sequence's tokens began.
    pub(crate) fn record_start(&mut self, began: Instant) {
        self.started.get_or_insert(began);
    }

    /// Returns the most KV-cache positions that the sequence may need.
    pub(crate) fn max_positions(&self) -> usize {
        self.prompt.len() + self.limit
    }

    /// Returns true if a part of the prompt has not been run.
    pub(crate) fn is_prefilling(&self) -> bool {
        self.prefilled < self.prompt.len()
    }

    pub(crate) fn is_running(&self) -> bool {
        self.finish.is_none()
    }

    pub(crate) fn keeps_logits(&self) -> bool {
        self.keep_logits
    }

    /// Returns for how many of the next `new` rows logits are computed.
    pub(crate) fn logits_count(&self, new: usize) -> usize {
        match self.prompt_logits {
            LogitPositions::All => new,
            LogitPositions::Last => usize::from(self.completes_prompt(new)),
        }
    }

    pub(crate) fn prompt_logits(&self) -> LogitPositions {
        self.prompt_logits
    }

    /// Returns the number of tokens in the KV cache.
    pub(crate) fn past(&self) -> usize {
        let generated = self.tokens.len();
        // If the last token's logits are there, it has been run.
        let to_run = usize::from(generated > 0 && !self.awaits_choice());
        self.prefilled + generated - to_run
    }

    /// Returns the tokens to run next, at most `room` of them.
    pub(crate) fn next_tokens(&self, room: usize) -> &[u32] {
        if self.is_prefilling() {
            let end = self.prompt.len().min(self.prefilled.saturating_add(room));
            &self.prompt[self.prefilled..end]
        } else {
            &self.tokens[self.tokens.len().saturating_sub(room.min(1))..]
        }
    }

    /// Returns true if the prompt is complete after `count` more tokens.
    pub(crate) fn completes_prompt(&self, count: usize) -> bool {
        self.prefilled + count >= self.prompt.len()
    }

    /// Records that `count` tokens have been run.
    pub(crate) fn record_run(&mut self, count: usize) {
        self.prefilled = self.prompt.len().min(self.prefilled + count);
    }

    /// Adds rows of logits, `[rows, vocab]`.
    pub(crate) fn push_logits(&mut self, rows: &[f32]) {
        self.logits.extend_from_slice(rows);
    }

    /// Adds the sequence's name to an error about its next token.
    pub(crate) fn with_name(&self, error: Error) -> Error {
        match error {
            Error::NotANumber(reason) => Error::NotANumber(format!(
                "sequence {}, token {}: {reason}",
                self.name,
                self.tokens.len()
            )),
            other => other,
        }
    }

    /// Adds a token that came to the host now, and ends the sequence if it is the last one.
    pub(crate) fn push_token(
        &mut self,
        token: u32,
        now: Instant,
        parts: ModelParts<'_>,
    ) -> Result<()> {
        self.tokens.push(token);
        self.times.push(now);
        self.finish = self.end_with(token, parts)?;
        if self.finish.is_none() && self.tokens.len() == self.limit {
            self.end_at_limit();
        }
        Ok(())
    }

    /// Returns why the sequence ends with this token, if it does. Given tokens never end a sequence.
    fn end_with(&mut self, token: u32, parts: ModelParts<'_>) -> Result<Option<FinishReason>> {
        if matches!(self.chooser, Chooser::Given(_)) {
            return Ok(None);
        }
        if let Some(reason) = self.end_tokens.reason(token, parts.eos) {
            return Ok(Some(reason));
        }
        let (Some(tokenizer), Some(stop)) = (parts.tokenizer, &mut self.stop) else {
            return Ok(None);
        };
        let has_stop = stop.push(token, tokenizer)?;
        let ends = has_stop && self.end_tokens.may_end(self.tokens.len());
        Ok(ends.then_some(FinishReason::Stop))
    }

    /// Ends the sequence because it has the most tokens that it may have.
    pub(crate) fn end_at_limit(&mut self) {
        let reason =
            if self.limit_is_context { FinishReason::Context } else { FinishReason::Length };
        self.end(reason);
    }

    /// Ends the sequence unless it has ended already.
    pub(crate) fn end(&mut self, reason: FinishReason) {
        self.finish.get_or_insert(reason);
    }

    /// Returns why the sequence ended, or `None` while it runs.
    pub(crate) fn finish(&self) -> Option<FinishReason> {
        self.finish
    }

    /// Returns the last token and when it was on the host.
    pub(crate) fn last(&self) -> Option<(u32, Instant)> {
        Some((*self.tokens.last()?, *self.times.last()?))
    }

    pub(crate) fn generated(&self) -> usize {
        self.tokens.len()
    }

    /// Returns the sequence's result.
    pub(crate) fn into_completion(self) -> Completion {
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
