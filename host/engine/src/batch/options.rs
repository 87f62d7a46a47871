//! How a continuous batch is run.

use crate::{Error, Result};

/// How a batch is run.
#[derive(Clone, Debug)]
pub struct BatchOptions {
    /// Most sequences that run at a time, those counted that have ended and hold their KV memory; at least 1.
    pub max_sequences: usize,
    /// Most tokens of one sequence, prompt and output; none means the model's context.
    pub max_tokens: Option<usize>,
    /// Most rows of a pass in which prompt is run; at least 1.
    pub prefill_chunk: usize,
    /// Most rows of a step on one replica, prompt and decode together (vLLM's `max_num_batched_tokens`): decode rows
    /// come first, and prompt is run in those that are left. At least `max_sequences`, so that every running
    /// sequence goes on with every step; none means no bound beside `prefill_chunk`.
    pub max_rows: Option<usize>,
    /// What `submit` does when all sequences' KV memory is taken.
    pub when_full: WhenFull,
    /// Takes over the keys and values of the longest prefix of a prompt that a KV cache of its replica holds with the
    /// same adapter: in place where no sequence has the cache, otherwise as a copy. It is looked for when the sequence is
    /// given its cache, and only what has been run is found. The last token of a prompt is always run, and a
    /// request that keeps logits takes nothing over.
    ///
    /// A prefix may have any length. vLLM shares whole blocks of 16 tokens, without a copy, so that its hits are
    /// multiples of 16; it also keeps more prefixes than sequences, where here each cache holds one.
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

/// What becomes of a sequence for which there is no KV memory now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// It waits, first come first served.
    Wait,
    /// Its request is refused. Memory that scheduled sequences will need counts as taken.
    Refuse,
}

impl BatchOptions {
    /// Refuses options that cannot be, and returns the most tokens of one sequence.
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

    /// Most rows of a pass in which `decoding` sequences may generate.
    pub(super) fn rows(&self, decoding: usize) -> usize {
        self.prefill_chunk.max(decoding).min(self.max_rows.unwrap_or(usize::MAX))
    }
}
