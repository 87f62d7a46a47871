//! Qwen2 (arXiv 2407.10671), Qwen3, and Qwen3's mixture of experts (arXiv 2505.09388).

use super::{ExpertShape, QueryKeyNorm, Shape, llama, mistral::set_windows};
use crate::{
    Config, Result,
    config::{ConfigClass, Field, RopeFields, RopeRule},
};

pub(super) const QWEN2: ConfigClass = ConfigClass {
    model_type: "qwen2",
    name: "Qwen2Config",
    architecture: "Qwen2ForCausalLM",
    fields: &[
        Field::whole("vocab_size", 151_936),
        Field::whole("hidden_size", 4096),
        Field::whole("intermediate_size", 22_016),
        Field::whole("num_hidden_layers", 32),
        Field::whole("num_attention_heads", 32),
        Field::whole("num_key_value_heads", 32).or_null(),
        Field::optional_whole("head_dim"),
        Field::text("hidden_act", "silu"),
        Field::whole("max_position_embeddings", 32_768),
        Field::number("rms_norm_eps", 1e-6).target("norm_eps"),
        Field::flag("tie_word_embeddings", false),
        Field::flag("use_sliding_window", false),
        Field::whole("sliding_window", 4096).or_null(),
        Field::whole("max_window_layers", 28),
        Field::text_list("layer_types"),
        Field::end_of_text(None),
    ],
    refused: &[],
    inert: &["attention_bias", "seq_length", "use_mrope"],
    rope: RopeRule::Shared(RopeFields::new(10_000.0)),
};

pub(super) const QWEN3: ConfigClass = ConfigClass {
    model_type: "qwen3",
    name: "Qwen3Config",
    architecture: "Qwen3ForCausalLM",
    fields: &[
        Field::whole("vocab_size", 151_936),
        Field::whole("hidden_size", 4096),
        Field::whole("intermediate_size", 22_016),
        Field::whole("num_hidden_layers", 32),
        Field::whole("num_attention_heads", 32),
        Field::whole("num_key_value_heads", 32).or_null(),
        Field::whole("head_dim", 128),
        Field::text("hidden_act", "silu"),
        Field::whole("max_position_embeddings", 32_768),
        Field::number("rms_norm_eps", 1e-6).target("norm_eps"),
        Field::flag("tie_word_embeddings", false),
        Field::flag("attention_bias", false),
        Field::flag("use_sliding_window", false),
        Field::whole("sliding_window", 4096).or_null(),
        Field::whole("max_window_layers", 28),
        Field::text_list("layer_types"),
        Field::end_of_text(None),
    ],
    refused: &[],
    inert: &["use_mrope"],
    rope: RopeRule::Shared(RopeFields::new(10_000.0)),
};

pub(super) const QWEN3_MOE: ConfigClass = ConfigClass {
    model_type: "qwen3_moe",
    name: "Qwen3MoeConfig",
    architecture: "Qwen3MoeForCausalLM",
    fields: &[
        Field::whole("vocab_size", 151_936),
        Field::whole("hidden_size", 2048),
        Field::whole("intermediate_size", 6144),
        Field::whole("num_hidden_layers", 24),
        Field::whole("num_attention_heads", 32),
        Field::whole("num_key_value_heads", 4),
        Field::optional_whole("head_dim"),
        Field::text("hidden_act", "silu"),
        Field::whole("max_position_embeddings", 32_768),
        Field::number("rms_norm_eps", 1e-6).target("norm_eps"),
        Field::flag("tie_word_embeddings", false),
        Field::flag("attention_bias", false),
        Field::flag("use_sliding_window", false),
        Field::whole("sliding_window", 4096).or_null(),
        Field::whole("decoder_sparse_step", 1),
        Field::whole("moe_intermediate_size", 768),
        Field::whole("num_experts_per_tok", 8),
        Field::whole("num_experts", 128)
            .aliases(&["num_local_experts"])
            .target("num_local_experts"),
        Field::flag("norm_topk_prob", false),
        Field::whole_list("mlp_only_layers"),
        Field::end_of_text(None),
    ],
    refused: &[],
    // In this class all layers are windowed, or none.
    inert: &["max_window_layers", "use_mrope"],
    rope: RopeRule::Shared(RopeFields::new(10_000.0)),
};

/// Derives the shape of Qwen2: Llama with biases on Q, K and V, and windows in the layers from `max_window_layers` on.
pub(super) fn qwen2(config: &Config) -> Result<Shape> {
    let mut shape = with_upper_windows(config)?;
    shape.qkv_bias = true;
    Ok(shape)
}

/// Derives the shape of Qwen3: Qwen2 with norms on Q and K instead of the biases.
pub(super) fn qwen3(config: &Config) -> Result<Shape> {
    let mut shape = with_upper_windows(config)?;
    shape.query_norm = QueryKeyNorm::EachHead;
    Ok(shape)
}

/// Derives the common part of Qwen2 and Qwen3: Llama with windows in the upper layers.
fn with_upper_windows(config: &Config) -> Result<Shape> {
    let config = apply_use_sliding_window(config);
    let mut shape = llama::shape(&config)?;
    let is_upper = |layer| config.sliding_window.is_some() && layer >= config.max_window_layers;
    set_windows(&config, &mut shape, config.windowed_layers(is_upper)?)?;
    Ok(shape)
}

/// Removes the window if `use_sliding_window` is false, as the classes do.
fn apply_use_sliding_window(config: &Config) -> Config {
    let sliding_window = config.sliding_window.filter(|_| config.use_sliding_window);
    Config { sliding_window, ..config.clone() }
}

/// Derives the shape of Qwen3's mixture of experts. The layers in `mlp_only_layers` have no experts. All layers are
/// windowed, or none.
pub(super) fn qwen3_moe(config: &Config) -> Result<Shape> {
    let config = apply_use_sliding_window(config);
    let mut shape = llama::shape(&config)?;
    shape.query_norm = QueryKeyNorm::EachHead;
    shape.experts = Some(ExpertShape {
        count: config.num_local_experts,
        active: config.num_experts_per_tok,
        intermediate: config.moe_intermediate_size,
        renormalise: config.norm_topk_prob,
    });
    let dense = config.mlp_only_layers.as_deref().unwrap_or_default();
    for (index, layer) in shape.layer_kinds.iter_mut().enumerate() {
        layer.window = config.sliding_window;
        layer.experts = !dense.contains(&index)
            && config.num_local_experts > 0
            && (index + 1).is_multiple_of(config.decoder_sparse_step);
    }
    Ok(shape)
}
