//! Continuous batching controlled by the script.

use crate::{
    Result,
    bindings::{batches, requests},
    completion::Completion,
    logits::Logits,
    quantity::{Reading, reading_from},
    request::Request,
};

pub use batches::StepToken;

/// Options of a continuous batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchOptions {
    /// The maximum number of sequences that run at a time. At least 1.
    pub max_sequences: u32,
    /// The maximum number of tokens of one sequence, prompt and output together. `None` means the model's context
    /// length, which may take a lot of memory.
    pub max_tokens: Option<u32>,
    /// The maximum number of prompt rows in a step, at least 1. `None` means 512.
    pub prefill_chunk: Option<u32>,
    /// The maximum number of rows in a step, prompt and decode together, at least `max_sequences`. `None` means no
    /// limit.
    pub max_rows: Option<u32>,
    /// Whether a request that needs more KV memory than is free now is refused. Otherwise its sequences wait.
    pub refuses_when_full: bool,
    /// Whether prompts reuse keys and values that are already in the cache.
    pub prefix_cache: bool,
}

impl BatchOptions {
    /// Creates options for at most `max_sequences` sequences at a time. More sequences wait, prompts run in chunks of
    /// 512 rows, and no prefix is reused.
    pub fn new(max_sequences: u32) -> Self {
        Self {
            max_sequences,
            max_tokens: None,
            prefill_chunk: None,
            max_rows: None,
            refuses_when_full: false,
            prefix_cache: false,
        }
    }

    /// Limits the tokens of one sequence, prompt and output together. KV memory is reserved for this many.
    pub fn max_tokens(mut self, most: u32) -> Self {
        self.max_tokens = Some(most);
        self
    }

    /// Limits the prompt rows of a step. The rest of a long prompt runs in later steps.
    pub fn prefill_chunk(mut self, rows: u32) -> Self {
        self.prefill_chunk = Some(rows);
        self
    }

    /// Limits the rows of a step, prompt and decode together. Decode rows are taken first (vLLM's
    /// `max_num_batched_tokens`).
    pub fn max_rows(mut self, rows: u32) -> Self {
        self.max_rows = Some(rows);
        self
    }

    /// Makes the batch refuse requests for which there is no KV memory, instead of letting them wait.
    pub fn refuse_when_full(mut self) -> Self {
        self.refuses_when_full = true;
        self
    }

    /// Makes prompts reuse the keys and values of a common prefix that the cache of any sequence holds.
    pub fn prefix_cache(mut self) -> Self {
        self.prefix_cache = true;
        self
    }
}

/// The result of one or several steps.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// The number of steps that were run. It is 0 if there was nothing to run.
    pub steps: u64,
    /// The tokens that the steps produced.
    pub tokens: Vec<StepToken>,
    /// The sequences that ended in these steps, or were cancelled since the previous ones.
    pub ended: Vec<Completion>,
    /// The number of prompt tokens that were run.
    pub prompt_tokens: u64,
    /// When the first step began, in ns since the run began.
    pub started: u64,
    /// When the tokens of the last step were on the host, in ns since the run began.
    pub finished: u64,
}

/// The number of sequences in a batch, and the use of its KV memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchStatus {
    /// The number of sequences that run.
    pub running: u32,
    /// The number of sequences that wait for KV memory.
    pub waiting: u32,
    /// The number of sequences that have not arrived yet.
    pub scheduled: u32,
    /// Reserved KV memory, in bytes.
    pub kv_bytes: u64,
    /// Reserved KV memory, in positions. One position holds the keys and values of one token.
    pub kv_capacity: u64,
    /// The number of positions that hold a token of a running sequence.
    pub kv_used: u64,
    /// The number of prompt tokens that were looked up in the prefix cache.
    pub prefix_queries: u64,
    /// The number of prompt tokens that were found in the prefix cache.
    pub prefix_hits: u64,
}

/// A continuous batch. Sequences join and leave at any step, and the tokens of one do not depend on the others. Times
/// are in ns since the run began.
#[derive(Debug)]
pub struct Batch(pub(crate) batches::Batch);

impl Batch {
    /// Adds every prompt of the request as a sequence and returns the ids of the sequences.
    ///
    /// TTFT counts from `arrival`, and `None` means now. If it is in the future, the host admits the request at that
    /// time, or as soon as the step that runs then has ended.
    pub fn submit(&self, request: &Request, arrival: Option<u64>) -> Result<Vec<u64>> {
        Ok(self.0.submit(&requests::Request::from(request), arrival)?)
    }

