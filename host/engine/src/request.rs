//! A request to a model, and the steps in which it is served. These are the same for every caller:
//!
//! ```text
//! prepare     prompts are sized, KV memory is reserved, adapters are chosen
//!             (the caller synchronises its devices and reads its counters here)
//! run         the clock starts │ tokenize │ prefill │ decode │ the clock stops
//!             (the caller reads its counters here)
//! detokenize  text for people
//! ```
//!
//! TTFT counts from the moment at which the clock starts. It includes tokenization, but neither the reservation of
//! memory nor the reading of counters.

use crate::{
    Control, Error, Generation, Model, Result, Sampling,
    adapters::{ActiveAdapter, AdapterSelection},
    batch::{Completion, check_request},
    flops::LogitPositions,
    generate, memory,
    parallel::{replica::run_on_replicas, split::part_range},
};
use llem_checkpoint::{Shape, chat::Conversation};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// What a sequence starts from.
#[derive(Clone, Debug)]
pub enum Prompt {
    /// Text, which is tokenized with the special tokens that the tokenizer adds.
    Text(String),
    /// A conversation, which is rendered by the model's chat template.
    Chat(Conversation),
    /// Token ids, which are used unchanged.
    Tokens(Vec<u32>),
}

/// Prompts that run together, and how their tokens are generated.
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
    /// One prompt for each sequence. No prompt is empty.
    pub prompts: Vec<Prompt>,
    /// Most tokens to generate for each sequence. With 0 the prompts are run and no token is generated.
    pub max_new_tokens: usize,
    /// Fewest tokens to generate for each sequence, at most `max_new_tokens`. Before that, tokens that would end the
    /// sequence are never chosen (transformers' `MinNewTokensLengthLogitsProcessor`), and stop strings have no
    /// effect.
    pub min_new_tokens: usize,
    /// Whether generation continues after end-of-sequence tokens.
    pub ignore_eos: bool,
    /// Strings that end a sequence as soon as its text contains one of them.
    pub stop: Vec<String>,
    /// Tokens that end a sequence in addition to the model's own, even with `ignore_eos`.
    pub stop_tokens: Arc<[u32]>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// If set, the log-probabilities of each generated token and of this many most likely tokens are returned. At
    /// most 20.
    pub log_probabilities: Option<usize>,
    /// Whether the logits of every position are returned.
    pub keep_logits: bool,
    /// The prompt positions for which the LM head is computed. `All` is allowed only if `max_new_tokens` is 0.
    pub prompt_logits: LogitPositions,
    /// Tokens that decode uses in place of generated ones: one list for each prompt, or no lists at all. Logits are
    /// computed and waited for, and no token is chosen. A sequence ends only with its list, which has at most
    /// `max_new_tokens` tokens.
    pub given: Vec<Vec<u32>>,
    /// Whether the caller chooses each token ([`crate::Batch::choose`]). `sampling` has no effect then. Allowed only
    /// in continuous batches.
    pub caller_chooses: bool,
    /// The adapters of the sequences.
    pub adapters: AdapterSelection,
    /// Whether the sequences keep their KV memory after they have ended ([`crate::Batch::submit_after`]). Allowed
    /// only in continuous batches.
    pub hold: bool,
}

impl Default for Request {
    /// No prompts, greedy choice, and at most 32 tokens.
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
            prompt_logits: LogitPositions::Last,
            given: Vec::new(),
            caller_chooses: false,
            adapters: AdapterSelection::OfModel,
            hold: false,
        }
    }
}

impl Request {
    /// Returns the most tokens that the sequence of prompt `index` may get.
    pub(crate) fn most_new_tokens(&self, index: usize) -> usize {
        self.given.get(index).map_or(self.max_new_tokens, Vec::len)
    }
}

/// A request that has been checked and whose KV memory is reserved. It is valid until the model prepares another
/// request.
pub struct PreparedRequest {
    request: Request,
    adapters: Vec<Option<ActiveAdapter>>,
}

