//! Generation for a static batch: prefill, then decode, each token stamped when it is on the host.
//!
//! ```text
//! prefill  [a a a a a b b b] [b b c c c c c c] ...   packed, at most PREFILL_ROWS rows a pass
//! decode   [a b c] [a b c] [a c] [a] ...             one row for each sequence still going
//! ```

use crate::{
    Error, Result, Sampling,
    decoder::Decoder,
    kv_cache::{CachePool, KvCache},
    layers::Segment,
    sampling::{Sampler, argmax},
    tokenizer::Tokenizer,
};
use candle_core::{DType, Tensor};
use std::{
    fmt,
    time::{Duration, Instant},
};

/// Prompt tokens of one forward pass. Bounds activation memory; large enough that the matrix
/// products run at their full rate.
const PREFILL_ROWS: usize = 1024;

/// A static batch.
#[derive(Clone, Debug)]
pub struct Request {
    /// Token ids, one list a sequence; no list is empty.
    pub prompts: Vec<Vec<u32>>,
    /// Most tokens to generate for a sequence; at least 1.
    pub max_new_tokens: usize,
    /// Goes on past end-of-sequence tokens.
    pub ignore_eos: bool,
    /// Ends a sequence when its text contains one of these.
    pub stop: Vec<String>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Keeps the logits of every position.
    pub keep_logits: bool,
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
}

/// What became of one prompt.
#[derive(Clone, Debug)]
pub struct Completion {
    /// Prompt length.
    pub prompt_tokens: usize,
    /// Generated tokens.
    pub tokens: Vec<u32>,
    /// Their text; none without a tokenizer.
    pub text: Option<String>,
    /// Why it ended.
    pub finish: FinishReason,
    /// When each token was on the host.
    pub token_times: Vec<Instant>,
    /// With `keep_logits`: f32 rows, `[prompt + generated - 1, vocab]`. Row i is the distribution
    /// of token i + 1.
    pub logits: Vec<f32>,
}

/// A finished (or interrupted) batch.
#[derive(Clone, Debug)]
pub struct Generation {
    /// One for each prompt, in order.
    pub completions: Vec<Completion>,
    /// When work began, the KV cache being reserved.
    pub started: Instant,
    /// When the last first token was on the host.
    pub prefilled: Instant,
    /// When the last token was on the host.
    pub finished: Instant,
}

impl Generation {
    /// Prompt processing of the whole batch, to the last first token.
    pub fn prefill_time(&self) -> Duration {
        self.prefilled - self.started
    }

    /// From there to the last token.
    pub fn decode_time(&self) -> Duration {
        self.finished - self.prefilled
    }
}

impl fmt::Display for FinishReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eos => "eos",
            Self::Length => "length",
            Self::Stop => "stop",
            Self::Context => "context",
            Self::Interrupted => "interrupted",
        })
    }
}

/// How the caller follows and ends long work. Both are asked once a step.
pub struct Control<'a> {
    /// Whether to stop now.
    pub cancelled: &'a dyn Fn() -> bool,
    /// Told how many tokens have been generated so far, over all sequences.
    pub progress: &'a dyn Fn(usize),
}

impl Control<'_> {
    /// Runs to the end and tells nobody.
    pub fn none() -> Self {
        Self { cancelled: &|| false, progress: &|_| () }
    }
}

/// What `run` works with: a model's parts.
pub(crate) struct Parts<'a> {
    pub decoder: &'a Decoder,
    pub caches: &'a mut CachePool,
    pub tokenizer: Option<&'a Tokenizer>,
    pub eos: &'a [u32],
}

struct Sequence<'a> {
    prompt: &'a [u32],
    limit: usize,
    limit_is_context: bool,
    sampler: Sampler,
    tokens: Vec<u32>,
    times: Vec<Instant>,
    logits: Vec<f32>,
    finish: Option<FinishReason>,
}

