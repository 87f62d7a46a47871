//! Opens a model: resolves its source, reads everything that describes it, and maps its weights.
//!
//! The weights' numbers are not read here. The engine reads them from the mapped files, or makes them from a seed.

use crate::{
    Config, Error, FloatFormat, Result,
    chat::{self, ChatTemplate},
    config::{self, GenerationConfig},
    digest::{DigestInput, DigestOptions, Identity, synthetic_digest},
    families::{self, Shape},
    gguf::{Gguf, GgufModel},
    hub,
    model_source::ModelSource,
    quantised,
    safetensors_files::{self, SafetensorsFiles},
    text_file,
    tokenizer::Tokenizer,
};
use safetensors::Dtype;
use serde_json::Value;
use std::path::{Path, PathBuf};

const GENERATION_CONFIG: &str = "generation_config.json";

/// An open model: its description, and where the numbers of its weights are.
///
/// ```
/// use llem_checkpoint::{Checkpoint, DigestOptions, FloatFormat, ModelSource};
///
/// let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/families/qwen3");
/// let source = ModelSource::Folder(folder.into());
/// let checkpoint = Checkpoint::open(&source, 0, &DigestOptions::default())?;
/// assert_eq!(checkpoint.architecture, "Qwen3ForCausalLM");
/// assert_eq!(checkpoint.format, FloatFormat::F32);
/// assert!(checkpoint.identity.digest.starts_with("blake3:"));
/// # Ok::<(), llem_checkpoint::Error>(())
/// ```
pub struct Checkpoint {
    /// The source's name. A model of the Hub is named with the commit that was fetched.
    pub source: String,
    /// The name of the model class in transformers, such as `LlamaForCausalLM`.
    pub architecture: String,
    /// How the decoder is built.
    pub shape: Shape,
    /// Where the numbers of the weights come from.
    pub tensors: Tensors,
    /// The number format in which the model runs unless another one is requested.
    pub format: FloatFormat,
    /// The formats of quantised weights, joined by `+`. `None` if no weight is quantised.
    pub quantization: Option<String>,
    /// The digests of its files.
    pub identity: Identity,
    /// The ids of the tokens that end a sequence.
    pub eos: Vec<u32>,
    /// The tokenizer. `None` if the source has none that can be read.
    pub tokenizer: Option<Tokenizer>,
    /// The template that turns conversations into text. `None` if the source has none.
    pub chat_template: Option<ChatTemplate>,
    /// Sentences about what the files say and this program ignores, although other programs may not.
    pub warnings: Vec<String>,
}

/// Where the numbers of a checkpoint's weights come from.
pub enum Tensors {
    /// The safetensors files of a folder.
    Safetensors(SafetensorsFiles),
    /// A GGUF model.
    Gguf(Gguf),
    /// No file: random numbers are made from this seed.
    Synthetic(u64),
}

impl Checkpoint {
    /// Reads the shape of a model, without its weights.
    ///
    /// # Errors
    /// Returns an error if there is no such model, or if its config cannot be read or run.
    ///
    /// ```
    /// use llem_checkpoint::Checkpoint;
    ///
    /// let shape = Checkpoint::read_shape(&"synthetic:llama-3.2-1b".parse()?)?;
    /// assert_eq!((shape.layers, shape.hidden, shape.context), (16, 2048, 131_072));
    /// # Ok::<(), llem_checkpoint::Error>(())
    /// ```
    pub fn read_shape(source: &ModelSource) -> Result<Shape> {
        let read_config = |path: &Path| families::parse(&text_file::read(path)?, path);
        let (_, shape) = match source {
            ModelSource::Synthetic(preset) => preset.config()?,
            ModelSource::Folder(folder) => {
                safetensors_files::check_config(folder)?;
                read_config(&folder.join("config.json"))?
            }
            ModelSource::Gguf(path) => return Ok(GgufModel::read(&mut Gguf::open(path)?)?.shape),
            ModelSource::Hub { id, revision } => read_config(&hub::fetch_config(id, revision)?)?,
        };
        Ok(shape)
    }

