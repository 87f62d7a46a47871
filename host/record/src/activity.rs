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
    /// Time in steps of continuous batches that held both: some sequences generated while prompts of others were run.
    #[serde(default)]
    pub mixed_ns: u64,
    /// Prompt tokens of those steps; part of `prompt_tokens`.
    #[serde(default)]
    pub mixed_prompt_tokens: u64,
    /// Tokens that those steps generated; part of `output_tokens`.
    #[serde(default)]
    pub mixed_output_tokens: u64,
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
    /// Those of steps that held both.
    #[serde(default)]
    pub mixed: f64,
    /// Their sum.
    pub total: f64,
}

impl EstimatedFlops {
    /// Of the three phases.
    pub fn new(prefill: f64, decode: f64, mixed: f64) -> Self {
        Self { prefill, decode, mixed, total: prefill + decode + mixed }
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

    /// Counts another span's work in.
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
