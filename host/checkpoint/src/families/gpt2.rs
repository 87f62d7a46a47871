//! GPT-2 (Radford et al., 2019): LayerNorm before attention and MLP, learned positions, GELU. The checkpoint stores the
//! matrices of projections transposed.

use super::{MlpIn, NamingScheme, NormKind, Qkv, Shape, llama};
use crate::{
    Config, Result,
    config::{ConfigClass, Field, RefusedField, RopeRule},
};

pub(super) const CLASS: ConfigClass = ConfigClass {
    model_type: "gpt2",
    name: "GPT2Config",
    architecture: "GPT2LMHeadModel",
    fields: &[
        Field::whole("vocab_size", 50_257),
        Field::whole("n_positions", 1024)
            .aliases(&["max_position_embeddings"])
            .target("max_position_embeddings"),
        Field::whole("n_embd", 768).aliases(&["hidden_size"]).target("hidden_size"),
        Field::whole("n_layer", 12).aliases(&["num_hidden_layers"]).target("num_hidden_layers"),
        Field::whole("n_head", 12).aliases(&["num_attention_heads"]).target("num_attention_heads"),
        Field::optional_whole("n_inner").target("intermediate_size"),
        Field::text("activation_function", "gelu_new").target("hidden_act"),
        Field::number("layer_norm_epsilon", 1e-5).target("norm_eps"),
        Field::flag("scale_attn_weights", true),
        Field::flag("tie_word_embeddings", true),
        Field::end_of_text(Some(50_256)),
    ],
    refused: &[RefusedField::unless_false(
        "scale_attn_by_inverse_layer_idx",
        "this version scales the scores of all layers alike",
    )],
    // reorder_and_upcast_attn only changes the order of a sum. Cross-attention has no effect without an encoder.
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
        // In the class every query head has its key and value head, and head_dim is hidden_size / num_attention_heads.
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
    shape.names = NamingScheme {
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
        ..NamingScheme::LLAMA
    };
    Ok(shape)
}
