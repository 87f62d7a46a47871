//! A checkpoint with its weights where an engine wants them, before the decoder is built of it.

use super::{LoadOptions, Weights, gguf_weights, latency::FixedLatency};
use crate::{DType, ModelSource, Result, dtype::of_format, gpu::Place};
use llem_checkpoint::{
    chat::ChatTemplate,
    checkpoint::{Checkpoint, Tensors},
    digest::Identity,
    families::Shape,
    tokenizer::Tokenizer,
};

/// A model's parts.
pub struct OpenedModel {
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
    /// What its files say that has no effect here and may have had one elsewhere: a sentence each.
    pub warnings: Vec<String>,
}

impl OpenedModel {
    /// Resolves a source and maps or makes its weights.
    ///
    /// # Errors
    /// There is no such model, or a file of it is missing or not what it should be.
    pub fn open(options: &LoadOptions, place: &Place) -> Result<Self> {
        let checkpoint = Checkpoint::open(&options.source, options.seed, &options.digests)?;
        if let Tensors::Gguf(gguf) = &checkpoint.tensors {
            gguf_weights::check(gguf)?;
        }
        let latency = match &options.source {
            ModelSource::Synthetic(preset) => {
                FixedLatency::of_config(&preset.text()?, preset.path())?
            }
            _ => None,
        };
        let dtype = options.dtype.unwrap_or_else(|| of_format(checkpoint.format));
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
