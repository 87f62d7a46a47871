//! How tokens are chosen.

use crate::bindings::requests;

/// How tokens are chosen. What is out of range is refused by whoever is given the request.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// What logits are divided by; 0 means greedy: the most likely token, no draw.
    pub temperature: f32,
    /// How many of the most likely tokens are kept, at least 1; none: all.
    pub top_k: Option<u32>,
    /// The smallest set of tokens is kept whose probability reaches this, in (0, 1] (nucleus sampling).
    pub top_p: Option<f32>,
    /// Tokens are kept that are at least this share as likely as the most likely one, in [0, 1] (arXiv 2407.01082).
    pub min_p: Option<f32>,
    /// Logits of tokens already present are divided (if positive) or multiplied (if negative) by this, above 0 (CTRL, arXiv
    /// 1909.05858). 1 changes nothing.
    pub repetition_penalty: f32,
    /// Logits are lowered by this for each time that the token was generated. 0 changes nothing.
    pub frequency_penalty: f32,
    /// Logits of tokens that were generated are lowered by this. 0 changes nothing.
    pub presence_penalty: f32,
    /// What is added to the logits of tokens.
    pub logit_bias: Vec<(u32, f32)>,
    /// The seed of the request's random numbers: sequence i draws from stream i of it. None: the run's seed.
    pub seed: Option<u64>,
}

impl Sampling {
    /// The most likely token.
    pub fn greedy() -> Self {
        Self::at(0.0)
    }

    /// Draws from all tokens at this temperature.
    pub fn at(temperature: f32) -> Self {
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
