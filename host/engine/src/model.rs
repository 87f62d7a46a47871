//! A loaded model: decoder, tokenizer, caches and what is known of them.

use crate::{
    Control, DType, Device, Error, Generation, LoadOptions, Request, Result,
    adapters::{Adapted, Registry},
    batch::Parts,
    chat::{ChatTemplate, Message},
    decoder::Decoder,
    families::Shape,
    generate,
    kv_cache::CachePool,
    load::checkpoint::Checkpoint,
    score::{self, Score, ScoreRequest},
    tokenizer::Tokenizer,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// A model, ready to run.
pub struct Model {
    pub(crate) decoder: Decoder,
    pub(crate) adapters: Registry,
    /// Held by every open batch.
    open_batches: Arc<()>,
    caches: CachePool,
    tokenizer: Option<Tokenizer>,
    chat_template: Option<ChatTemplate>,
    info: Info,
}

/// What is known of a loaded model.
#[derive(Clone, Debug)]
pub struct Info {
    /// The source as it was resolved.
    pub source: String,
    /// The architecture's name in config.json.
    pub architecture: String,
    /// What identifies config and weights (see [`digest`]).
    pub digest: String,
    /// Distinct weights; a tied head counts once.
    pub parameters: u64,
    /// Bytes of weights in memory.
    pub weight_bytes: u64,
    /// Number format of weights and KV cache; of a quantised model, of what is not quantised.
    pub dtype: DType,
    /// Formats of quantised weights, the one with the most bytes first: `Q4_K+Q6_K`.
    pub quantization: Option<String>,
    /// Where it lives.
    pub device: Device,
    /// Tokens that end a sequence.
    pub eos: Vec<u32>,
    /// Whether text can be tokenized.
    pub has_tokenizer: bool,
    /// From the call to the model being ready, without the digest.
    pub load_time: Duration,
    /// Layers, widths and the like.
    pub shape: Shape,
}

impl Model {
    /// Loads a model: resolves the source, maps or makes its weights, and reads its tokenizer.
    pub fn load(options: &LoadOptions) -> Result<Self> {
        let started = Instant::now();
        let device = options.device.open()?;
        let checkpoint = Checkpoint::open(options, &device)?;
        let decoder = Decoder::load(&checkpoint.weights, checkpoint.shape.clone())?;
        device.synchronize()?;
        let info = Info {
            architecture: checkpoint.architecture,
            parameters: checkpoint.weights.parameters(),
            weight_bytes: checkpoint.weights.bytes(),
            has_tokenizer: checkpoint.tokenizer.is_some(),
            load_time: started.elapsed().saturating_sub(checkpoint.digest_time),
            source: checkpoint.source,
            digest: checkpoint.digest,
            dtype: checkpoint.dtype,
            quantization: checkpoint.quantization,
            device: options.device,
            eos: checkpoint.eos,
            shape: checkpoint.shape,
        };
        Ok(Self {
            decoder,
            adapters: Registry::default(),
            open_batches: Arc::default(),
            caches: CachePool::default(),
            tokenizer: checkpoint.tokenizer,
            chat_template: checkpoint.chat_template,
            info,
        })
    }

    /// What is known of it.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Text to tokens, with the special tokens that the tokenizer adds.
    pub fn tokenize(&self, text: &str) -> Result<Vec<u32>> {
        self.tokenizer()?.encode(text, true)
    }

    /// Tokens to text, without special tokens.
    pub fn detokenize(&self, tokens: &[u32]) -> Result<String> {
        self.tokenizer()?.decode(tokens)
    }

    /// Renders a conversation by the model's chat template.
    pub fn apply_chat_template(&self, messages: &[Message]) -> Result<String> {
        let template = self.chat_template.as_ref().ok_or_else(|| {
            Error::Unsupported(format!(
                "{} has no chat template; give the prompt as text",
                self.info.source
            ))
        })?;
        template.render(messages)
    }

    /// Renders a conversation and tokenizes it. The template writes the special tokens itself.
    pub fn tokenize_chat(&self, messages: &[Message]) -> Result<Vec<u32>> {
        self.tokenizer()?.encode(&self.apply_chat_template(messages)?, false)
    }

    /// Generates for a static batch.
    pub fn generate(&mut self, request: &Request, control: &Control<'_>) -> Result<Generation> {
        let parts = Parts {
            decoder: &self.decoder,
            tokenizer: self.tokenizer.as_ref(),
            eos: &self.info.eos,
        };
        let adapters = self.adapters.choose(&request.adapters, request.prompts.len())?;
        generate::run(parts, &mut self.caches, request, &adapters, control)
    }

    /// A token that a batch holds while it is open.
    pub(crate) fn open_batch(&self) -> Arc<()> {
        Arc::clone(&self.open_batches)
    }

    /// Whether a batch is open.
    pub(crate) fn has_open_batch(&self) -> bool {
        Arc::strong_count(&self.open_batches) > 1
    }

    /// What sequences run on.
    pub(crate) fn parts(&self) -> Parts<'_> {
        Parts { decoder: &self.decoder, tokenizer: self.tokenizer.as_ref(), eos: &self.info.eos }
    }

    /// What scores are computed with, and sequences whose request says nothing.
    pub fn default_adapter(&self) -> Option<Adapted> {
        self.adapters.by_default()
    }

    /// Log-likelihoods of given continuations.
    pub fn score(
        &mut self,
        requests: &[ScoreRequest],
        control: &Control<'_>,
    ) -> Result<Vec<Score>> {
        let adapter = self.adapters.by_default();
        score::run(&self.decoder, &mut self.caches, requests, adapter.as_ref(), control)
    }

    /// Likelihoods of whole texts, however long: each is scored in windows of the context, the first
    /// after `prefix`. Returns one score a text; an empty text has no tokens to score.
    pub fn score_rolling(
        &mut self,
        texts: &[Vec<u32>],
        prefix: u32,
        control: &Control<'_>,
    ) -> Result<Vec<Score>> {
        let context = self.info.shape.context;
        texts
            .iter()
            .map(|text| {
                let windows =
                    self.score(&score::rolling_windows(text, prefix, context), control)?;
                Ok(Score {
                    is_greedy: windows.iter().all(|window| window.is_greedy),
                    log_likelihoods: windows
                        .into_iter()
                        .flat_map(|window| window.log_likelihoods)
                        .collect(),
                })
            })
            .collect()
    }

    /// Waits until the device has done all that it was given.
    pub fn synchronize(&self) -> Result<()> {
        Ok(self.decoder.device().synchronize()?)
    }

    fn tokenizer(&self) -> Result<&Tokenizer> {
        self.tokenizer.as_ref().ok_or_else(|| {
            Error::Unsupported(format!(
                "{} has no tokenizer.json; give token ids instead of text",
                self.info.source
            ))
        })
    }
}
