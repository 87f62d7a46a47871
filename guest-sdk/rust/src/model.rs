//! Loaded models: generation, scores, continuous batches and adapters.

use crate::{
    Error, Result,
    adapter_info::AdapterInfo,
    batch::{Batch, BatchOptions},
    bindings::{models, requests},
    completion::{Generation, ScoreRequest, Scoring},
    error::ErrorCode,
    load_options::{LoadOptions, Parallelism},
    model_info::ModelInfo,
    random::Random,
    request::{Chat, Message, Prompt, Request},
    tokenizer::Tokenizer,
};
use std::{collections::HashSet, rc::Rc, time::Duration};

/// A loaded model. Clones share one model. Its memory is free once the last clone has been dropped. An open batch keeps
/// the model loaded until the batch is dropped too.
#[derive(Clone, Debug)]
pub struct Model(Rc<models::Model>);

impl Model {
    /// Loads a model. Loading is a phase of its own and is never included in measured totals.
    pub fn load(options: &LoadOptions) -> Result<Self> {
        Ok(Self(Rc::new(models::Model::load(&options.into())?)))
    }

    /// Loads the model that the user granted on the command line (`--model SOURCE`), with the command line's options.
    pub fn load_granted() -> Result<Self> {
        Self::load(&LoadOptions::default())
    }

    /// Loads the model that the user granted under this name (`--model NAME=SOURCE`), or a synthetic one
    /// (`synthetic:PRESET`).
    pub fn load_named(name: &str) -> Result<Self> {
        Self::load(&LoadOptions::with_model(name))
    }

    /// Loads the model that the user granted on the command line, split over ranks in this way.
    pub fn load_split(parallelism: Parallelism) -> Result<Self> {
        Self::load(&LoadOptions { parallelism: Some(parallelism), ..LoadOptions::default() })
    }

    /// Returns the host's resource, for calls that this type does not wrap.
    pub fn resource(&self) -> &models::Model {
        &self.0
    }

    /// Returns the properties of the model.
    pub fn info(&self) -> ModelInfo {
        ModelInfo::from(&*self.0)
    }

    /// Returns the model's tokenizer. Fails with `unsupported` if the model's folder has none.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        let none = || Error::new(ErrorCode::Unsupported, "the model has no tokenizer");
        self.0.tokenizer().map(Tokenizer).ok_or_else(none)
    }

    /// Returns the tokens that stand for text: those of the tokenizer, without special ones, that the model has. Of a
    /// model without a tokenizer they are all tokens.
    pub fn ordinary_tokens(&self) -> Vec<u32> {
        let Some(tokenizer) = self.0.tokenizer().map(Tokenizer) else {
            return (0..self.0.vocab_size()).collect();
        };
        let special: HashSet<u32> =
            tokenizer.special_tokens().into_iter().map(|token| token.id).collect();
        let count = self.0.vocab_size().min(tokenizer.vocab_size());
        (0..count).filter(|token| !special.contains(token)).collect()
    }

    /// Draws a prompt of random ordinary tokens for each length. Each of them has the same probability.
    pub fn random_prompts(
        &self,
        random: &Random,
        lengths: impl IntoIterator<Item = u32>,
    ) -> Result<Vec<Prompt>> {
        let tokens = self.ordinary_tokens();
        let prompt = |length| Ok(Prompt::Tokens(random.pick(length, &tokens)?));
        lengths.into_iter().map(prompt).collect()
    }

    /// Encodes text as tokens, with the special tokens that the tokenizer adds.
    pub fn tokenize(&self, text: &str) -> Result<Vec<u32>> {
        self.tokenizer()?.encode(text, true)
    }

    /// Decodes tokens to text, without special tokens.
    pub fn detokenize(&self, tokens: &[u32]) -> Result<String> {
        self.tokenizer()?.decode(tokens, false)
    }

    /// Renders a conversation with the model's chat template, ready for the assistant's turn.
    pub fn apply_chat_template(&self, messages: &[Message]) -> Result<String> {
        let chat = Chat { messages: messages.to_vec(), arguments: Vec::new() };
        self.tokenizer()?.apply_chat_template(&chat)
    }

    /// Generates tokens for a static batch. Prefill and decode are timed separately.
    pub fn generate(&self, request: &Request) -> Result<Generation> {
        Ok(Generation::from(&self.0.generate(&requests::Request::from(request))?))
    }

    /// Computes the log-likelihoods of given continuations.
    pub fn score(&self, requests: &[ScoreRequest]) -> Result<Scoring> {
        Ok(Scoring::from(&self.0.score(requests)?))
    }

    /// Computes the log-likelihoods of whole texts of any length, one score for each text. Every token is scored once,
    /// after as many previous tokens as the context holds, and the first one after `prefix` (lm-evaluation-harness'
    /// `loglikelihood_rolling`).
    pub fn score_rolling(&self, texts: &[Vec<u32>], prefix: u32) -> Result<Scoring> {
        Ok(Scoring::from(&self.0.score_rolling(texts, prefix)?))
    }

    /// Opens a continuous batch and reserves its KV memory.
    pub fn open_batch(&self, options: BatchOptions) -> Result<Batch> {
        Ok(Batch(self.0.open_batch(&(&options).into())?))
    }

    /// Attaches a LoRA adapter in PEFT's format, without merging it. The source is a name or source that was granted
    /// with `--adapter`, or `synthetic:rank=8,targets=q_proj+v_proj,alpha=16,seed=0`, where only the rank is required.
    pub fn attach_adapter(&self, source: &str) -> Result<AdapterInfo> {
        Ok(AdapterInfo::from(&self.0.attach_adapter(source)?))
    }

    /// Merges an attached adapter into the weights, for all prompts, and returns how long it took. Only one adapter can
    /// be merged at a time. Fails while a batch is open and for quantised weights.
    pub fn merge_adapter(&self, name: &str) -> Result<Duration> {
        Ok(Duration::from_nanos(self.0.merge_adapter(name)?))
    }

    /// Restores the weights bit by bit and returns how long it took. The adapter stays attached.
    pub fn unmerge_adapter(&self, name: &str) -> Result<Duration> {
        Ok(Duration::from_nanos(self.0.unmerge_adapter(name)?))
    }

    /// Detaches an adapter, whether it is merged or not. The base weights are restored.
    pub fn detach_adapter(&self, name: &str) -> Result<()> {
        Ok(self.0.detach_adapter(name)?)
    }

    /// Sets the adapter for scores, and for requests that do not choose one. `None` means the base weights.
    pub fn use_adapter(&self, name: Option<&str>) -> Result<()> {
        Ok(self.0.use_adapter(name)?)
    }

    /// Returns the attached adapters.
    pub fn adapters(&self) -> Vec<AdapterInfo> {
        self.0.adapters().iter().map(AdapterInfo::from).collect()
    }
}
