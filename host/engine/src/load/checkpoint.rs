//! What a source yields, before the decoder is built of it.

use super::{
    LoadOptions, ModelSource, Weights,
    digest::{self, Identity, Parts},
    files::Files,
    gguf::Gguf,
    gguf_metadata, hub,
    latency::FixedLatency,
};
use crate::{
    Config, DType, Result,
    chat::{self, ChatTemplate},
    config::GenerationConfig,
    families::{self, Shape},
    gpu::Place,
    special_tokens, text_file,
    tokenizer::Tokenizer,
};
use std::path::{Path, PathBuf};

const GENERATION_CONFIG: &str = "generation_config.json";
const TOKENIZER: &str = "tokenizer.json";

/// A model's shape, for which its weights are not read.
pub fn shape(source: &ModelSource) -> Result<Shape> {
    let of_file = |path: &Path| families::parse(&text_file::read(path)?, path);
    let (_, shape) = match source {
        ModelSource::Synthetic(preset) => preset.config()?,
        ModelSource::Folder(folder) => of_file(&folder.join("config.json"))?,
        ModelSource::Gguf(path) => gguf_metadata::read(&mut Gguf::open(path)?)?,
        ModelSource::Hub { id, revision } => of_file(&hub::fetch_config(id, revision)?)?,
    };
    Ok(shape)
}

/// A model's parts.
pub struct Checkpoint {
    /// The source as it was resolved.
    pub source: String,
    /// The architecture's name in config.json.
    pub architecture: String,
    /// How the decoder is built.
    pub shape: Shape,
    /// Of what.
    pub weights: Weights,
    /// Number format of what is not quantised.
    pub dtype: DType,
    /// Formats of quantised weights.
    pub quantization: Option<String>,
    /// What identifies it.
    pub identity: Identity,
    /// How long its passes take, where that is given.
    pub latency: Option<FixedLatency>,
    /// Tokens that end a sequence.
    pub eos: Vec<u32>,
    /// Text to tokens, where the source says how.
    pub tokenizer: Option<Tokenizer>,
    /// Conversations to text, where the source says how.
    pub chat_template: Option<ChatTemplate>,
}

impl Checkpoint {
    /// Resolves a source and maps or makes its weights.
    pub fn open(options: &LoadOptions, place: &Place) -> Result<Self> {
        let source = options.source.to_string();
        match &options.source {
            ModelSource::Synthetic(preset) => {
                let (config, shape) = preset.config()?;
                let dtype = options.dtype.map_or_else(|| config.dtype(), Ok)?;
                Ok(Self {
                    weights: Weights::synthetic(options.seed, dtype, place),
                    identity: Identity {
                        digest: digest::of_synthetic(&preset.text()?, options.seed),
                        ..Default::default()
                    },
                    eos: eos_tokens(&config, &GenerationConfig::default()),
                    tokenizer: Some(Tokenizer::bytes()?),
                    chat_template: None,
                    quantization: None,
                    architecture: architecture(&config),
                    shape,
                    latency: preset.latency()?,
                    source,
                    dtype,
                })
            }
            ModelSource::Folder(folder) => Self::of_folder(folder, source, options, place),
            ModelSource::Gguf(path) => Self::of_gguf(path, source, options, place),
            ModelSource::Hub { id, revision } => {
                let folder = hub::fetch(id, revision)?;
                let source = hub::resolved(id, revision, &folder);
                Self::of_folder(&folder, source, options, place)
            }
        }
    }

    fn of_folder(
        folder: &Path,
        source: String,
        options: &LoadOptions,
        place: &Place,
    ) -> Result<Self> {
        let config_path = folder.join("config.json");
        let config_text = text_file::read(&config_path)?;
        let (config, shape) = families::parse(&config_text, &config_path)?;
        let dtype = match options.dtype {
            Some(dtype) => dtype,
            None => config.dtype().map_err(|error| error.in_file(&config_path))?,
        };
        let files = Files::open(folder)?;
        let generation = present(folder, GENERATION_CONFIG)
            .map(|path| text_file::parse(&text_file::read(&path)?, &path))
            .transpose()?
            .unwrap_or_default();
        let chat_template = ChatTemplate::read(folder)?;
        let tokenizer = tokenizer_in(folder)?;
        let mut beside = vec![GENERATION_CONFIG, TOKENIZER];
        if tokenizer.is_some() || chat_template.is_some() {
            beside.extend(special_tokens::FILES);
        }
        if chat_template.is_some() {
            beside.push(chat::TEMPLATE_FILE);
        }
        let parts = Parts {
            folder,
            config: Some((&config_path, &config_text)),
            weights: files.files().iter().map(Into::into).collect(),
            beside: (beside.iter())
                .filter_map(|name| present(folder, name))
                .chain(files.index().map(Path::to_path_buf))
                .collect(),
        };
        let identity = digest::identify(&options.digests, &parts)?;
        Ok(Self {
            source,
            architecture: architecture(&config),
            shape,
            eos: eos_tokens(&config, &generation),
            weights: Weights::from_files(files, dtype, place),
            chat_template,
            tokenizer,
            quantization: None,
            dtype,
            identity,
            latency: None,
        })
    }

    fn of_gguf(path: &Path, source: String, options: &LoadOptions, place: &Place) -> Result<Self> {
        let mut gguf = Gguf::open(path)?;
        let (config, shape) = gguf_metadata::read(&mut gguf)?;
        let dtype = options.dtype.unwrap_or_else(|| gguf.dtype());
        let folder = path.parent().unwrap_or(Path::new(""));
        let own_tokenizer = Tokenizer::from_gguf(&gguf)?;
        // llama.cpp's SentencePiece vocabularies are not read; the original's file may lie beside.
        let is_own = own_tokenizer.is_some();
        let tokenizer = own_tokenizer.map_or_else(|| tokenizer_in(folder), |own| Ok(Some(own)))?;
        let mut beside = Vec::new();
        if tokenizer.is_some() && !is_own {
            let files = [TOKENIZER].into_iter().chain(special_tokens::FILES);
            beside.extend(files.filter_map(|name| present(folder, name)));
        }
        let parts = Parts { folder, config: None, weights: vec![(&gguf).into()], beside };
        let identity = digest::identify(&options.digests, &parts)?;
        Ok(Self {
            source,
            architecture: architecture(&config),
            eos: eos_tokens(&config, &GenerationConfig::default()),
            chat_template: ChatTemplate::from_gguf(&gguf),
            quantization: gguf.quantization(),
            weights: Weights::from_gguf(gguf, dtype, place),
            tokenizer,
            shape,
            dtype,
            identity,
            latency: None,
        })
    }
}

fn tokenizer_in(folder: &Path) -> Result<Option<Tokenizer>> {
    present(folder, TOKENIZER).map(|path| Tokenizer::read(&path)).transpose()
}

fn architecture(config: &Config) -> String {
    config.architectures.first().cloned().unwrap_or_default()
}

fn present(folder: &Path, name: &str) -> Option<PathBuf> {
    let path = folder.join(name);
    path.is_file().then_some(path)
}

fn eos_tokens(config: &Config, generation: &GenerationConfig) -> Vec<u32> {
    let ids = generation.eos_token_id.as_ref().or(config.eos_token_id.as_ref());
    ids.map_or_else(Vec::new, |ids| ids.to_vec())
}
