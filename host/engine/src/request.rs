//! What is asked of a model, and the order in which a request is served, the same for every caller:
//!
//! ```text
//! prepare     prompts are sized, KV memory is reserved, adapters are chosen
//!             (the caller synchronises its devices and reads its counters here)
//! run         the clock starts │ tokenize │ prefill │ decode │ the clock stops
//!             (the caller reads its counters here)
//! detokenize  text for people
//! ```
//!
//! TTFT counts from the moment at which the clock starts, so tokenization is in it; reserving memory and reading
//! counters are not.

use crate::{
    Control, Error, Generation, Model, Result, Sampling,
    adapters::{Adapted, Choice},
    batch::{Completion, check},
    flops::Logits,
    generate, memory,
    parallel::{replica::at_once, split::part},
};
use llem_checkpoint::{chat::Conversation, families::Shape};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// What a sequence starts from.
#[derive(Clone, Debug)]
pub enum Prompt {
    /// Text, tokenized with the special tokens that the tokenizer adds.
    Text(String),
    /// A conversation, rendered by the model's chat template.
    Chat(Conversation),
    /// Token ids, taken as they are.
    Tokens(Vec<u32>),
}

/// Prompts that are asked together, and how their tokens come about.
///
/// ```
/// use llem_engine::{Prompt, Request};
///
/// let request = Request {
///     prompts: vec![Prompt::Tokens(vec![1, 2, 3])],
///     max_new_tokens: 8,
///     ..Request::default()
/// };
/// assert!(request.sampling.is_plain_greedy());
/// ```
#[derive(Clone, Debug)]
pub struct Request {
    /// One sequence each; no prompt is empty.
    pub prompts: Vec<Prompt>,
    /// Most tokens to generate for a sequence. With 0 the prompts are run and nothing is chosen.
    pub max_new_tokens: usize,
    /// Fewest tokens to generate for a sequence, at most `max_new_tokens`: until then tokens that would end it are never
    /// chosen (transformers' `MinNewTokensLengthLogitsProcessor`), and stop strings do not count.
    pub min_new_tokens: usize,
    /// Goes on past end-of-sequence tokens.
    pub ignore_eos: bool,
    /// Ends a sequence when its text contains one of these.
    pub stop: Vec<String>,
    /// Tokens that end a sequence besides the model's own, even with `ignore_eos`.
    pub stop_tokens: Arc<[u32]>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Tells the log-probability of each generated token, and of so many of the most likely ones beside it, at most 20.
    pub log_probabilities: Option<usize>,
    /// Keeps the logits of every position.
    pub keep_logits: bool,
    /// For which positions of a prompt the LM head is computed. `All` is for `max_new_tokens` of 0 only.
    pub prompt_logits: Logits,
    /// Tokens that decode is fed with, a list for each prompt, or none at all: logits are computed and waited for, and
    /// nothing is chosen. A sequence ends with its list, which is at most `max_new_tokens` long, and with nothing else.
    pub given: Vec<Vec<u32>>,
    /// Leaves the choice of each token to the caller ([`crate::Batch::choose`]), for which `sampling` says nothing. In
    /// continuous batches only.
    pub caller_chooses: bool,
    /// What each sequence runs with; empty means the model's default.
    pub adapters: Choice,
    /// Its sequences keep their KV memory after they have ended ([`crate::Batch::submit_after`]); in a continuous batch only.
    pub hold: bool,
}

impl Default for Request {
    /// No prompts, greedy, at most 32 tokens.
    fn default() -> Self {
        Self {
            prompts: Vec::new(),
            max_new_tokens: 32,
            min_new_tokens: 0,
            ignore_eos: false,
            stop: Vec::new(),
            stop_tokens: Arc::default(),
            sampling: Sampling::default(),
            log_probabilities: None,
            keep_logits: false,
            prompt_logits: Logits::Last,
            given: Vec::new(),
            caller_chooses: false,
            adapters: Choice::OfModel,
            hold: false,
        }
    }
}

impl Request {
    /// Most tokens that the sequence of prompt `index` may come to have.
    pub(crate) fn most_new_tokens(&self, index: usize) -> usize {
        self.given.get(index).map_or(self.max_new_tokens, Vec::len)
    }
}

/// A request that has been checked and whose KV memory is reserved. It is valid until the model prepares another.
pub struct Prepared {
    request: Request,
    adapters: Vec<Option<Adapted>>,
}

