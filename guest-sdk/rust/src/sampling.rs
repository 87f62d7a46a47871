//! Sampling options.

use crate::bindings::requests;

/// Options that decide how tokens are chosen. Values out of range are refused when the request is submitted.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// The divisor of logits. 0 means greedy: the most likely token is chosen without a random draw.
    pub temperature: f32,
    /// The number of most likely tokens that are kept, at least 1. `None` keeps all.
    pub top_k: Option<u32>,
    /// The probability that the smallest set of kept tokens reaches, in (0, 1] (nucleus sampling).
    pub top_p: Option<f32>,
    /// The minimum probability of kept tokens, as a share of the most likely token's, in [0, 1] (arXiv 2407.01082).
    pub min_p: Option<f32>,
    /// The number above 0 by which the logits of tokens in prompt and output are divided (if positive) or multiplied
    /// (if negative) (CTRL, arXiv 1909.05858). 1 changes nothing.
    pub repetition_penalty: f32,
    /// The number that is subtracted from a token's logit for each time that the token was generated. 0 changes
    /// nothing.
    pub frequency_penalty: f32,
    /// The number that is subtracted from the logit of each token that was generated. 0 changes nothing.
    pub presence_penalty: f32,
    /// Tokens and the numbers that are added to their logits.
    pub logit_bias: Vec<(u32, f32)>,
    /// The seed of the request's random numbers: sequence i draws from stream i of this seed. `None` means the run's
    /// seed.
    pub seed: Option<u64>,
}

impl Sampling {
    /// Chooses the most likely token.
    pub fn greedy() -> Self {
        Self::with_temperature(0.0)
    }

    /// Samples from all tokens at this temperature.
    pub fn with_temperature(temperature: f32) -> Self {
        Self {
            temperature,
            top_k: None,
            top_p: None,
            min_p: None,
            repetition_penalty: 1.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            logit_bias: Vec::new(),
            seed: None,
        }
    }

    pub(crate) fn write(&self, request: &requests::Request) {
        request.set_temperature(self.temperature);
        request.set_top_k(self.top_k);
        request.set_top_p(self.top_p);
        request.set_min_p(self.min_p);
        request.set_repetition_penalty(self.repetition_penalty);
        request.set_frequency_penalty(self.frequency_penalty);
        request.set_presence_penalty(self.presence_penalty);
        request.set_logit_bias(&self.logit_bias);
        request.set_seed(self.seed);
    }

    pub(crate) fn read(request: &requests::Request) -> Self {
        Self {
            temperature: request.temperature(),
            top_k: request.top_k(),
            top_p: request.top_p(),
            min_p: request.min_p(),
            repetition_penalty: request.repetition_penalty(),
            frequency_penalty: request.frequency_penalty(),
            presence_penalty: request.presence_penalty(),
            logit_bias: request.logit_bias(),
            seed: request.seed(),
        }
    }
}
