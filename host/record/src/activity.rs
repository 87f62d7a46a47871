//! The work of the engine over a window: tokens, time in each phase, and operations.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The work of the engine over a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Activity {
    /// Number of sequences that began.
    pub requests: u64,
    /// Number of prompt tokens that were processed.
    pub prompt_tokens: u64,
    /// Number of tokens that were generated.
    pub output_tokens: u64,
    /// Time in prefill, ns.
    pub prefill_ns: u64,
    /// Time in decode, ns.
    pub decode_ns: u64,
    /// Time in mixed steps of continuous batches, ns: some sequences generated while prompts of others were processed.
    #[serde(default)]
    pub mixed_ns: u64,
    /// Prompt tokens that mixed steps processed. They are part of `prompt_tokens`.
    #[serde(default)]
    pub mixed_prompt_tokens: u64,
    /// Tokens that mixed steps generated. They are part of `output_tokens`.
    #[serde(default)]
    pub mixed_output_tokens: u64,
    /// Floating-point operations, estimated from the model's shape, not observed.
    pub flops_estimated: EstimatedFlops,
}

/// Floating-point operations of the work, estimated from the model's shape, FLOP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EstimatedFlops {
    /// Operations of prefill, FLOP.
    pub prefill: f64,
    /// Operations of decode, FLOP.
    pub decode: f64,
    /// Operations of mixed steps, FLOP.
    #[serde(default)]
    pub mixed: f64,
    /// The sum of the three, FLOP.
    pub total: f64,
}

impl EstimatedFlops {
    /// Creates the sum of the operations of the three phases, FLOP.
    pub fn new(prefill: f64, decode: f64, mixed: f64) -> Self {
        Self { prefill, decode, mixed, total: prefill + decode + mixed }
    }
}

impl Activity {
    /// Returns the work done since `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            requests: self.requests - earlier.requests,
            prompt_tokens: self.prompt_tokens - earlier.prompt_tokens,
            output_tokens: self.output_tokens - earlier.output_tokens,
            prefill_ns: self.prefill_ns - earlier.prefill_ns,
            decode_ns: self.decode_ns - earlier.decode_ns,
            mixed_ns: self.mixed_ns - earlier.mixed_ns,
            mixed_prompt_tokens: self.mixed_prompt_tokens - earlier.mixed_prompt_tokens,
            mixed_output_tokens: self.mixed_output_tokens - earlier.mixed_output_tokens,
            flops_estimated: EstimatedFlops::new(
                self.flops_estimated.prefill - earlier.flops_estimated.prefill,
                self.flops_estimated.decode - earlier.flops_estimated.decode,
                self.flops_estimated.mixed - earlier.flops_estimated.mixed,
            ),
        }
    }

    /// Adds the work of another window.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.prompt_tokens += other.prompt_tokens;
        self.output_tokens += other.output_tokens;
        self.prefill_ns += other.prefill_ns;
        self.decode_ns += other.decode_ns;
        self.mixed_ns += other.mixed_ns;
        self.mixed_prompt_tokens += other.mixed_prompt_tokens;
        self.mixed_output_tokens += other.mixed_output_tokens;
        self.flops_estimated = EstimatedFlops::new(
            self.flops_estimated.prefill + other.flops_estimated.prefill,
            self.flops_estimated.decode + other.flops_estimated.decode,
            self.flops_estimated.mixed + other.flops_estimated.mixed,
        );
    }
}