impl Model {
    /// Does all work that can be done before the request's clock starts.
    ///
    /// # Errors
    /// The request cannot be run, or there is not enough memory for it.
    pub fn prepare(&mut self, request: Request) -> Result<PreparedRequest> {
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
        check_request(&request, &prompts, &self.info().shape, self.has_tokenizer())?;
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
        run_on_replicas(&mut replicas[..count], |index, replica| {
            replica.reserve(&rooms[part_range(rooms.len(), index, count)])
        })?;
        Ok(PreparedRequest { request, adapters })
    }

    /// Serves a prepared request. The request's clock starts at the beginning of this call and has stopped when it
    /// returns. The completions have no text yet ([`Model::detokenize_all`]).
    ///
    /// # Errors
    /// The prompts cannot be tokenized. An error after that is in [`Generation::failure`], next to the results so
    /// far.
    pub fn run(&mut self, prepared: PreparedRequest, control: &Control<'_>) -> Result<Generation> {
        let PreparedRequest { request, adapters } = prepared;
        let submitted = llem_clock::now();
        let prompts = self.tokens_of(&request.prompts)?;
        let tokenized = llem_clock::now();
        let (parts, replicas) = self.split();
        let count = replicas.len().min(prompts.len());
        let told: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
        let generated = run_on_replicas(&mut replicas[..count], |index, replica| {
            let progress = |generated: usize| {
                told[index].store(generated, Ordering::Relaxed);
                (control.progress)(told.iter().map(|told| told.load(Ordering::Relaxed)).sum());
            };
            let control = Control { progress: &progress, ..*control };
            let own = part_range(prompts.len(), index, count);
            let at = [submitted, tokenized];
            let sequences = generate::sequences(&request, &prompts, own, &adapters, parts, at);
            Ok(generate::run(parts, replica, sequences, at, &control))
        })?;
        generate::joined(generated)
            .ok_or_else(|| Error::Invalid("a request needs at least one prompt".to_owned()))
    }

    /// Turns the tokens of completions into text, and records in each how long that took. If some cannot be turned
    /// into text, the first error is returned, and the others have their text.
    ///
    /// # Errors
    /// The tokenizer does not know a token.
    pub fn detokenize_all<'a>(
        &self,
        completions: impl IntoIterator<Item = &'a mut Completion>,
    ) -> Result<()> {
        let mut failed = None;
        for completion in completions {
            let began = llem_clock::now();
            match self
                .has_tokenizer()
                .then(|| self.detokenize(&completion.tokens, false))
                .transpose()
            {
                Ok(text) => completion.text = text,
                Err(error) => failed = failed.or(Some(error)),
            }
            completion.detokenize_time = llem_clock::elapsed(began);
        }
        failed.map_or(Ok(()), Err)
    }

    /// Prepares and serves a request, and turns the tokens into text. For callers that read no counters in between.
    ///
    /// # Errors
    /// The errors of [`Model::prepare`] and [`Model::run`].
    pub fn generate(&mut self, request: Request, control: &Control<'_>) -> Result<Generation> {
        let prepared = self.prepare(request)?;
        let mut generation = self.run(prepared, control)?;
        let detokenized = self.detokenize_all(&mut generation.completions);
        generation.failure = generation.failure.take().or(detokenized.err());
        Ok(generation)
    }
}

/// Refuses a request whose largest pass, or whose logits to keep, would not fit into memory.
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
        LogitPositions::All => rows,
        LogitPositions::Last => prompts.len(),
    };
    memory::check(
        shape.pass_bytes(rows, logits),
        || format!("a pass of {rows} rows with the logits of {logits}"),
        "ask for fewer sequences or tokens",
    )
}

impl Generation {
    /// Returns the time to tokenize the prompts.
    pub fn tokenize_time(&self) -> Duration {
        self.tokenized - self.submitted
    }

    /// Returns the time of prefill: from the tokenized prompts to the last sequence's first token.
    pub fn prefill_time(&self) -> Duration {
        self.prefilled - self.tokenized
    }

    /// Returns the time of decode: from the end of prefill to the last token.
    pub fn decode_time(&self) -> Duration {
        self.finished - self.prefilled
    }

    /// Returns the time to turn the tokens into text, summed over all completions.
    pub fn detokenize_time(&self) -> Duration {
        self.completions.iter().map(|completion| completion.detokenize_time).sum()
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
