//! What a source holds: everything of a model but the numbers of its weights, which are mapped or made later.

use crate::{
    Config, Error, Format, Result,
    chat::{self, ChatTemplate},
    config::{self, GenerationConfig},
    digest::{self, DigestOptions, Identity, Parts},
    families::{self, Shape},
    gguf::{Gguf, Model, metadata},
    hub, not_safetensors, quantised,
    safetensors_files::SafetensorsFiles,
    source::ModelSource,
    text_file,
    tokenizer::Tokenizer,
};
use safetensors::Dtype;
use serde_json::Value;
use std::path::{Path, PathBuf};

const GENERATION_CONFIG: &str = "generation_config.json";

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
        ModelSource::Folder(folder) => {
            not_safetensors::check_config(folder)?;
            of_file(&folder.join("config.json"))?
        }
        ModelSource::Gguf(path) => return Ok(metadata::read(&mut Gguf::open(path)?)?.shape),
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
                    warnings: config.warnings,
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
        not_safetensors::check_config(folder)?;
        let config_path = folder.join("config.json");
        let config_text = text_file::read(&config_path)?;
        let json = config::parse(&config_text, &config_path)?;
        let (config, mut shape) = families::of_json(json.clone(), &config_path)?;
        let mut files = SafetensorsFiles::open(folder)?;
        quantised::refuse(&config_path, &json, &files, &shape)?;
        let mut warnings = config.warnings.clone();
        warnings.extend(files.fit(&mut shape)?);
        let (format, narrowed) = number_format(&json, &files, &config_path)?;
        warnings.extend(narrowed);
        let generation = present(folder, GENERATION_CONFIG)
            .map(|path| text_file::parse(&text_file::read(&path)?, &path))
            .transpose()?
            .unwrap_or_default();
        let chat_template = ChatTemplate::read(folder)?;
        let tokenizer = Tokenizer::in_folder(folder)?;
        warnings.extend(tokenizer.is_none().then(|| Tokenizer::refusal_in(folder)).flatten());
        let mut beside = vec![GENERATION_CONFIG];
        if tokenizer.is_some() || chat_template.is_some() {
            beside.extend(Tokenizer::files(folder));
        }
        let templates = chat::files(folder);
        beside.extend(templates.iter().map(String::as_str));
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
            warnings,
        })
    }

    fn of_gguf(path: &Path, source: String, digests: &DigestOptions) -> Result<Self> {
        let mut gguf = Gguf::open(path)?;
        let Model { config, shape, warnings } = metadata::read(&mut gguf)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let own_tokenizer = Tokenizer::from_gguf(&gguf)?;
        let eos = match &own_tokenizer {
            Some(own) => own.end_of_generation().to_vec(),
            None => eos_tokens(&config, &GenerationConfig::default()),
        };
        let mut beside = Vec::new();
        let tokenizer = match own_tokenizer {
            Some(own) => Some(own),
            // The original's files may lie beside a file whose vocabulary is not read.
            None => {
                let found = Tokenizer::in_folder(folder)?;
                let files = found.iter().flat_map(|_| Tokenizer::files(folder));
                beside.extend(files.filter_map(|name| present(folder, name)));
                found
            }
        };
        let parts = Parts {
            folder,
            config: None,
            weights: gguf.parts().iter().map(Into::into).collect(),
            beside,
        };
        let identity = digest::identify(digests, &parts)?;
        let refusal = tokenizer.is_none().then(|| Tokenizer::refusal(&gguf)).flatten();
        let warnings = config.warnings.iter().cloned().chain(warnings).chain(refusal).collect();
        Ok(Self {
            source,
            architecture: architecture(&config),
            eos,
            chat_template: ChatTemplate::from_gguf(&gguf),
            warnings,
            quantization: gguf.quantization(),
            format: gguf.format(),
            tensors: Tensors::Gguf(gguf),
            tokenizer,
            shape,
            identity,
        })
    }
}

/// The format that a folder's model is run in unless another is asked for: what config.json says, or else what the files
/// have, as with transformers' `dtype="auto"`; and a sentence if that is wider than what is run.
fn number_format(
    config: &Value,
    files: &SafetensorsFiles,
    path: &Path,
) -> Result<(Format, Option<String>)> {
    let narrowed = |whose: &str| {
        format!("{whose} float64, and is run in float32, the widest format that this version has")
    };
    // transformers before 5 wrote torch_dtype.
    let field = ["dtype", "torch_dtype"].into_iter().find(|field| !config[*field].is_null());
    let Some(field) = field else {
        return Ok(match files.first_format() {
            Some(Dtype::F16) => (Format::F16, None),
            Some(Dtype::BF16) => (Format::Bf16, None),
            Some(Dtype::F64) => (Format::F32, Some(narrowed("the checkpoint is in"))),
            _ => (Format::F32, None),
        });
    };
    let told = &config[field];
    let name = told.as_str().ok_or_else(|| {
        Error::file(path, format!("{field} is {told} and must be a name, such as \"bfloat16\""))
    })?;
    if ["float64", "double"].contains(&name) {
        return Ok((Format::F32, Some(narrowed(&format!("{field} in config.json is")))));
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
