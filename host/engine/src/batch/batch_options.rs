//! The options of a continuous batch.

use crate::{Error, Result};

/// The options of a continuous batch.
#[derive(Clone, Debug)]
pub struct BatchOptions {
    /// Most sequences that run at the same time, counting ended ones that hold their KV memory. At least 1.
    pub max_sequences: usize,
    /// Most tokens of one sequence, prompt and output together. `None` means the model's context.
    pub max_tokens: Option<usize>,
    /// Most rows of a pass that runs prompt tokens. At least 1.
    pub prefill_chunk: usize,
    /// Most rows of a step on one replica, prompt and decode together (vLLM's `max_num_batched_tokens`). Decode rows
    /// come first, and the remaining rows run prompt tokens. At least `max_sequences`, so that every running sequence
    /// gets a row in every step. `None` means that only `prefill_chunk` is a limit.
    pub max_rows: Option<usize>,
    /// What [`crate::Batch::submit`] does if there is no free KV memory.
    pub when_full: WhenFull,
    /// Whether a new sequence takes over the keys and values of the longest prefix of its prompt that a KV cache of
    /// its replica contains for the same adapter. A free cache is taken over in place, and another one is copied. The
    /// prefix is looked for when the sequence gets its cache, and only tokens that have been run are found. The last
    /// token of a prompt is always run, and a request that keeps logits takes nothing over.
    ///
    /// A prefix may have any length. vLLM shares whole blocks of 16 tokens without a copy, so its hits are multiples
    /// of 16. vLLM also keeps more prefixes than sequences, and here each cache contains one.
    pub prefix_cache: bool,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self {
            max_sequences: 8,
            max_tokens: None,
            prefill_chunk: 512,
            max_rows: None,
            when_full: WhenFull::Wait,
            prefix_cache: false,
        }
    }
}

/// What happens with a sequence for which there is no free KV memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// The sequence waits. Sequences start in the order of their arrival.
    Wait,
    /// The request is refused. Memory that scheduled sequences will need counts as used.
    Refuse,
}

impl BatchOptions {
    /// Refuses options that contradict each other or the model, and returns the most tokens of one sequence.
    pub(super) fn check(&self, context: usize) -> Result<usize> {
        let refuse = |message: String| Err(Error::Invalid(message));
        if self.max_sequences == 0 || self.prefill_chunk == 0 {
            return refuse("max-sequences and prefill-chunk must be at least 1".to_owned());
        }
        if let Some(rows) = self.max_rows
            && rows < self.max_sequences
        {
            return refuse(format!(
                "max-rows {rows} must be at least max-sequences {}, as each running sequence needs a row of every step",
                self.max_sequences
            ));
        }
        let tokens = self.max_tokens.unwrap_or(context);
        if tokens < 2 || tokens > context {
            return refuse(format!(
                "max-tokens {tokens} must be between 2 and the model's context of {context}"
            ));
        }
        Ok(tokens)
    }

    /// Returns the most rows of a pass in which `decoding` sequences may generate tokens.
    pub(super) fn rows(&self, decoding: usize) -> usize {
        self.prefill_chunk.max(decoding).min(self.max_rows.unwrap_or(usize::MAX))
    }
}
