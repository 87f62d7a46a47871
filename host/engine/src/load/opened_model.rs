//! A checkpoint whose weights are ready to be read, before the decoder is built from it.

use super::{LoadOptions, Weights, fixed_latency::FixedLatency, gguf_weights};
use crate::{DType, ModelSource, Result, dtype::from_format, gpu::Backend};
use llem_checkpoint::{
    Checkpoint, Identity, Shape, Tensors, chat::ChatTemplate, tokenizer::Tokenizer,
};

/// The parts of a model, before they are loaded.
pub(crate) struct OpenedModel {
    /// The resolved source.
    pub source: String,
    /// The architecture's name in config.json.
    pub architecture: String,
    /// The dimensions and kinds of layers from which the decoder is built.
    pub shape: Shape,
    pub weights: Weights,
    /// Number format of the weights that are not quantised.
    pub dtype: DType,
    /// Formats of the quantised weights, if there are any.
    pub quantization: Option<String>,
    /// The digest that identifies the model.
    pub identity: Identity,
    /// How long passes take, for a model with a fixed latency.
    pub latency: Option<FixedLatency>,
    /// End-of-sequence tokens.
    pub eos: Vec<u32>,
    /// The tokenizer, if the source has one.
    pub tokenizer: Option<Tokenizer>,
    /// The chat template, if the source has one.
    pub chat_template: Option<ChatTemplate>,
    /// One sentence for each setting in the model's files that has no effect here and may have one in other programs.
    pub warnings: Vec<String>,
}

impl OpenedModel {
    /// Resolves a source, and maps its weights or prepares random ones.
    ///
    /// # Errors
    /// The model does not exist, or one of its files is missing or malformed.
    pub(crate) fn open(options: &LoadOptions, place: &Backend) -> Result<Self> {
        let checkpoint = Checkpoint::open(&options.source, options.seed, &options.digests)?;
        if let Tensors::Gguf(gguf) = &checkpoint.tensors {
            gguf_weights::check(gguf)?;
        }
        let latency = match &options.source {
            ModelSource::Synthetic(preset) => {
                FixedLatency::from_config(&preset.text()?, preset.path())?
            }
            _ => None,
        };
        let dtype = options.dtype.unwrap_or_else(|| from_format(checkpoint.format));
        Ok(Self {
            source: checkpoint.source,
            architecture: checkpoint.architecture,
            shape: checkpoint.shape,
            weights: Weights::new(checkpoint.tensors, dtype, place),
            dtype,
            quantization: checkpoint.quantization,
            identity: checkpoint.identity,
            latency,
            eos: checkpoint.eos,
            tokenizer: checkpoint.tokenizer,
            chat_template: checkpoint.chat_template,
            warnings: checkpoint.warnings,
        })
    }
}
