//! A loaded model: decoder, tokenizer, caches and what is known of them.

use crate::{
    Config, Control, DType, Device, Error, Generation, LoadOptions, ModelSource, Request, Result,
    batch::Parts,
    chat::{ChatTemplate, Message},
    config::{GenerationConfig, read_text},
    decoder::Decoder,
    families::{self, Shape},
    generate,
    kv_cache::CachePool,
    load::{Weights, digest, hub, weights::Files},
    score::{self, Score, ScoreRequest},
    tokenizer::Tokenizer,
};
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// A model, ready to run.
pub struct Model {
    decoder: Decoder,
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
    /// Number format of weights and activations.
    pub dtype: DType,
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

impl Info {
    /// Bytes of weights in memory.
    pub fn weight_bytes(&self) -> u64 {
        self.parameters * self.dtype.size() as u64
    }
}

impl Model {
    /// Loads a model: resolves the source, maps or makes its weights, and reads its tokenizer.
    pub fn load(options: &LoadOptions) -> Result<Self> {
        let started = Instant::now();
        let device = options.device.open()?;
        let dtype_of = |config: &Config| options.dtype.map_or_else(|| config.dtype(), Ok);
        let loaded = match &options.source {
            ModelSource::Synthetic(preset) => {
                let config = preset.config()?;
                let dtype = dtype_of(&config)?;
                Loaded {
                    weights: Weights::synthetic(options.seed, dtype, &device),
                    digest: digest::of_synthetic(&preset.text()?, options.seed),
                    eos: eos_tokens(&config, &GenerationConfig::default()),
                    tokenizer: Some(Tokenizer::bytes()?),
                    chat_template: None,
                    digest_time: Duration::ZERO,
                    source: options.source.to_string(),
                    dtype,
                    config,
                }
            }
            ModelSource::Folder(folder) => {
                Loaded::from_folder(folder, options.source.to_string(), dtype_of, &device)?
            }
            ModelSource::Hub { id, revision } => {
                let folder = hub::fetch(id, revision)?;
                let source =
                    format!("{id}@{}", commit(&folder).unwrap_or_else(|| revision.clone()));
                Loaded::from_folder(&folder, source, dtype_of, &device)?
            }
        };
        let shape = families::shape(&loaded.config)?;
        let decoder = Decoder::load(&loaded.weights, shape.clone())?;
        device.synchronize()?;
        let info = Info {
            architecture: loaded.config.architectures.first().cloned().unwrap_or_default(),
            parameters: loaded.weights.parameters(),
            has_tokenizer: loaded.tokenizer.is_some(),
            load_time: started.elapsed().saturating_sub(loaded.digest_time),
            source: loaded.source,
            digest: loaded.digest,
            dtype: loaded.dtype,
            device: options.device,
            eos: loaded.eos,
            shape,
        };
        Ok(Self {
            decoder,
            caches: CachePool::default(),
            tokenizer: loaded.tokenizer,
            chat_template: loaded.chat_template,
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
        generate::run(parts, &mut self.caches, request, control)
    }

    /// What sequences run on.
    pub(crate) fn parts(&self) -> Parts<'_> {
        Parts { decoder: &self.decoder, tokenizer: self.tokenizer.as_ref(), eos: &self.info.eos }
    }

    /// Log-likelihoods of given continuations.
    pub fn score(
        &mut self,
        requests: &[ScoreRequest],
        control: &Control<'_>,
    ) -> Result<Vec<Score>> {
        score::run(&self.decoder, &mut self.caches, requests, control)
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

/// A model's parts before the decoder is built.
struct Loaded {
    source: String,
    config: Config,
    weights: Weights,
    dtype: DType,
    digest: String,
    digest_time: Duration,
    eos: Vec<u32>,
    tokenizer: Option<Tokenizer>,
    chat_template: Option<ChatTemplate>,
}

impl Loaded {
    fn from_folder(
        folder: &Path,
        source: String,
        dtype_of: impl FnOnce(&Config) -> Result<DType>,
        device: &candle_core::Device,
    ) -> Result<Self> {
        let config_path = folder.join("config.json");
        let config_text = read_text(&config_path)?;
        let config = families::parse_config(&config_text, &config_path)?;
        let dtype = dtype_of(&config)?;
        let files = Files::open(folder)?;
        let hashing = Instant::now();
        let digest = digest::of_files(&config_text, &files)?;
        let digest_time = hashing.elapsed();
        let tokenizer =
            present(folder, "tokenizer.json").map(|path| Tokenizer::read(&path)).transpose()?;
        let generation = present(folder, "generation_config.json")
            .map(|path| {
                serde_json::from_str(&read_text(&path)?)
                    .map_err(|error| Error::file(&path, error.to_string()))
            })
            .transpose()?
            .unwrap_or_default();
        Ok(Self {
            source,
            eos: eos_tokens(&config, &generation),
            weights: Weights::from_files(files, dtype, device),
            chat_template: ChatTemplate::read(folder)?,
            config,
            dtype,
            digest,
            digest_time,
            tokenizer,
        })
    }
}

fn present(folder: &Path, name: &str) -> Option<PathBuf> {
    let path = folder.join(name);
    path.is_file().then_some(path)
}

fn eos_tokens(config: &Config, generation: &GenerationConfig) -> Vec<u32> {
    let ids = generation.eos_token_id.as_ref().or(config.eos_token_id.as_ref());
    ids.map_or_else(Vec::new, |ids| ids.to_vec())
}

/// The commit of a Hub snapshot: its folder's name.
fn commit(snapshot: &Path) -> Option<String> {
    Some(snapshot.file_name()?.to_str()?.to_owned())
}
