//! Requests and models, in fewer words.

use crate::{
    Result,
    bindings::{Model, Prompt, Request, Sampling, engine::LoadOptions},
};

impl Request {
    /// One prompt of text.
    pub fn text(prompt: impl Into<String>) -> Self {
        Self::of([Prompt::Text(prompt.into())])
    }

    /// One prompt of token ids.
    pub fn tokens(tokens: impl Into<Vec<u32>>) -> Self {
        Self::of([Prompt::Tokens(tokens.into())])
    }

    /// A static batch of prompts.
    pub fn of(prompts: impl IntoIterator<Item = Prompt>) -> Self {
        Self {
            label: "request".to_owned(),
            prompts: prompts.into_iter().collect(),
            max_new_tokens: 32,
            ignore_eos: false,
            stop: Vec::new(),
            sampling: None,
        }
    }

    /// Names it in the record.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Most tokens to generate for a sequence.
    pub fn max_new_tokens(mut self, most: u32) -> Self {
        self.max_new_tokens = most;
        self
    }

    /// Goes on past end-of-sequence tokens.
    pub fn ignore_eos(mut self) -> Self {
        self.ignore_eos = true;
        self
    }

    /// Draws tokens instead of taking the most likely.
    pub fn sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = Some(sampling);
        self
    }
}

impl Model {
    /// Loads the model that was given on the command line.
    pub fn granted() -> Result<Self> {
        Ok(Self::load(&LoadOptions {
            source: None,
            dtype: None,
            device: None,
            parallelism: None,
            seed: None,
        })?)
    }
}
