//! Gemma 2 (arXiv 2408.00118) and the text models of Gemma 3 (arXiv 2503.19786).

use super::Activation;
use super::{Names, NormKind, QueryNorm, Rope, Shape, llama};
use crate::{Config, Result};

/// What both share: norms around attention and MLP, GeGLU, embeddings scaled by sqrt(hidden), a tied
/// head, windows in the layers that `is_sliding` names where config.json does not.
fn common(config: &Config, is_sliding: impl Fn(usize) -> bool) -> Result<Shape> {
    let mut shape = llama::shape(config)?;
    let query_scalar = config.query_pre_attn_scalar.unwrap_or(256.0);
    shape.norm = NormKind::RmsPlusOne;
    shape.activation = config.activation(Activation::GeluTanh)?;
    // transformers rounds the factor to the model's own format; in f32 nothing changes.
    shape.embedding_scale = (config.hidden_size as f32).sqrt();
    shape.attention_scale = query_scalar.powf(-0.5) as f32;
    shape.attention_softcap = config.attn_logit_softcapping;
    shape.logit_softcap = config.final_logit_softcapping;
    shape.tied_head = config.tie_word_embeddings.unwrap_or(true);
    shape.mlp_bias = false;
    shape.names = Names::SANDWICH;
    for (index, layer) in shape.layer_kinds.iter_mut().enumerate() {
        let sliding = config.is_sliding(index).unwrap_or_else(|| is_sliding(index));
        layer.window = config.sliding_window.filter(|_| sliding);
    }
    Ok(shape)
}

/// Every other layer windowed, the first one included; soft caps on scores and logits.
pub(super) fn gemma2(config: &Config) -> Result<Shape> {
    common(config, |layer| layer.is_multiple_of(2))
}

/// Five windowed layers to one that sees everything, each kind with a rotary base of its own.
pub(super) fn gemma3(config: &Config) -> Result<Shape> {
    let pattern = config.sliding_window_pattern.unwrap_or(6).max(1);
    let mut shape = common(config, |layer| !(layer + 1).is_multiple_of(pattern))?;
    let rope = |kind| Rope::new(&config.rope(Some(kind)), config.head_dim());
    shape.ropes = vec![rope("full_attention")?, rope("sliding_attention")?];
    for layer in &mut shape.layer_kinds {
        layer.rope = Some(usize::from(layer.window.is_some()));
    }
    shape.query_norm = QueryNorm::EachHead;
    Ok(shape)
}
