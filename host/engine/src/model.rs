//! A loaded model: its replicas, its tokenizer, and what is known of them.

use crate::{
    Control, DType, Device, Error, LoadOptions, Prompt, Result, Split,
    adapters::Registry,
    batch::Parts,
    cpu::{parallel::pool_threads, simd::Path},
    gpu::Place,
    load::{opened_model::OpenedModel, size},
    parallel::{
        Replica, ReplicaConfig,
        command::{Command, Reply},
        replica::at_once,
    },
    rank_info,
    score::{self, Completed, ScoreRequest, Scoring, Windows},
    text_tools::{self, TextTools},
};
use llem_checkpoint::{
    DigestOptions, FileDigest,
    chat::{ChatTemplate, Conversation, DateTime},
    families::Shape,
    tokenizer::Tokenizer,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub use rank_info::RankInfo;

/// A model, ready to run.
pub struct Model {
    /// Copies that share the requests; the first alone unless the model is data-parallel.
    pub(crate) replicas: Vec<Replica>,
    pub(crate) adapters: Registry,
    tokenizer: Option<Arc<Tokenizer>>,
    /// A copy that sizes requests, made when the first text is given.
    sizing: Option<Tokenizer>,
    chat_template: Option<Arc<ChatTemplate>>,
    /// The date that the chat template is told.
    date: DateTime,
    /// How its adapters are identified.
    pub(crate) digests: DigestOptions,
    info: Info,
}

/// What is known of a loaded model.
#[derive(Clone, Debug)]
pub struct Info {
    /// The source as it was resolved.
    pub source: String,
    /// The architecture's name in config.json.
    pub architecture: String,
    /// What identifies config and weights (see [`llem_checkpoint::digest`]).
    pub digest: String,
    /// Every file that it was made of, tokenizer and chat template among them; none of a synthetic one.
    pub files: Vec<FileDigest>,
    /// Distinct weights; a tied head counts once.
    pub parameters: u64,
    /// Bytes of weights in memory, on all ranks.
    pub weight_bytes: u64,
    /// Bytes of them that a decode step of all replicas reads, if it reads every expert: all but tables of which it
    /// reads a row for each token (learned positions, and a token embedding that no rank multiplies with as a tied LM
    /// head).
    pub decode_weight_bytes: u64,
    /// Bytes of keys and values that a token leaves in the caches of its replica, over all layers and ranks, as they
    /// are kept: a key head that several tensor-parallel ranks need counts for each of them, and a layer with a window
    /// as any other, because its cache keeps every token although a step reads the window alone.
    pub kv_bytes_per_token: u64,
    /// Number format of weights; of a quantised model, of what is not quantised.
    pub dtype: DType,
    /// Number format of keys and values.
    pub kv_dtype: DType,
    /// Threads of the CPU that its ranks on this machine share.
    pub threads: usize,
    /// Formats of quantised weights, the one with the most bytes first: `Q4_K+Q6_K`.
    pub quantization: Option<String>,
    /// Where it lives; of a split model, where its first rank does.
    pub device: Device,
    /// Whether the CPU computes it all the same.
    pub stands_in: bool,
    /// How it is split.
    pub split: Split,
    /// Its ranks.
    pub ranks: Vec<RankInfo>,
    /// Tokens that end a sequence.
    pub eos: Vec<u32>,
    /// Whether text can be tokenized.
    pub has_tokenizer: bool,
    /// From the call to the model being ready, without the digest.
    pub load_time: Duration,
    /// How long identifying it took: its digest and those of its files.
    pub digest_time: Duration,
    /// Layers, widths and the like.
    pub shape: Shape,
    /// What its files say that has no effect here and may have one elsewhere: a sentence each.
    pub warnings: Vec<String>,
}

impl Info {
    /// Why the GPUs of its ranks cannot be told from one another, if that is so.
    pub fn indistinct(&self) -> Option<String> {
        rank_info::indistinct(&self.ranks)
    }

    /// Distinct weights but those of embeddings, of tokens and of learned positions, as transformers'
    /// `num_parameters(exclude_embeddings=True)` counts them: an LM head of its own is among them, and a tied one is not.
    pub fn parameters_without_embeddings(&self) -> u64 {
        self.parameters.saturating_sub(self.shape.embedding_parameters())
    }

    /// The address of a machine that holds part of it, and is not this one.
    pub fn other_machine(&self) -> Option<&str> {
        self.ranks.iter().find_map(|rank| rank.machine.as_deref())
    }
}

impl Model {
    /// Loads a model: resolves the source, maps or makes its weights, and reads its tokenizer.
    pub fn load(options: &LoadOptions) -> Result<Self> {
        let started = Instant::now();
        Path::check()?;
        let places = match &options.world {
            Some(world) => vec![world.device(options.device); options.ranks()?],
            None => options.devices()?,
        };
        let stands_in = options.stands_in()?;
        let devices = if stands_in { vec![Device::Cpu; places.len()] } else { places.clone() };
        let checkpoint = OpenedModel::open(options, &Place::Host)?;
        options.split.check(&checkpoint.shape, checkpoint.weights.block())?;
        let is_elsewhere = |rank: usize| {
            options.world.as_ref().is_some_and(|world| world.elsewhere(rank).is_some())
        };
        let here =
            (0..devices.len()).filter(|&rank| devices[rank] == Device::Cpu && !is_elsewhere(rank));
        let OpenedModel { weights, shape, .. } = &checkpoint;
        size::check(weights, shape, &options.split, here, &checkpoint.source)?;
        let on_cpu = devices.iter().filter(|&&device| device == Device::Cpu).count();
        if options.world.is_none() {
            options.check_threads(on_cpu)?;
        }
        let mut config = ReplicaConfig {
            weights: checkpoint.weights.clone(),
            shape: checkpoint.shape.clone(),
            split: options.split,
            devices,
            kv_dtype: options.kv_dtype,
            deadline: options.rank_timeout,
            neighbours: on_cpu.max(1),
            threads: options.threads,
            latency: checkpoint.latency,
        };
        let replicas = match &options.world {
            Some(world) => vec![world.lead(&mut config, options)?],
            None => {
                let mut numbers: Vec<usize> = (0..options.split.data).collect();
                at_once(&mut numbers, |_, replica| Replica::load(&config, *replica))?
            }
        };
        let loaded: Vec<_> = replicas.iter().flat_map(Replica::loaded).collect();
        let elsewhere = |rank| options.world.as_ref()?.elsewhere(rank);
        let ranks = places.iter().zip(&loaded).enumerate().map(|(rank, (&place, part))| {
            let told = part.device.parse().ok().filter(|_| !stands_in);
            let device = told.unwrap_or(place);
            RankInfo {
                device,
                is_other_process: rank > 0 && options.world.is_some(),
                identity: options.world.as_ref().and_then(|world| world.identity(rank)),
                here: match &options.world {
                    Some(world) => world.here(rank, device),
                    None => Some(device),
                },
                machine: elsewhere(rank).map(|address| address.to_string()),
                layers: part.stage.layers.clone(),
                weight_bytes: part.bytes,
            }
        });
        let counted = &loaded[..options.split.ranks_of_replica()];
        let info = Info {
            architecture: checkpoint.architecture,
            parameters: counted.iter().map(|part| part.parameters).sum(),
            weight_bytes: loaded.iter().map(|part| part.bytes).sum(),
            decode_weight_bytes: loaded.iter().map(|part| part.decode_bytes).sum(),
            kv_bytes_per_token: counted.iter().map(|part| part.kv_bytes_per_token).sum(),
            split: options.split,
            ranks: ranks.collect(),
            has_tokenizer: checkpoint.tokenizer.is_some(),
            load_time: started.elapsed().saturating_sub(checkpoint.identity.time),
            digest_time: checkpoint.identity.time,
            source: checkpoint.source,
            digest: checkpoint.identity.digest,
            files: checkpoint.identity.files,
            dtype: checkpoint.dtype,
            kv_dtype: options.kv_dtype.unwrap_or(checkpoint.dtype),
            threads: options.threads.unwrap_or_else(pool_threads),
            quantization: checkpoint.quantization,
            device: *places.first().unwrap_or(&options.device),
            stands_in,
            eos: checkpoint.eos,
            shape: checkpoint.shape,
            warnings: checkpoint.warnings,
        };
        Ok(Self {
            replicas,
            adapters: Registry::default(),
            tokenizer: checkpoint.tokenizer.map(Arc::new),
            sizing: None,
            chat_template: checkpoint.chat_template.map(Arc::new),
            date: options.date,
            digests: options.digests.clone(),
            info,
        })
    }

    /// What is known of it.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// What turns text into tokens and conversations into text, for those who do not want to wait for the model; none
    /// without a tokenizer.
    pub fn text_tools(&self) -> Option<TextTools> {
        let tokenizer = Arc::clone(self.tokenizer.as_ref()?);
        let (source, chat_template) = (self.info.source.clone(), self.chat_template.clone());
        let date = self.date;
        Some(TextTools { source, tokenizer, chat_template, date, facts: Arc::default() })
    }

    /// Text to tokens. `add_special` adds what the tokenizer puts around a sequence (BOS and the like); special tokens
    /// that the text spells out are recognised either way.
    ///
    /// # Errors
    /// The model has no tokenizer, or the text is too long for one call.
    pub fn tokenize(&self, text: &str, add_special: bool) -> Result<Vec<u32>> {
        Ok(self.tokenizer()?.encode(text, add_special)?)
    }

    /// Tokens to text, with or without the special ones among them.
    ///
    /// # Errors
    /// The model has no tokenizer, or that cannot turn the tokens into text.
    pub fn detokenize(&self, tokens: &[u32], keep_special: bool) -> Result<String> {
        Ok(self.tokenizer()?.decode(tokens, keep_special)?)
    }

    /// Renders a conversation by the model's chat template.
    ///
    /// # Errors
    /// The model has no chat template, or it cannot be rendered so ([`ChatTemplate::render`]).
    pub fn apply_chat_template(&self, conversation: &Conversation) -> Result<String> {
        let template = self.chat_template.as_deref();
        text_tools::render(template, &self.info.source, conversation, self.date)
    }

    /// The tokens of prompts, as the request's clock sees it.
    pub(crate) fn tokens_of(&self, prompts: &[Prompt]) -> Result<Vec<Vec<u32>>> {
        prompts.iter().map(|prompt| self.tokens_with(self.tokenizer.as_deref(), prompt)).collect()
    }

    /// The same for sizing a request before its clock starts: with a tokenizer of its own, so that what the model's one
    /// remembers of words it has met does not make the measured tokenization faster than it is.
    pub(crate) fn sizes_of(&mut self, prompts: &[Prompt]) -> Result<Vec<Vec<u32>>> {
        if self.sizing.is_none() && !prompts.iter().all(|one| matches!(one, Prompt::Tokens(_))) {
            self.sizing = self.tokenizer.as_deref().cloned();
        }
        prompts.iter().map(|prompt| self.tokens_with(self.sizing.as_ref(), prompt)).collect()
    }

    fn tokens_with(&self, tokenizer: Option<&Tokenizer>, prompt: &Prompt) -> Result<Vec<u32>> {
        let tokenizer = || tokenizer.ok_or_else(|| self.no_tokenizer());
        match prompt {
            Prompt::Text(text) => Ok(tokenizer()?.encode(text, true)?),
            // The template writes the special tokens itself.
            Prompt::Chat(conversation) => {
                let text = self.apply_chat_template(conversation)?;
                Ok(tokenizer()?.encode(&text, false)?)
            }
            Prompt::Tokens(tokens) => Ok(tokens.clone()),
        }
    }

    /// Whether it can turn text into tokens and back.
    pub fn has_tokenizer(&self) -> bool {
        self.tokenizer.is_some()
    }

    /// Whether a batch is open.
    pub(crate) fn has_open_batch(&self) -> bool {
        self.replicas.iter().any(Replica::has_open_batch)
    }

    /// Has every rank do the same.
    pub(crate) fn all(&mut self, command: &Command) -> Result<Vec<Reply>> {
        let replies = at_once(&mut self.replicas, |_, replica| replica.all(command))?;
        Ok(replies.concat())
    }

    /// What is known of it for sequences to run, and what they run on.
    pub(crate) fn split(&mut self) -> (Parts<'_>, &mut [Replica]) {
        let (shape, eos) = (&self.info.shape, &self.info.eos[..]);
        (Parts { shape, tokenizer: self.tokenizer.as_deref(), eos }, &mut self.replicas)
    }

    /// The same, to look at only.
    pub(crate) fn parts(&self) -> Parts<'_> {
        let (shape, eos) = (&self.info.shape, &self.info.eos[..]);
        Parts { shape, tokenizer: self.tokenizer.as_deref(), eos }
    }

    /// Log-likelihoods of given continuations. `completed` is told each that is known, and
    /// `control.progress` the tokens scored so far. Fails where a request cannot be scored; what fails later
    /// is told beside what was scored until then.
    pub fn score(
        &mut self,
        requests: &[ScoreRequest],
        control: &Control<'_>,
        completed: &Completed<'_>,
    ) -> Result<Scoring> {
        score::check(requests, &self.info.shape)?;
        let adapter = self.adapters.by_default();
        let windows = Windows::of_requests(requests);
        Ok(score::run(&mut self.replicas, &windows, adapter, control, completed))
    }

    /// Likelihoods of whole texts, however long: each is scored in windows of the context, the first after
    /// `prefix`. Windows of all texts share forward passes. One score a text; an empty text has no tokens to
    /// score.
    pub fn score_rolling(
        &mut self,
        texts: &[Vec<u32>],
        prefix: u32,
        control: &Control<'_>,
        completed: &Completed<'_>,
    ) -> Result<Scoring> {
        score::check_texts(texts, prefix, &self.info.shape)?;
        let adapter = self.adapters.by_default();
        let windows = Windows::of_texts(texts, prefix, self.info.shape.context);
        Ok(score::run(&mut self.replicas, &windows, adapter, control, completed))
    }

    /// Waits until every rank's device has done all that it was given.
    pub fn synchronize(&mut self) -> Result<()> {
        self.all(&Command::Synchronize).map(drop)
    }

    /// Time that each rank has spent in communication since it was loaded, waiting for others included,
    /// or why it is not known.
    pub fn communication_times(&mut self) -> Result<Vec<std::result::Result<Duration, String>>> {
        let time = |reply| match reply {
            Reply::Time(time) => time.map(Duration::from_nanos),
            _ => Err("the rank did not tell".to_owned()),
        };
        Ok(self.all(&Command::Tell)?.into_iter().map(time).collect())
    }

    fn tokenizer(&self) -> Result<&Tokenizer> {
        self.tokenizer.as_deref().ok_or_else(|| self.no_tokenizer())
    }

    fn no_tokenizer(&self) -> Error {
        Error::Unsupported(format!(
            "{} has no tokenizer that is read; give token ids instead of text",
            self.info.source
        ))
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