impl Model {
    /// Does all that can be done before a request's clock starts.
    ///
    /// # Errors
    /// The request cannot be run, or there is no memory for it.
    pub fn prepare(&mut self, request: Request) -> Result<Prepared> {
        if request.hold {
            return Err(Error::Invalid(
                "hold keeps the KV memory of a batch's sequences: submit the request to a batch, or leave it out"
                    .to_owned(),
            ));
        }
        if request.caller_chooses {
            return Err(Error::Invalid(
                "the caller can choose tokens only in a continuous batch: open one and submit the request there"
                    .to_owned(),
            ));
        }
        let prompts = self.sizes_of(&request.prompts)?;
        check(&request, &prompts, &self.info().shape, self.has_tokenizer())?;
        let adapters = self.adapters.choose(&request.adapters, prompts.len())?;
        let context = self.info().shape.context;
        let rooms: Vec<usize> = prompts
            .iter()
            .enumerate()
            .map(|(index, prompt)| {
                prompt.len() + request.most_new_tokens(index).min(context - prompt.len())
            })
            .collect();
        check_pass(&request, &prompts, &rooms, &self.info().shape)?;
        let (_, replicas) = self.split();
        let count = replicas.len().min(rooms.len());
        at_once(&mut replicas[..count], |index, replica| {
            replica.reserve(&rooms[part(rooms.len(), index, count)])
        })?;
        Ok(Prepared { request, adapters })
    }

    /// Serves a prepared request: its clock starts here, and has stopped when this returns. Completions have no text
    /// yet ([`Model::detokenize_all`]).
    ///
    /// # Errors
    /// Work has not begun; once it has, what went wrong is in the generation, with what came before.
    pub fn run(&mut self, prepared: Prepared, control: &Control<'_>) -> Result<Generation> {
        let Prepared { request, adapters } = prepared;
        let submitted = Instant::now();
        let prompts = self.tokens_of(&request.prompts)?;
        let tokenized = Instant::now();
        let (parts, replicas) = self.split();
        let count = replicas.len().min(prompts.len());
        let told: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
        let generated = at_once(&mut replicas[..count], |index, replica| {
            let progress = |generated: usize| {
                told[index].store(generated, Ordering::Relaxed);
                (control.progress)(told.iter().map(|told| told.load(Ordering::Relaxed)).sum());
            };
            let control = Control { progress: &progress, ..*control };
            let own = part(prompts.len(), index, count);
            let at = [submitted, tokenized];
            let sequences = generate::sequences(&request, &prompts, own, &adapters, parts, at);
            Ok(generate::run(parts, replica, sequences, at, &control))
        })?;
        generate::joined(generated)
            .ok_or_else(|| Error::Invalid("a request needs at least one prompt".to_owned()))
    }

    /// Turns the tokens of completions into text, and notes in each how long that took. The first that cannot be
    /// turned is returned as an error; the others have their text.
    ///
    /// # Errors
    /// The tokenizer does not know a token.
    pub fn detokenize_all<'a>(
        &self,
        completions: impl IntoIterator<Item = &'a mut Completion>,
    ) -> Result<()> {
        let mut failed = None;
        for completion in completions {
            let began = Instant::now();
            match self
                .has_tokenizer()
                .then(|| self.detokenize(&completion.tokens, false))
                .transpose()
            {
                Ok(text) => completion.text = text,
                Err(error) => failed = failed.or(Some(error)),
            }
            completion.detokenize_time = began.elapsed();
        }
        failed.map_or(Ok(()), Err)
    }

    /// Prepares and serves a request, with nobody measuring.
    ///
    /// # Errors
    /// As [`Model::prepare`] and [`Model::run`].
    pub fn generate(&mut self, request: Request, control: &Control<'_>) -> Result<Generation> {
        let prepared = self.prepare(request)?;
        let mut generation = self.run(prepared, control)?;
        let detokenized = self.detokenize_all(&mut generation.completions);
        generation.failure = generation.failure.take().or(detokenized.err());
        Ok(generation)
    }
}

/// Refuses a request whose largest pass, or the logits that it keeps, no memory holds.
fn check_pass(
    request: &Request,
    prompts: &[Vec<u32>],
    rooms: &[usize],
    shape: &Shape,
) -> Result<()> {
    let prompt_rows: usize = prompts.iter().map(Vec::len).sum();
    let rows = prompt_rows.min(generate::PREFILL_ROWS).max(prompts.len());
    let logits = match request.prompt_logits {
        _ if request.keep_logits => rooms.iter().sum(),
        Logits::All => rows,
        Logits::Last => prompts.len(),
    };
    memory::check(
        shape.pass_bytes(rows, logits),
        || format!("a pass of {rows} rows with the logits of {logits}"),
        "ask for fewer sequences or tokens",
    )
}

impl Generation {
    /// Turning the prompts into tokens.
    pub fn tokenize_time(&self) -> Duration {
        self.tokenized - self.submitted
    }

    /// Prompt processing of the whole batch, to the last first token.
    pub fn prefill_time(&self) -> Duration {
        self.prefilled - self.tokenized
    }

    /// From there to the last token.
    pub fn decode_time(&self) -> Duration {
        self.finished - self.prefilled
    }

    /// Turning the tokens into text.
    pub fn detokenize_time(&self) -> Duration {
        self.completions.iter().map(|completion| completion.detokenize_time).sum()
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
