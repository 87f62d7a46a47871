//! What a source holds: everything of a model but the numbers of its weights, which are mapped or made later.

use crate::{
    Config, Format, Result,
    chat::{self, ChatTemplate},
    config::GenerationConfig,
    digest::{self, DigestOptions, Identity, Parts},
    families::{self, Shape},
    gguf::{Gguf, metadata},
    hub,
    safetensors_files::SafetensorsFiles,
    source::ModelSource,
    text_file,
    tokenizer::{Tokenizer, special_tokens},
};
use std::path::{Path, PathBuf};

const GENERATION_CONFIG: &str = "generation_config.json";
const TOKENIZER: &str = "tokenizer.json";

/// A model's parts.
pub struct Checkpoint {
    /// The source as it was resolved.
    pub source: String,
    /// The architecture's name in config.json.
    pub architecture: String,
    /// How the decoder is built.
    pub shape: Shape,
    /// Of what.
    pub tensors: Tensors,
    /// Number format of what is not quantised.
    pub format: Format,
    /// Formats of quantised weights.
    pub quantization: Option<String>,
    /// What identifies it.
    pub identity: Identity,
    /// Tokens that end a sequence.
    pub eos: Vec<u32>,
    /// Text to tokens, where the source says how.
    pub tokenizer: Option<Tokenizer>,
    /// Conversations to text, where the source says how.
    pub chat_template: Option<ChatTemplate>,
    /// What its files say that has no effect here and may have had one elsewhere: a sentence each.
    pub warnings: Vec<String>,
}

/// Where the numbers of a checkpoint's weights come from.
pub enum Tensors {
    /// The safetensors files of a folder.
    Safetensors(SafetensorsFiles),
    /// A file in llama.cpp's format.
    Gguf(Gguf),
    /// Nowhere: they are made from this seed.
    Synthetic(u64),
}

/// A model's shape, for which its weights are not read.
///
/// # Errors
/// There is no such model, or its config is not one.
pub fn shape(source: &ModelSource) -> Result<Shape> {
    let of_file = |path: &Path| families::parse(&text_file::read(path)?, path);
    let (_, shape) = match source {
        ModelSource::Synthetic(preset) => preset.config()?,
        ModelSource::Folder(folder) => of_file(&folder.join("config.json"))?,
        ModelSource::Gguf(path) => metadata::read(&mut Gguf::open(path)?)?,
        ModelSource::Hub { id, revision } => of_file(&hub::fetch_config(id, revision)?)?,
    };
    Ok(shape)
}

impl Checkpoint {
    /// Resolves a source, reads what describes the model and maps its weights. `seed` is of synthetic weights.
    ///
    /// # Errors
    /// There is no such model, or a file of it is missing or not what it should be.
    pub fn open(source: &ModelSource, seed: u64, digests: &DigestOptions) -> Result<Self> {
        let name = source.to_string();
        match source {
            ModelSource::Synthetic(preset) => {
                let (config, shape) = preset.config()?;
                Ok(Self {
                    source: name,
                    architecture: architecture(&config),
                    shape,
                    tensors: Tensors::Synthetic(seed),
                    format: config.format()?,
                    quantization: None,
                    identity: Identity {
                        digest: digest::of_synthetic(&preset.text()?, seed),
                        ..Default::default()
                    },
                    eos: eos_tokens(&config, &GenerationConfig::default()),
                    tokenizer: Some(Tokenizer::bytes()?),
                    chat_template: None,
                    warnings: Vec::new(),
                })
            }
            ModelSource::Folder(folder) => Self::of_folder(folder, name, digests),
            ModelSource::Gguf(path) => Self::of_gguf(path, name, digests),
            ModelSource::Hub { id, revision } => {
                let folder = hub::fetch(id, revision)?;
                Self::of_folder(&folder, hub::resolved(id, revision, &folder), digests)
            }
        }
    }

    fn of_folder(folder: &Path, source: String, digests: &DigestOptions) -> Result<Self> {
        let config_path = folder.join("config.json");
        let config_text = text_file::read(&config_path)?;
        let (config, shape) = families::parse(&config_text, &config_path)?;
        let format = config.format().map_err(|error| error.in_file(&config_path))?;
        let files = SafetensorsFiles::open(folder)?;
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
        let identity = digest::identify(digests, &parts)?;
        Ok(Self {
            source,
            architecture: architecture(&config),
            shape,
            eos: eos_tokens(&config, &generation),
            tensors: Tensors::Safetensors(files),
            chat_template,
            tokenizer,
            quantization: None,
            format,
            identity,
            warnings: Vec::new(),
        })
    }

    fn of_gguf(path: &Path, source: String, digests: &DigestOptions) -> Result<Self> {
        let mut gguf = Gguf::open(path)?;
        let (config, shape) = metadata::read(&mut gguf)?;
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
        let identity = digest::identify(digests, &parts)?;
        Ok(Self {
            source,
            architecture: architecture(&config),
            eos: eos_tokens(&config, &GenerationConfig::default()),
            chat_template: ChatTemplate::from_gguf(&gguf),
            quantization: gguf.quantization(),
            format: gguf.format(),
            tensors: Tensors::Gguf(gguf),
            tokenizer,
            shape,
            identity,
            warnings: Vec::new(),
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
