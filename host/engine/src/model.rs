//! A loaded model.

use crate::{
    CommunicationTimeError, Control, DeviceId, Error, LoadOptions, ModelInfo, Prompt, RankInfo,
    Result,
    adapters::AdapterRegistry,
    batch::ModelParts,
    cpu::{InstructionSet, threads::pool_threads},
    gpu::Backend,
    load::{opened_model::OpenedModel, size_check},
    parallel::{
        Replica, ReplicaConfig,
        rank_command::{RankCommand, Reply},
        replica::run_on_replicas,
    },
    score::{self, OnScore, ScoreRequest, Scoring, Windows},
    text_tools::{self, TextTools},
};
use llem_checkpoint::{
    DigestOptions,
    chat::{ChatTemplate, Conversation, DateTime},
    tokenizer::Tokenizer,
};
use std::{sync::Arc, time::Duration};

/// A loaded model that is ready to run.
///
/// ```
/// use llem_engine::{Control, DType, LoadOptions, Model, Prompt, Request};
///
/// // A tiny Llama, and the tokens that transformers generates with it.
/// let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/llama/tied");
/// let mut model = Model::load(&LoadOptions::new(folder.parse()?))?;
/// assert_eq!((model.info().shape.layers, model.info().dtype), (3, DType::F32));
///
/// let prompt = vec![
///     47, 41, 22, 85, 188, 107, 175, 78, 145, 162, 150, 67, 48, 91, 90, 16, 71, 74, 195, 37,
/// ];
/// let request = Request {
///     prompts: vec![Prompt::Tokens(prompt)],
///     max_new_tokens: 8,
///     ..Request::default()
/// };
/// let generation = model.generate(request, &Control::default())?;
/// assert_eq!(generation.completions[0].tokens, [8, 8, 2, 0, 0, 92, 0, 116]);
/// # Ok::<(), llem_engine::Error>(())
/// ```
pub struct Model {
    /// Copies of the model that share the requests. There is one unless the model is data-parallel.
    pub(crate) replicas: Vec<Replica>,
    pub(crate) adapters: AdapterRegistry,
    tokenizer: Option<Arc<Tokenizer>>,
    /// A tokenizer that sizes requests. It is copied when the first text prompt comes.
    sizing: Option<Tokenizer>,
    chat_template: Option<Arc<ChatTemplate>>,
    /// The date that the chat template sees.
    date: DateTime,
    /// How adapters are identified.
    pub(crate) digests: DigestOptions,
    info: ModelInfo,
}