pub(crate) fn run(
    parts: Parts<'_>,
    request: &Request,
    control: &Control<'_>,
) -> Result<Generation> {
    let Parts { decoder, caches, tokenizer, eos } = parts;
    let shape = decoder.shape();
    check(request, shape.vocab, shape.context, tokenizer.is_some())?;
    let room = |prompt: &Vec<u32>| (prompt.len() + request.max_new_tokens).min(shape.context);
    let capacities: Vec<usize> = request.prompts.iter().map(room).collect();
    let caches = caches.reserve(shape, &capacities, decoder.dtype(), decoder.device())?;
    let sequences = request.prompts.iter().enumerate().map(|(index, prompt)| {
        let limit = request.max_new_tokens.min(shape.context - prompt.len());
        Sequence {
            prompt,
            limit,
            limit_is_context: limit < request.max_new_tokens,
            sampler: Sampler::new(&request.sampling, index, prompt),
            tokens: Vec::with_capacity(limit),
            times: Vec::with_capacity(limit),
            logits: Vec::new(),
            finish: None,
        }
    });
    let mut batch = Batch { decoder, tokenizer, eos, request, sequences: sequences.collect() };

    let started = Instant::now();
    batch.prefill(caches, control)?;
    let prefilled = Instant::now();
    batch.decode(caches, control)?;
    let finished = Instant::now();
    Ok(Generation { completions: batch.completions()?, started, prefilled, finished })
}

