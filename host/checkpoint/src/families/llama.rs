//! Llama 1 to 3 (arXiv 2302.13971, 2307.09288, 2407.21783): RMSNorm before attention and MLP, rotary embeddings,
//! grouped-query attention, SwiGLU.
//!
//! Most other families begin with [`shape`] and change parts of it.

use super::{LayerKind, NamingScheme, NormKind, QueryKeyNorm, Rope, Shape};
use crate::{
    Config, Result,
    config::{ConfigClass, Field, RopeFields, RopeRule},
};

pub(super) const CLASS: ConfigClass = ConfigClass {
    model_type: "llama",
    name: "LlamaConfig",
    architecture: "LlamaForCausalLM",
    fields: &[
        Field::whole("vocab_size", 32_000),
        Field::whole("hidden_size", 4096),
        Field::whole("intermediate_size", 11_008),
        Field::whole("num_hidden_layers", 32),
        Field::whole("num_attention_heads", 32),
        Field::optional_whole("num_key_value_heads"),
        Field::optional_whole("head_dim"),
        Field::text("hidden_act", "silu"),
        Field::whole("max_position_embeddings", 2048),
        Field::number("rms_norm_eps", 1e-6).target("norm_eps"),
        Field::flag("tie_word_embeddings", false),
        Field::flag("attention_bias", false),
        Field::flag("mlp_bias", false),
        Field::end_of_text(Some(2)),
    ],
    refused: &[],
    inert: &["is_llama_config", "max_sequence_length", "rope_interleaved", "sliding_window"],
    rope: RopeRule::Shared(RopeFields::new(10_000.0)),
};

pub(super) fn shape(config: &Config) -> Result<Shape> {
    let ropes = config.ropes.iter().map(|rope| Rope::new(rope, config.head_dim()));
    let ropes = ropes.collect::<Result<Vec<_>>>()?;
    let layer = LayerKind { window: None, rope: (!ropes.is_empty()).then_some(0), experts: false };
    Ok(Shape {
        hidden: config.hidden_size,
        layers: config.num_hidden_layers,
        heads: config.num_attention_heads,
        kv_heads: config.kv_heads(),
        head_dim: config.head_dim(),
        intermediate: config.intermediate_size(),
        vocab: config.vocab_size,
        context: config.max_position_embeddings,
        norm: NormKind::Rms,
        norm_eps: config.norm_eps as f32,
        parallel: false,
        ropes,
        layer_kinds: vec![layer; config.num_hidden_layers],
        query_norm: QueryKeyNorm::None,
        attention_scale: 1.0 / (config.head_dim() as f32).sqrt(),
        attention_softcap: None,
        logit_softcap: None,
        embedding_scale: 1.0,
        activation: config.activation()?,
        experts: None,
        qkv_bias: config.attention_bias,
        output_bias: config.attention_bias,
        mlp_bias: config.mlp_bias,
        tied_head: config.tie_word_embeddings,
        names: NamingScheme::LLAMA,
        modules: NamingScheme::LLAMA,
    })
}