    /// Continues an ended sequence with the one prompt of the request, and returns the id of the new sequence. The
    /// request of the ended sequence must have kept its cache ([`Request::holds_cache`]).
    ///
    /// With `fork` the cache is copied, and the ended sequence keeps it too. Otherwise it moves to the new sequence.
    /// Fails with `not-found` if no ended sequence of that id holds a cache.
    pub fn submit_after(
        &self,
        sequence: u64,
        fork: bool,
        request: &Request,
        arrival: Option<u64>,
    ) -> Result<u64> {
        Ok(self.0.submit_after(sequence, fork, &requests::Request::from(request), arrival)?)
    }

    /// Frees the cache of an ended sequence. Fails with `not-found` if no ended sequence of that id holds a cache.
    pub fn release(&self, sequence: u64) -> Result<()> {
        Ok(self.0.release(sequence)?)
    }

    /// Runs one step of all sequences.
    pub fn step(&self) -> Result<Progress> {
        Ok(Progress::from(&self.0.step()?))
    }

    /// Runs steps until this time, and waits for arrivals while nothing runs. Returns earlier if no sequence is left to
    /// run or to arrive, or if all that are left wait for the script to choose a token.
    pub fn run_until(&self, time: u64) -> Result<Progress> {
        Ok(Progress::from(&self.0.run_until(time)?))
    }

    /// Runs steps until one or more sequences end. Otherwise like [`Self::run_until`].
    pub fn run_until_end(&self) -> Result<Progress> {
        Ok(Progress::from(&self.0.run_until_end()?))
    }

    /// Runs steps until one or more tokens are produced. Otherwise like [`Self::run_until`].
    pub fn run_until_token(&self) -> Result<Progress> {
        Ok(Progress::from(&self.0.run_until_token()?))
    }

    /// Runs steps until every sequence has ended, including those that have not arrived yet.
    pub fn drain(&self) -> Result<Vec<Completion>> {
        Ok(self.0.drain()?.iter().map(Completion::from).collect())
    }

    /// Ends a sequence now. The next step returns its completion. Fails with `not-found` if the sequence neither runs
    /// nor waits.
    pub fn cancel(&self, sequence: u64) -> Result<()> {
        Ok(self.0.cancel(sequence)?)
    }

    /// Returns the logits of the sequence's next token, for requests whose tokens the script chooses. Fails with
    /// `not-found` if the sequence does not wait for a choice.
    pub fn logits(&self, sequence: u64) -> Result<Logits> {
        Ok(Logits(self.0.logits(sequence)?))
    }

    /// Chooses the sequence's next token. The sequence takes part in no step until then.
    pub fn choose(&self, sequence: u64, token: u32) -> Result<()> {
        Ok(self.0.choose(sequence, token)?)
    }

    /// Returns the number of sequences in the batch and the use of its KV memory.
    pub fn status(&self) -> BatchStatus {
        BatchStatus {
            running: self.0.running(),
            waiting: self.0.waiting(),
            scheduled: self.0.scheduled(),
            kv_bytes: self.0.kv_bytes(),
            kv_capacity: self.0.kv_capacity(),
            kv_used: self.0.kv_used(),
            prefix_queries: self.0.prefix_queries(),
            prefix_hits: self.0.prefix_hits(),
        }
    }

    /// Returns an ended sequence's share of the energy of its steps, in J. Waits, for at most half a second, until
    /// every energy counter has ticked since the sequence ended. Fails with `not-found` if no sequence of that id has
    /// ended.
    pub fn sequence_energy(&self, sequence: u64) -> Result<Reading> {
        Ok(reading_from(self.0.sequence_energy(sequence)?))
    }
}

impl From<&batches::Progress> for Progress {
    fn from(from: &batches::Progress) -> Self {
        Self {
            steps: from.steps(),
            tokens: from.tokens(),
            ended: from.ended().iter().map(Completion::from).collect(),
            prompt_tokens: from.prompt_tokens(),
            started: from.started(),
            finished: from.finished(),
        }
    }
}

impl From<&BatchOptions> for batches::BatchOptions {
    fn from(from: &BatchOptions) -> Self {
        let options = Self::new(from.max_sequences);
        options.set_max_tokens(from.max_tokens);
        if let Some(rows) = from.prefill_chunk {
            options.set_prefill_chunk(rows);
        }
        options.set_max_rows(from.max_rows);
        options.set_refuses_when_full(from.refuses_when_full);
        options.set_prefix_cache(from.prefix_cache);
        options
    }
}

impl From<&batches::BatchOptions> for BatchOptions {
    fn from(from: &batches::BatchOptions) -> Self {
        Self {
            max_sequences: from.max_sequences(),
            max_tokens: from.max_tokens(),
            prefill_chunk: Some(from.prefill_chunk()),
            max_rows: from.max_rows(),
            refuses_when_full: from.refuses_when_full(),
            prefix_cache: from.prefix_cache(),
        }
    }
}
