//! GPT-NeoX and Pythia (arXiv 2204.06745, 2304.01373): LayerNorm, and a rotary embedding of a part of each head. In
//! most models attention and MLP both read the layer's input.

use super::{MlpIn, NamingScheme, NormKind, Qkv, Shape, llama};
use crate::{
    Config, Error, Result,
    config::{ConfigClass, Field, RopeFields, RopeRule},
};

pub(super) const CLASS: ConfigClass = ConfigClass {
    model_type: "gpt_neox",
    name: "GPTNeoXConfig",
    architecture: "GPTNeoXForCausalLM",
    fields: &[
        Field::whole("vocab_size", 50_432),
        Field::whole("hidden_size", 6144),
        Field::whole("num_hidden_layers", 44),
        Field::whole("num_attention_heads", 64),
        Field::whole("intermediate_size", 24_576),
        Field::text("hidden_act", "gelu"),
        Field::whole("max_position_embeddings", 2048),
        Field::number("layer_norm_eps", 1e-5).target("norm_eps"),
        Field::flag("tie_word_embeddings", false),
        Field::flag("use_parallel_residual", true),
        Field::optional_whole("head_dim"),
        Field::flag("attention_bias", true),
        Field::end_of_text(Some(2)),
    ],
    refused: &[],
    // transformers 4.43 to 4.57 also saves the rotary embedding under its general names, but the class reads its own.
    // Every query head has its key and value head, whatever a file says.
    inert: &["is_decoder", "num_key_value_heads", "partial_rotary_factor", "rope_theta"],
    rope: RopeRule::Shared(RopeFields {
        theta: ("rotary_emb_base", 10_000.0),
        share: Some(("rotary_pct", 0.25)),
        ..RopeFields::new(10_000.0)
    }),
};

pub(super) fn shape(config: &Config) -> Result<Shape> {
    let width = config.hidden_size / config.num_attention_heads;
    if config.head_dim.is_some_and(|head_dim| head_dim != width) {
        return Err(Error::Invalid(format!(
            "head_dim is not hidden_size / num_attention_heads ({width}), and the class uses both: remove it"
        )));
    }
    let mut shape = llama::shape(config)?;
    shape.norm = NormKind::Layer;
    shape.parallel = config.use_parallel_residual;
    shape.mlp_bias = true;
    shape.names = NamingScheme {
        base: "gpt_neox",
        embedding: "embed_in",
        norm: "final_layer_norm",
        head: "embed_out",
        qkv: Qkv::ByHead("attention.query_key_value"),
        output: "attention.dense",
        mlp_in: MlpIn::Plain("mlp.dense_h_to_4h"),
        mlp_out: "mlp.dense_4h_to_h",
        ..NamingScheme::LLAMA
    };
    Ok(shape)
}