impl Model {
    /// Loads a model: resolves the source, maps or makes its weights, and reads its tokenizer.
    ///
    /// # Errors
    /// The model does not exist, one of its files is missing or malformed, the options do not fit the model or the
    /// machine, or a rank fails.
    pub fn load(options: &LoadOptions) -> Result<Self> {
        let started = llem_clock::now();
        InstructionSet::check()?;
        let places = match &options.world {
            Some(world) => vec![world.device(options.device); options.ranks()?],
            None => options.devices()?,
        };
        let stands_in = options.stands_in()?;
        let devices = if stands_in { vec![DeviceId::Cpu; places.len()] } else { places.clone() };
        let checkpoint = OpenedModel::open(options, &Backend::Cpu)?;
        options.split.check(&checkpoint.shape, checkpoint.weights.block())?;
        let is_elsewhere = |rank: usize| {
            options.world.as_ref().is_some_and(|world| world.other_machine(rank).is_some())
        };
        let here = (0..devices.len())
            .filter(|&rank| devices[rank] == DeviceId::Cpu && !is_elsewhere(rank));
        let OpenedModel { weights, shape, .. } = &checkpoint;
        size_check::check(weights, shape, &options.split, here, &checkpoint.source)?;
        let on_cpu = devices.iter().filter(|&&device| device == DeviceId::Cpu).count();
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
            local_ranks: on_cpu.max(1),
            threads: options.threads,
            latency: checkpoint.latency,
            synthetic: options.synthetic.clone().map(|passes| {
                let key = passes.model_key(options.seed, &checkpoint.identity.digest);
                (passes, key)
            }),
        };
        let replicas = match &options.world {
            Some(world) => vec![world.lead(&mut config, options)?],
            None => {
                let mut numbers: Vec<usize> = (0..options.split.data).collect();
                run_on_replicas(&mut numbers, |_, replica| Replica::load(&config, *replica))?
            }
        };
        let loaded: Vec<_> = replicas.iter().flat_map(Replica::loaded).collect();
        let elsewhere = |rank| options.world.as_ref()?.other_machine(rank);
        let ranks = places.iter().zip(&loaded).enumerate().map(|(rank, (&place, part))| {
            let told = part.device.parse().ok().filter(|_| !stands_in);
            let device = told.unwrap_or(place);
            RankInfo {
                device,
                is_other_process: rank > 0 && options.world.is_some(),
                identity: options.world.as_ref().and_then(|world| world.identity(rank)),
                leader_device: match &options.world {
                    Some(world) => world.local_device(rank, device),
                    None => Some(device),
                },
                other_machine: elsewhere(rank).map(|address| address.to_string()),
                layers: part.stage.layers.clone(),
                weight_bytes: part.bytes,
            }
        });
        let mut digest_time = checkpoint.identity.time;
        if let Some(passes) = &options.synthetic {
            // Hashing files takes real time, which is no part of a synthetic host.
            digest_time = Duration::ZERO;
            passes.clock.advance(passes.load);
        }
        let counted = &loaded[..options.split.ranks_of_replica()];
        let info = ModelInfo {
            architecture: checkpoint.architecture,
            parameters: counted.iter().map(|part| part.parameters).sum(),
            weight_bytes: loaded.iter().map(|part| part.bytes).sum(),
            decode_weight_bytes: loaded.iter().map(|part| part.decode_bytes).sum(),
            kv_bytes_per_token: counted.iter().map(|part| part.kv_bytes_per_token).sum(),
            split: options.split,
            ranks: ranks.collect(),
            has_tokenizer: checkpoint.tokenizer.is_some(),
            load_time: llem_clock::elapsed(started).saturating_sub(digest_time),
            digest_time,
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
            adapters: AdapterRegistry::default(),
            tokenizer: checkpoint.tokenizer.map(Arc::new),
            sizing: None,
            chat_template: checkpoint.chat_template.map(Arc::new),
            date: options.date,
            digests: options.digests.clone(),
            info,
        })
    }

    /// Returns what is known about the model.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// Returns the tokenizer and the chat template, for callers that do not want to wait for the model. Returns
    /// `None` if there is no tokenizer.
    pub fn text_tools(&self) -> Option<TextTools> {
        let tokenizer = Arc::clone(self.tokenizer.as_ref()?);
        let (source, chat_template) = (self.info.source.clone(), self.chat_template.clone());
        let date = self.date;
        Some(TextTools { source, tokenizer, chat_template, date, facts: Arc::default() })
    }

    /// Turns text into tokens. `add_special` adds the tokens that the tokenizer puts around a sequence, such as BOS.
    /// Special tokens that the text spells out are recognised in any case.
    ///
    /// # Errors
    /// The model has no tokenizer, or the text is too long for one call.
    pub fn tokenize(&self, text: &str, add_special: bool) -> Result<Vec<u32>> {
        Ok(self.tokenizer()?.encode(text, add_special)?)
    }

    /// Turns tokens into text. `keep_special` keeps special tokens in the text.
    ///
    /// # Errors
    /// The model has no tokenizer, or the tokenizer does not know a token.
    pub fn detokenize(&self, tokens: &[u32], keep_special: bool) -> Result<String> {
        Ok(self.tokenizer()?.decode(tokens, keep_special)?)
    }

    /// Renders a conversation with the model's chat template.
    ///
    /// # Errors
    /// The model has no chat template, or the template refuses the conversation ([`ChatTemplate::render`]).
    pub fn apply_chat_template(&self, conversation: &Conversation) -> Result<String> {
        let template = self.chat_template.as_deref();
        text_tools::render(template, &self.info.source, conversation, self.date)
    }

    /// Turns prompts into tokens. This is done while the request's clock runs.
    pub(crate) fn tokens_of(&self, prompts: &[Prompt]) -> Result<Vec<Vec<u32>>> {
        prompts.iter().map(|prompt| self.tokens_with(self.tokenizer.as_deref(), prompt)).collect()
    }

    /// Turns prompts into tokens to size a request, before the request's clock starts. It uses a tokenizer of its
    /// own. A tokenizer remembers words that it has met, which would make the measured tokenization faster than it
    /// is.
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

    /// Returns true if the model has a tokenizer.
    pub(crate) fn has_tokenizer(&self) -> bool {
        self.tokenizer.is_some()
    }

    /// Returns true while a continuous batch is open.
    pub(crate) fn has_open_batch(&self) -> bool {
        self.replicas.iter().any(Replica::has_open_batch)
    }

    /// Runs a command on every rank of every replica, and returns the replies.
    pub(crate) fn all(&mut self, command: &RankCommand) -> Result<Vec<Reply>> {
        let replies = run_on_replicas(&mut self.replicas, |_, replica| replica.all(command))?;
        Ok(replies.concat())
    }

    /// Returns the parts that sequences refer to, and the replicas that run them.
    pub(crate) fn split(&mut self) -> (ModelParts<'_>, &mut [Replica]) {
        let (shape, eos) = (&self.info.shape, &self.info.eos[..]);
        (ModelParts { shape, tokenizer: self.tokenizer.as_deref(), eos }, &mut self.replicas)
    }

    /// Returns the parts that sequences refer to.
    pub(crate) fn parts(&self) -> ModelParts<'_> {
        let (shape, eos) = (&self.info.shape, &self.info.eos[..]);
        ModelParts { shape, tokenizer: self.tokenizer.as_deref(), eos }
    }

    /// Scores given continuations by their log-likelihoods. Calls `completed` with each score as soon as it is known,
    /// and `control.progress` with the number of tokens scored so far.
    ///
    /// # Errors
    /// A request cannot be scored. A later error is in [`Scoring`], next to the scores so far.
    pub fn score(
        &mut self,
        requests: &[ScoreRequest],
        control: &Control<'_>,
        completed: &OnScore<'_>,
    ) -> Result<Scoring> {
        score::check(requests, &self.info.shape)?;
        let adapter = self.adapters.by_default();
        let windows = Windows::from_requests(requests);
        Ok(score::score_windows(&mut self.replicas, &windows, adapter, control, completed))
    }

    /// Scores whole texts of any length. Each text is scored in windows of the model's context, the first one after
    /// the token `prefix`. Windows of all texts share forward passes. There is one score for each text, and an empty
    /// text has no tokens to score.
    ///
    /// # Errors
    /// A text cannot be scored. A later error is in [`Scoring`], next to the scores so far.
    pub fn score_rolling(
        &mut self,
        texts: &[Vec<u32>],
        prefix: u32,
        control: &Control<'_>,
        completed: &OnScore<'_>,
    ) -> Result<Scoring> {
        score::check_texts(texts, prefix, &self.info.shape)?;
        let adapter = self.adapters.by_default();
        let windows = Windows::from_texts(texts, prefix, self.info.shape.context);
        Ok(score::score_windows(&mut self.replicas, &windows, adapter, control, completed))
    }

    /// Waits until the devices of all ranks have finished all queued work.
    pub fn synchronize(&mut self) -> Result<()> {
        self.all(&RankCommand::Synchronize).map(drop)
    }

    /// Returns for each rank the time that it has spent in communication since it was loaded, including waiting for
    /// others, or the reason why the time is not known.
    pub fn communication_times(
        &mut self,
    ) -> Result<Vec<std::result::Result<Duration, CommunicationTimeError>>> {
        let time = |reply| match reply {
            Reply::Time(time) => time.map(Duration::from_nanos),
            _ => Err(CommunicationTimeError::NoTime),
        };
        Ok(self.all(&RankCommand::CommunicationTime)?.into_iter().map(time).collect())
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
