//! What becomes of a request.

use crate::{
    bindings::generations,
    measurement::Measurement,
    quantity::{Reading, read},
    words::words,
};

pub use generations::{Score, ScoreRequest, TokenLogProbabilities, TokenLogProbability};

words! {
    /// Why a sequence ended.
    FinishReason {
        /// An end-of-sequence token, which is the last of its tokens.
        Eos = "eos",
        /// As many tokens as it may have were generated, or the given ones are at an end.
        Length = "length",
        /// A stop text appeared, or a stop token, which is the last of its tokens.
        Stop = "stop",
        /// The context is full.
        Context = "context",
        /// The run was interrupted.
        Interrupted = "interrupted",
        /// The script cancelled it.
        Cancelled = "cancelled",
    }
}

/// What became of one prompt.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Completion {
    /// The sequence, as the batch named it; of a static batch, the index of its prompt.
    pub sequence: u64,
    /// Prompt length in tokens, less what was taken from a cache.
    pub prompt_tokens: u32,
    /// Tokens before those whose keys and values were there already.
    pub cached_tokens: u32,
    /// Generated tokens.
    pub tokens: Vec<u32>,
    /// Their text; none without a tokenizer.
    pub text: Option<String>,
    /// Why it ended.
    pub finish: FinishReason,
    /// When it was submitted, or was to arrive, ns since the run began. TTFT is counted from here.
    pub submitted: u64,
    /// When the host took it up, ns since the run began: how late it was is this less `submitted`. None if it ended before
    /// that.
    pub admitted: Option<u64>,
    /// Whether a step was running when it was due, which it then had to wait for.
    pub due_in_step: bool,
    /// When the first pass with some of its tokens began, ns since the run began; none where none did.
    pub started: Option<u64>,
    /// When each generated token was on the host, ns since the run began. As long as `tokens`.
    pub token_times: Vec<u64>,
    /// How likely each generated token was. As long as `tokens`, or empty if it was not asked for.
    pub log_probabilities: Vec<TokenLogProbabilities>,
    /// The adapter that it ran with; none means the base weights.
    pub adapter: Option<String>,
    /// Its share of the energy of the steps that it took part in, J. Of a continuous batch's sequence
    /// [`Batch::sequence_energy`](crate::Batch::sequence_energy) tells it.
    pub energy: Reading,
}

/// A finished static batch, measured by the host from just before the work to just after it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Generation {
    /// One for each prompt, in order.
    pub completions: Vec<Completion>,
    /// Prompt processing of the whole batch, to the first sampled tokens, ns.
    pub prefill_time: u64,
    /// From there to the last token, ns.
    pub decode_time: u64,
    /// Time and energy of exactly this request.
    pub measurement: Measurement,
}

/// What became of continuations that were scored together.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Scoring {
    /// One for each continuation, in order.
    pub scores: Vec<Score>,
    /// Time and energy of exactly this scoring.
    pub measurement: Measurement,
}

impl From<&generations::Completion> for Completion {
    fn from(from: &generations::Completion) -> Self {
        Self {
            sequence: from.sequence(),
            prompt_tokens: from.prompt_tokens(),
            cached_tokens: from.cached_tokens(),
            tokens: from.tokens(),
            text: from.text(),
            finish: from.finish().into(),
            submitted: from.submitted(),
            admitted: from.admitted(),
            due_in_step: from.due_in_step(),
            started: from.started(),
            token_times: from.token_times(),
            log_probabilities: from.log_probabilities(),
            adapter: from.adapter(),
            energy: read(from.energy()),
        }
    }
}

impl From<&generations::Generation> for Generation {
    fn from(from: &generations::Generation) -> Self {
        Self {
            completions: from.completions().iter().map(Completion::from).collect(),
            prefill_time: from.prefill_time(),
            decode_time: from.decode_time(),
            measurement: Measurement::from(&from.measurement()),
        }
    }
}

impl From<&generations::Scoring> for Scoring {
    fn from(from: &generations::Scoring) -> Self {
        Self { scores: from.scores(), measurement: Measurement::from(&from.measurement()) }
    }
}