    /// Resolves a source, reads what describes the model, and maps its weights. `seed` is the seed of synthetic
    /// weights; other sources ignore it.
    ///
    /// # Errors
    /// Returns an error if there is no such model, or if one of its files is missing, damaged or not supported.
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
                    format: config.format_of_synthetic()?,
                    quantization: None,
                    identity: Identity {
                        digest: synthetic_digest(&preset.text()?, seed),
                        ..Default::default()
                    },
                    eos: eos_tokens(&config, &GenerationConfig::default()),
                    tokenizer: Some(Tokenizer::with_byte_tokens()?),
                    chat_template: None,
                    warnings: config.warnings,
                })
            }
            ModelSource::Folder(folder) => Self::open_folder(folder, name, digests),
            ModelSource::Gguf(path) => Self::open_gguf(path, name, digests),
            ModelSource::Hub { id, revision } => {
                let folder = hub::fetch(id, revision)?;
                Self::open_folder(&folder, hub::resolved_name(id, revision, &folder), digests)
            }
        }
    }

    fn open_folder(folder: &Path, source: String, digests: &DigestOptions) -> Result<Self> {
        safetensors_files::check_config(folder)?;
        let config_path = folder.join("config.json");
        let config_text = text_file::read(&config_path)?;
        let json = config::parse(&config_text, &config_path)?;
        let (config, mut shape) = families::from_json(json.clone(), &config_path)?;
        let mut files = SafetensorsFiles::open(folder)?;
        quantised::refuse(&config_path, &json, &files, &shape)?;
        let mut warnings = config.warnings.clone();
        warnings.extend(files.match_to_shape(&mut shape)?);
        let (format, narrowed) = default_format(&json, &files, &config_path)?;
        warnings.extend(narrowed);
        let generation = present(folder, GENERATION_CONFIG)
            .map(|path| text_file::parse(&text_file::read(&path)?, &path))
            .transpose()?
            .unwrap_or_default();
        let chat_template = ChatTemplate::from_folder_and_config(folder, &json)?;
        let tokenizer = Tokenizer::from_folder_and_config(folder, &json)?;
        warnings.extend(tokenizer.is_none().then(|| Tokenizer::folder_refusal(folder)).flatten());
        let mut beside = vec![GENERATION_CONFIG];
        if tokenizer.is_some() || chat_template.is_some() {
            beside.extend(Tokenizer::files_in(folder));
        }
        let templates = chat::template_files(folder);
        beside.extend(templates.iter().map(String::as_str));
        let digest_input = DigestInput {
            folder,
            config: Some((&config_path, &config_text)),
            weights: files.files().iter().map(Into::into).collect(),
            beside: (beside.iter())
                .filter_map(|name| present(folder, name))
                .chain(files.index().map(Path::to_path_buf))
                .collect(),
        };
        let identity = Identity::from_files(digests, &digest_input)?;
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
            warnings,
        })
    }

    fn open_gguf(path: &Path, source: String, digests: &DigestOptions) -> Result<Self> {
        let mut gguf = Gguf::open(path)?;
        let GgufModel { config, shape, warnings } = GgufModel::read(&mut gguf)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let own_tokenizer = Tokenizer::from_gguf(&gguf)?;
        let eos = match &own_tokenizer {
            Some(own) => own.end_of_generation().to_vec(),
            None => eos_tokens(&config, &GenerationConfig::default()),
        };
        let mut beside = Vec::new();
        let tokenizer = match own_tokenizer {
            Some(own) => Some(own),
            // The folder may have the original model's tokenizer files, for a vocabulary that is not read from GGUF.
            None => {
                let found = Tokenizer::from_folder(folder)?;
                let files = found.iter().flat_map(|_| Tokenizer::files_in(folder));
                beside.extend(files.filter_map(|name| present(folder, name)));
                found
            }
        };
        let digest_input = DigestInput {
            folder,
            config: None,
            weights: gguf.files().iter().map(Into::into).collect(),
            beside,
        };
        let identity = Identity::from_files(digests, &digest_input)?;
        let refusal = tokenizer.is_none().then(|| Tokenizer::gguf_refusal(&gguf)).flatten();
        let warnings = config.warnings.iter().cloned().chain(warnings).chain(refusal).collect();
        Ok(Self {
            source,
            architecture: architecture(&config),
            eos,
            chat_template: ChatTemplate::from_gguf(&gguf),
            warnings,
            quantization: gguf.quantization(),
            format: gguf.float_format(),
            tensors: Tensors::Gguf(gguf),
            tokenizer,
            shape,
            identity,
        })
    }
}

/// Chooses the number format in which a folder's model runs unless another one is requested. As with transformers'
/// `dtype="auto"`, it is the format in `config.json`, otherwise the format of the files. The second value is a warning
/// if that format is wider than any that this version runs.
///
/// Synthetic models have no files: see [`Config::format_of_synthetic`].
fn default_format(
    config: &Value,
    files: &SafetensorsFiles,
    path: &Path,
) -> Result<(FloatFormat, Option<String>)> {
    let narrowed = |whose: &str| {
        format!("{whose} float64, and is run in float32, the widest format that this version has")
    };
    let Some((field, value)) = config.as_object().and_then(config::dtype_field) else {
        return Ok(match files.first_float_dtype() {
            Some(Dtype::F16) => (FloatFormat::F16, None),
            Some(Dtype::BF16) => (FloatFormat::Bf16, None),
            Some(Dtype::F64) => (FloatFormat::F32, Some(narrowed("the checkpoint is in"))),
            _ => (FloatFormat::F32, None),
        });
    };
    let name = value.as_str().ok_or_else(|| {
        Error::file(path, format!("{field} is {value} and must be a name, such as \"bfloat16\""))
    })?;
    if ["float64", "double"].contains(&name) {
        return Ok((FloatFormat::F32, Some(narrowed(&format!("{field} in config.json is")))));
    }
    let format = name.parse();
    let format = format.map_err(|error: Error| Error::file(path, format!("{field}: {error}")))?;
    Ok((format, None))
}

fn architecture(config: &Config) -> String {
    config.architecture.clone()
}

fn present(folder: &Path, name: &str) -> Option<PathBuf> {
    let path = folder.join(name);
    path.is_file().then_some(path)
}

fn eos_tokens(config: &Config, generation: &GenerationConfig) -> Vec<u32> {
    let ids = generation.eos_token_id.as_ref().or(config.eos_token_id.as_ref());
    ids.map_or_else(Vec::new, |ids| ids.to_vec())
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
pub(crate) mod tests;