/// Refuses what cannot be run before any work is done.
fn check(request: &Request, vocab: usize, context: usize, has_tokenizer: bool) -> Result<()> {
    let refuse = |message: String| Err(Error::Invalid(message));
    request.sampling.check()?;
    if request.prompts.is_empty() {
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
    for (index, prompt) in request.prompts.iter().enumerate() {
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

struct Batch<'a> {
    decoder: &'a Decoder,
    tokenizer: Option<&'a Tokenizer>,
    eos: &'a [u32],
    request: &'a Request,
    sequences: Vec<Sequence<'a>>,
}

impl<'a> Batch<'a> {
    fn prefill(&mut self, caches: &mut [KvCache], control: &Control<'_>) -> Result<()> {
        let prompts: Vec<&'a [u32]> =
            self.sequences.iter().map(|sequence| sequence.prompt).collect();
        for pass in passes(&prompts) {
            if (control.cancelled)() {
                self.interrupt();
                return Ok(());
            }
            let segments: Vec<Segment<'_>> = pass
                .iter()
                .map(|piece| Segment {
                    slot: piece.slot,
                    tokens: &prompts[piece.slot][piece.from..piece.to],
                })
                .collect();
            let hidden = self.decoder.forward(&segments, caches)?;
            if self.request.keep_logits {
                self.keep(&hidden, &pass)?;
            }
            let mut done = Vec::new();
            let mut rows = Vec::new();
            let mut end = 0;
            for piece in &pass {
                end += piece.to - piece.from;
                if piece.to == prompts[piece.slot].len() {
                    done.push(piece.slot);
                    rows.push(end as u32 - 1);
                }
            }
            if !done.is_empty() {
                let rows = Tensor::new(rows, self.decoder.device())?;
                self.sample(&hidden.index_select(&rows, 0)?, &done)?;
                (control.progress)(self.generated());
            }
        }
        Ok(())
    }

    fn decode(&mut self, caches: &mut [KvCache], control: &Control<'_>) -> Result<()> {
        loop {
            let active: Vec<usize> = (0..self.sequences.len())
                .filter(|&slot| self.sequences[slot].finish.is_none())
                .collect();
            if active.is_empty() {
                return Ok(());
            }
            if (control.cancelled)() {
                self.interrupt();
                return Ok(());
            }
            let segments: Vec<Segment<'_>> = active
                .iter()
                .map(|&slot| Segment { slot, tokens: last(&self.sequences[slot].tokens) })
                .collect();
            let hidden = self.decoder.forward(&segments, caches)?;
            if self.request.keep_logits {
                let pass: Vec<_> =
                    active.iter().map(|&slot| Piece { slot, from: 0, to: 1 }).collect();
                self.keep(&hidden, &pass)?;
            }
            self.sample(&hidden, &active)?;
            (control.progress)(self.generated());
        }
    }

    /// Chooses a token for each of `slots` from the hidden states `[slots, hidden]`, and stamps it.
    fn sample(&mut self, hidden: &Tensor, slots: &[usize]) -> Result<()> {
        let logits = self.decoder.logits(hidden)?.to_dtype(DType::F32)?;
        let greedy = self.request.sampling.is_plain_greedy();
        let tokens: Vec<u32> =
            if greedy && !logits.device().is_cpu() {
                // Only the ids cross to the host.
                logits.argmax(1)?.to_vec1()?
            } else {
                let mut rows: Vec<Vec<f32>> = logits.to_vec2()?;
                slots
                    .iter()
                    .zip(&mut rows)
                    .map(|(&slot, row)| {
                        if greedy { argmax(row) } else { self.sequences[slot].sampler.choose(row) }
                    })
                    .collect::<Result<_>>()?
            };
        let now = Instant::now();
        for (&slot, token) in slots.iter().zip(tokens) {
            self.sequences[slot].tokens.push(token);
            self.sequences[slot].times.push(now);
            self.sequences[slot].finish = self.finish(&self.sequences[slot], token)?;
        }
        Ok(())
    }

    fn finish(&self, sequence: &Sequence<'_>, token: u32) -> Result<Option<FinishReason>> {
        if !self.request.ignore_eos && self.eos.contains(&token) {
            return Ok(Some(FinishReason::Eos));
        }
        if let (Some(tokenizer), false) = (self.tokenizer, self.request.stop.is_empty()) {
            let text = tokenizer.decode(&sequence.tokens)?;
            if self.request.stop.iter().any(|stop| text.contains(stop)) {
                return Ok(Some(FinishReason::Stop));
            }
        }
        let full = sequence.tokens.len() == sequence.limit;
        Ok(full.then_some(if sequence.limit_is_context {
            FinishReason::Context
        } else {
            FinishReason::Length
        }))
    }

    /// Keeps the logits of every row of a pass with the sequence that it belongs to.
    fn keep(&mut self, hidden: &Tensor, pass: &[Piece]) -> Result<()> {
        let logits = self.decoder.logits(hidden)?.to_dtype(DType::F32)?;
        let mut start = 0;
        for piece in pass {
            let len = piece.to - piece.from;
            let rows: Vec<f32> = logits.narrow(0, start, len)?.flatten_all()?.to_vec1()?;
            self.sequences[piece.slot].logits.extend(rows);
            start += len;
        }
        Ok(())
    }

    fn interrupt(&mut self) {
        for sequence in &mut self.sequences {
            sequence.finish.get_or_insert(FinishReason::Interrupted);
        }
    }

    fn generated(&self) -> usize {
        self.sequences.iter().map(|sequence| sequence.tokens.len()).sum()
    }

    fn completions(self) -> Result<Vec<Completion>> {
        self.sequences
            .into_iter()
            .map(|sequence| {
                let text = self
                    .tokenizer
                    .map(|tokenizer| tokenizer.decode(&sequence.tokens))
                    .transpose()?;
                Ok(Completion {
                    prompt_tokens: sequence.prompt.len(),
                    tokens: sequence.tokens,
                    text,
                    finish: sequence.finish.unwrap_or(FinishReason::Interrupted),
                    token_times: sequence.times,
                    logits: sequence.logits,
                })
            })
            .collect()
    }
}

/// A part of a sequence's prompt.
pub(crate) struct Piece {
    pub slot: usize,
    pub from: usize,
    pub to: usize,
}

/// Cuts prompts into forward passes of at most [`PREFILL_ROWS`] rows each.
pub(crate) fn passes(prompts: &[&[u32]]) -> Vec<Vec<Piece>> {
    let mut passes = vec![Vec::new()];
    let mut room = PREFILL_ROWS;
    for (slot, prompt) in prompts.iter().enumerate() {
        let mut from = 0;
        while from < prompt.len() {
            if room == 0 {
                passes.push(Vec::new());
                room = PREFILL_ROWS;
            }
            let to = prompt.len().min(from + room);
            room -= to - from;
            if let Some(pass) = passes.last_mut() {
                pass.push(Piece { slot, from, to });
            }
            from = to;
        }
    }
    passes
}

fn last(tokens: &[u32]) -> &[u32] {
    &tokens[tokens.len().saturating_sub(1)..]
}
