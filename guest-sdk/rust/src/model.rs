//! Models: load, generate, score.

use crate::{
    Error, Result,
    adapter::AdapterInfo,
    batch::{Batch, BatchOptions},
    bindings::{models, requests},
    completion::{Generation, ScoreRequest, Scoring},
    error::ErrorCode,
    load::{LoadOptions, Parallelism},
    model_info::ModelInfo,
    request::{Chat, Message, Request},
    tokenizer::Tokenizer,
};
use std::{rc::Rc, time::Duration};

/// A loaded model. Clones are the same one. Its memory has been given back when the drop of the last returns, unless a
/// batch of it is still open: that goes on, and the model goes with the last of them.
#[derive(Clone, Debug)]
pub struct Model(Rc<models::Model>);

impl Model {
    /// Loads a model. Loading is its own phase and never part of a measured total.
    pub fn load(options: &LoadOptions) -> Result<Self> {
        Ok(Self(Rc::new(models::Model::load(&options.into())?)))
    }

    /// Loads the model that was given on the command line, split as that says.
    pub fn granted() -> Result<Self> {
        Self::load(&LoadOptions::default())
    }

    /// Loads the model that was given on the command line under this name (`--model NAME=SOURCE`), or a synthetic one.
    pub fn named(name: &str) -> Result<Self> {
        Self::load(&LoadOptions::of(name))
    }

    /// Loads the model that was given on the command line, split in this way.
    pub fn split(parallelism: Parallelism) -> Result<Self> {
        Self::load(&LoadOptions { parallelism: Some(parallelism), ..LoadOptions::default() })
    }

    /// The host's resource, for calls that this type has not.
    pub fn resource(&self) -> &models::Model {
        &self.0
    }

    /// What was loaded.
    pub fn info(&self) -> ModelInfo {
        ModelInfo::from(&*self.0)
    }

    /// Its tokenizer. Fails with `unsupported` where its folder has none.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        let none = || Error::new(ErrorCode::Unsupported, "the model has no tokenizer");
        self.0.tokenizer().map(Tokenizer).ok_or_else(none)
    }

    /// Text to tokens, with the special tokens that the tokenizer adds.
    pub fn tokenize(&self, text: &str) -> Result<Vec<u32>> {
        self.tokenizer()?.encode(text, true)
    }

    /// Tokens to text, without special tokens.
    pub fn detokenize(&self, tokens: &[u32]) -> Result<String> {
        self.tokenizer()?.decode(tokens, false)
    }

    /// Renders a conversation by the model's chat template, ready for the assistant's turn.
    pub fn apply_chat_template(&self, messages: &[Message]) -> Result<String> {
        let chat = Chat { messages: messages.to_vec(), arguments: Vec::new() };
        self.tokenizer()?.apply_chat_template(&chat)
    }

    /// Generates for a static batch, prefill and decode timed apart.
    pub fn generate(&self, request: &Request) -> Result<Generation> {
        Ok(Generation::from(&self.0.generate(&requests::Request::from(request))?))
    }

    /// Log-likelihoods of given continuations.
    pub fn score(&self, requests: &[ScoreRequest]) -> Result<Scoring> {
        Ok(Scoring::from(&self.0.score(requests)?))
    }

    /// Likelihoods of whole texts of any length, one score a text: every token is scored once, with as much before it as
    /// the context holds, the first after `prefix` (lm-evaluation-harness' `loglikelihood_rolling`).
    pub fn score_rolling(&self, texts: &[Vec<u32>], prefix: u32) -> Result<Scoring> {
        Ok(Scoring::from(&self.0.score_rolling(texts, prefix)?))
    }

    /// Opens a continuous batch and reserves its KV memory.
    pub fn open_batch(&self, options: BatchOptions) -> Result<Batch> {
        Ok(Batch(self.0.open_batch(&(&options).into())?))
    }

    /// Attaches a LoRA adapter as PEFT saves it, unmerged. The source is a name or source that was granted with
    /// `--adapter`, or `synthetic:rank=8,targets=q_proj+v_proj,alpha=16,seed=0` (all but the rank may be left out).
    pub fn attach_adapter(&self, source: &str) -> Result<AdapterInfo> {
        Ok(AdapterInfo::from(&self.0.attach_adapter(source)?))
    }

    /// Puts an attached adapter into the weights, for all prompts, and returns how long it took. One at a time; not while a
    /// batch is open; not into quantised weights.
    pub fn merge_adapter(&self, name: &str) -> Result<Duration> {
        Ok(Duration::from_nanos(self.0.merge_adapter(name)?))
    }

    /// Makes the weights what they were, bit by bit, and returns how long it took. The adapter stays attached.
    pub fn unmerge_adapter(&self, name: &str) -> Result<Duration> {
        Ok(Duration::from_nanos(self.0.unmerge_adapter(name)?))
    }

    /// Takes an adapter off again, merged or not.
    pub fn detach_adapter(&self, name: &str) -> Result<()> {
        Ok(self.0.detach_adapter(name)?)
    }

    /// Sets what prompts run with whose request says nothing, and what scores are computed with.
    pub fn use_adapter(&self, name: Option<&str>) -> Result<()> {
        Ok(self.0.use_adapter(name)?)
    }

    /// The attached adapters.
    pub fn adapters(&self) -> Vec<AdapterInfo> {
        self.0.adapters().iter().map(AdapterInfo::from).collect()
    }
}
