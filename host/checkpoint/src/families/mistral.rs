//! Mistral (arXiv 2310.06825): Llama with a sliding window in every layer.

use super::{Shape, llama};
use crate::{Config, Result};

pub(super) fn shape(config: &Config) -> Result<Shape> {
    let mut shape = llama::shape(config)?;
    shape.qkv_bias = false;
    shape.output_bias = false;
    for layer in &mut shape.layer_kinds {
        layer.window = config.sliding_window;
    }
    Ok(shape)
}
