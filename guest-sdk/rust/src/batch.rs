//! Continuous batching under the script's control.

use crate::{
    Result,
    bindings::{batches, requests},
    completion::Completion,
    logits::Logits,
    quantity::{Reading, read},
    request::Request,
};

pub use batches::StepToken;

/// How a continuous batch is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchOptions {
    /// Most sequences that run at a time. At least 1.
    pub max_sequences: u32,
    /// Most tokens of one sequence, prompt and output. None: the model's context, which may take a lot of memory.
    pub max_tokens: Option<u32>,
    /// Most rows of a step in which prompt is run, at least 1. None: 512.
    pub prefill_chunk: Option<u32>,
    /// Most rows of a step, prompt and decode together, at least `max_sequences`. None: no such limit.
    pub max_rows: Option<u32>,
    /// Whether a request is refused for which there is no KV memory now; otherwise its sequences wait.
    pub refuses_when_full: bool,
    /// Whether prompts use keys and values that are in the cache already.
    pub prefix_cache: bool,
}

impl BatchOptions {
    /// A continuous batch of so many sequences at a time; more wait.
    pub fn sequences(most: u32) -> Self {
        Self {
            max_sequences: most,
            max_tokens: None,
            prefill_chunk: None,
            max_rows: None,
            refuses_when_full: false,
            prefix_cache: false,
        }
    }

    /// Most tokens of one sequence, prompt and output: what its KV memory is reserved for.
    pub fn max_tokens(mut self, most: u32) -> Self {
        self.max_tokens = Some(most);
        self
    }

    /// Most rows of a step in which prompt is run: the rest of a long prompt comes with later steps.
    pub fn prefill_chunk(mut self, rows: u32) -> Self {
        self.prefill_chunk = Some(rows);
        self
    }

    /// Most rows of a step, prompt and decode together: decode rows come first (vLLM's `max_num_batched_tokens`).
    pub fn max_rows(mut self, rows: u32) -> Self {
        self.max_rows = Some(rows);
        self
    }

    /// Refuses requests for which there is no KV memory, instead of letting them wait.
    pub fn refuse_when_full(mut self) -> Self {
        self.refuses_when_full = true;
        self
    }

    /// Does not run again what a prompt begins with where any sequence's cache holds it.
    pub fn prefix_cache(mut self) -> Self {
        self.prefix_cache = true;
        self
    }
}

/// What one step did, or several.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// Steps that were run; 0: nothing was there to run.
    pub steps: u64,
    /// The tokens that they produced.
    pub tokens: Vec<StepToken>,
    /// The sequences that ended with them, or were cancelled since those before.
    pub ended: Vec<Completion>,
    /// Prompt tokens that they ran.
    pub prompt_tokens: u64,
    /// When the first began, ns since the run began.
    pub started: u64,
    /// When the tokens of the last were on the host, ns since the run began.
    pub finished: u64,
}

/// How full a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchStatus {
    /// Sequences that run.
    pub running: u32,
    /// Sequences that wait for KV memory.
    pub waiting: u32,
    /// Sequences that are still to arrive.
    pub scheduled: u32,
    /// Bytes of KV memory that are reserved.
    pub kv_bytes: u64,
    /// Positions of KV memory that are reserved.
    pub kv_capacity: u64,
    /// Positions that hold a token of a sequence that runs.
    pub kv_used: u64,
    /// Prompt tokens that were looked for in the cache of prefixes.
    pub prefix_queries: u64,
    /// Those of them that were there.
    pub prefix_hits: u64,
}

/// A continuous batch. Sequences join and leave at any step, and none's tokens depend on its neighbours. Times are ns since
/// the run began.
#[derive(Debug)]
pub struct Batch(pub(crate) batches::Batch);

impl Batch {
    /// Adds every prompt of the request as a sequence and returns their names. `arrival` is the moment that TTFT counts
    /// from; none means now. One that lies in the future is taken up by the host at that time, as soon as no step runs.
    pub fn submit(&self, request: &Request, arrival: Option<u64>) -> Result<Vec<u64>> {
        Ok(self.0.submit(&requests::Request::from(request), arrival)?)
    }

    /// Adds the one prompt of the request to what the cache of an ended sequence holds, whose request had
    /// [`Request::holds_cache`], and returns the name of the new one. With `fork` the cache is copied, and stays with the old
    /// one too. Fails with `not-found` where no ended sequence of that name holds a cache.
    pub fn submit_after(
        &self,
        sequence: u64,
        fork: bool,
        request: &Request,
        arrival: Option<u64>,
    ) -> Result<u64> {
        Ok(self.0.submit_after(sequence, fork, &requests::Request::from(request), arrival)?)
    }

    /// Gives back the cache of an ended sequence. Fails with `not-found` where none of that name holds one.
    pub fn release(&self, sequence: u64) -> Result<()> {
        Ok(self.0.release(sequence)?)
    }

    /// Runs one step of all sequences.
    pub fn step(&self) -> Result<Progress> {
        Ok(Progress::from(&self.0.step()?))
    }

    /// Runs steps until that time, waiting for arrivals where nothing runs; sooner where nothing is left to run or to
    /// arrive, or all that is left waits for the script to choose.
    pub fn run_until(&self, time: u64) -> Result<Progress> {
        Ok(Progress::from(&self.0.run_until(time)?))
    }

    /// The same until the next sequences end.
    pub fn run_until_end(&self) -> Result<Progress> {
        Ok(Progress::from(&self.0.run_until_end()?))
    }

    /// The same until the next tokens are there.
    pub fn run_until_token(&self) -> Result<Progress> {
        Ok(Progress::from(&self.0.run_until_token()?))
    }

    /// Runs steps until every sequence has ended, those included that are still to arrive.
    pub fn drain(&self) -> Result<Vec<Completion>> {
        Ok(self.0.drain()?.iter().map(Completion::from).collect())
    }

    /// Ends a sequence now; the next step tells what became of it. Fails with `not-found` for one that neither runs nor
    /// waits.
    pub fn cancel(&self, sequence: u64) -> Result<()> {
        Ok(self.0.cancel(sequence)?)
    }

    /// The logits that the sequence's next token is to be chosen by, where the script chooses. Fails with `not-found` for a
    /// sequence that does not wait for a choice.
    pub fn logits(&self, sequence: u64) -> Result<Logits> {
        Ok(Logits(self.0.logits(sequence)?))
    }

    /// Chooses the sequence's next token, with which it takes part in the next step. Until then it takes part in none.
    pub fn choose(&self, sequence: u64, token: u32) -> Result<()> {
        Ok(self.0.choose(sequence, token)?)
    }

    /// How full it is.
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

    /// The share of a sequence that has ended in the energy of the steps that it took part in, J. Waits until every
    /// counter has ticked since it ended, at most half a second. Fails with `not-found` where no sequence of that name has
    /// ended.
    pub fn sequence_energy(&self, sequence: u64) -> Result<Reading> {
        Ok(read(self.0.sequence_energy(sequence)?))
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
