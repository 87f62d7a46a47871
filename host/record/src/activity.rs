//! What the engine did in a span: tokens, time in each phase, operations.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the engine did in a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Activity {
    /// Sequences that began.
    pub requests: u64,
    /// Prompt tokens processed.
    pub prompt_tokens: u64,
    /// Tokens generated.
    pub output_tokens: u64,
    /// Time in prefill.
    pub prefill_ns: u64,
    /// Time in decode.
    pub decode_ns: u64,
    /// Floating-point operations; estimated from the model's shape, not observed.
    pub flops_estimated: EstimatedFlops,
}

/// Floating-point operations that the work needed, from the model's shape, FLOP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EstimatedFlops {
    /// Those of prefill.
    pub prefill: f64,
    /// Those of decode.
    pub decode: f64,
    /// Their sum.
    pub total: f64,
}

impl EstimatedFlops {
    /// Of two phases.
    pub fn new(prefill: f64, decode: f64) -> Self {
        Self { prefill, decode, total: prefill + decode }
    }
}

impl Activity {
    /// What was done from `earlier` to `self`.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            requests: self.requests - earlier.requests,
            prompt_tokens: self.prompt_tokens - earlier.prompt_tokens,
            output_tokens: self.output_tokens - earlier.output_tokens,
            prefill_ns: self.prefill_ns - earlier.prefill_ns,
            decode_ns: self.decode_ns - earlier.decode_ns,
            flops_estimated: EstimatedFlops::new(
                self.flops_estimated.prefill - earlier.flops_estimated.prefill,
                self.flops_estimated.decode - earlier.flops_estimated.decode,
            ),
        }
    }

    /// Counts another span's work in.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.prompt_tokens += other.prompt_tokens;
        self.output_tokens += other.output_tokens;
        self.prefill_ns += other.prefill_ns;
        self.decode_ns += other.decode_ns;
        self.flops_estimated = EstimatedFlops::new(
            self.flops_estimated.prefill + other.flops_estimated.prefill,
            self.flops_estimated.decode + other.flops_estimated.decode,
        );
    }
}
