//! GPT-2 (Radford et al., 2019): LayerNorm before, learned positions, GELU, projections kept
//! transposed.

use super::{MlpIn, Names, NormKind, Qkv, Shape, llama};
use crate::{
    Config, Result,
    config::{Class, Field, Refused, RopeRule},
};

pub(super) const CLASS: Class = Class {
    model_type: "gpt2",
    name: "GPT2Config",
    architecture: "GPT2LMHeadModel",
    fields: &[
        Field::whole("vocab_size", 50_257),
        Field::whole("n_positions", 1024)
            .also(&["max_position_embeddings"])
            .target("max_position_embeddings"),
        Field::whole("n_embd", 768).also(&["hidden_size"]).target("hidden_size"),
        Field::whole("n_layer", 12).also(&["num_hidden_layers"]).target("num_hidden_layers"),
        Field::whole("n_head", 12).also(&["num_attention_heads"]).target("num_attention_heads"),
        Field::optional_whole("n_inner").target("intermediate_size"),
        Field::text("activation_function", "gelu_new").target("hidden_act"),
        Field::number("layer_norm_epsilon", 1e-5).target("norm_eps"),
        Field::flag("scale_attn_weights", true),
        Field::flag("tie_word_embeddings", true),
        Field::end_of_text(Some(50_256)),
    ],
    refused: &[Refused::unless_false(
        "scale_attn_by_inverse_layer_idx",
        "this version scales the scores of all layers alike",
    )],
    // Another order of the same sum; cross-attention has nothing to attend to without an encoder.
    inert: &[
        "add_cross_attention",
        "n_ctx",
        "n_special",
        "predict_special_tokens",
        "reorder_and_upcast_attn",
        "summary_activation",
        "summary_first_dropout",
        "summary_proj_to_labels",
        "summary_type",
        "summary_use_proj",
        // Heads of another number than queries' or of another width do not exist in the class.
        "num_key_value_heads",
        "head_dim",
    ],
    rope: RopeRule::Learned,
};

pub(super) fn shape(config: &Config) -> Result<Shape> {
    let mut shape = llama::shape(config)?;
    shape.norm = NormKind::Layer;
    if !config.scale_attn_weights {
        shape.attention_scale = 1.0;
    }
    shape.qkv_bias = true;
    shape.output_bias = true;
    shape.mlp_bias = true;
    shape.names = Names {
        base: "transformer",
        embedding: "wte",
        positions: Some("wpe"),
        layers: "h",
        norm: "ln_f",
        attention_in_norm: Some("ln_1"),
        mlp_in_norm: Some("ln_2"),
        qkv: Qkv::Stacked("attn.c_attn"),
        output: "attn.c_proj",
        mlp_in: MlpIn::Plain("mlp.c_fc"),
        mlp_out: "mlp.c_proj",
        transposed: true,
        ..Names::LLAMA
    };
    Ok(shape)
}
