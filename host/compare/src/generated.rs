//! Generated requests of a run, static ones and those of continuous batches alike.

use llem_record::{RequestRecord, SequenceRecord, UsedAdapter};

/// What a request has in common with the same request of another run. Its number is not a part of it: a warm-up goes on until
/// times settle, so that all later numbers differ from run to run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// The names of the open phases, joined by `/`.
    pub phase: String,
    /// The label of the request, or of the scoring call.
    pub label: String,
    /// The model's number. `None` in older records.
    pub model: Option<u64>,
}

impl Key {
    /// Returns true if the request belongs to a warm-up.
    pub(crate) fn is_warmup(&self) -> bool {
        is_warmup(&self.phase)
    }
}

/// Returns true if a phase, or one around it, is a warm-up.
pub(crate) fn is_warmup(phase: &str) -> bool {
    phase.split('/').any(|part| part == "warmup")
}

/// A request with what was generated for it.
#[derive(Clone, Debug)]
pub(crate) struct GeneratedRequest {
    pub key: Key,
    /// The number of the request in the run. In older records, the place in the journal.
    pub number: u64,
    /// The request as the script asked for it. `None` in older records.
    pub asked: Option<RequestRecord>,
    /// The sequences, one for each prompt.
    pub sequences: Vec<GeneratedSequence>,
}

/// A sequence of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct GeneratedSequence {
    /// Length of the prompt, tokens.
    pub prompt_tokens: u32,
    /// Number of tokens before the prompt that were in a cache.
    pub cached_tokens: u32,
    /// Ids of the generated tokens, in order.
    pub tokens: Vec<u32>,
    /// Why the sequence ended. `None` if the run ended before.
    pub finish: Option<String>,
    /// The adapter that the sequence ran with.
    pub adapter: Option<UsedAdapter>,
}

impl GeneratedSequence {
    /// Returns true if the sequence was cut short, so that more tokens would have come.
    pub(crate) fn is_cut_short(&self) -> bool {
        self.finish.as_ref().is_none_or(|finish| finish == "interrupted")
    }
}

impl From<SequenceRecord> for GeneratedSequence {
    fn from(sequence: SequenceRecord) -> Self {
        Self {
            prompt_tokens: sequence.prompt_tokens,
            cached_tokens: sequence.cached_tokens,
            tokens: sequence.tokens,
            finish: Some(sequence.finish),
            adapter: sequence.adapter,
        }
    }
}
