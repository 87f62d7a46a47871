//! What a GGUF file says of its model, as the config and the tensor names of a family. Keys are those
//! of ggml's `docs/gguf.md` and llama.cpp's `llama-arch.cpp`.

use super::{Gguf, ModuleNames};
use crate::{
    Config, Error, Result,
    families::{self, MlpIn, Names, NormKind, Qkv, Rope, Shape},
};
use candle_core::quantized::gguf_file::Value;
use serde_json::{Map, json};

/// A model family under llama.cpp's name for it.
struct Family {
    architecture: &'static str,
    /// transformers' name.
    class: &'static str,
    names: Names,
    /// Whether pairs of Q's and K's dimensions that are rotated together are neighbours.
    interleaved: bool,
}

/// What most families call their tensors.
const PLAIN: Names = Names {
    base: "",
    embedding: "token_embd",
    layers: "blk",
    norm: "output_norm",
    head: "output",
    attention_in_norm: Some("attn_norm"),
    mlp_in_norm: Some("ffn_norm"),
    qkv: Qkv::Separate(["attn_q", "attn_k", "attn_v"]),
    output: "attn_output",
    query_key_norms: ["attn_q_norm", "attn_k_norm"],
    mlp_in: MlpIn::Gated(["ffn_gate", "ffn_up"]),
    mlp_out: "ffn_down",
    router: "ffn_gate_inp",
    experts: "experts",
    expert: ["ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"],
    ..Names::LLAMA
};
const SANDWICH: Names = Names {
    attention_out_norm: Some("post_attention_norm"),
    mlp_out_norm: Some("post_ffw_norm"),
    ..PLAIN
};
const STACKED: Names =
    Names { qkv: Qkv::Stacked("attn_qkv"), mlp_in: MlpIn::Plain("ffn_up"), ..PLAIN };

const FAMILIES: &[Family] = &[
    Family { architecture: "llama", class: "LlamaForCausalLM", names: PLAIN, interleaved: true },
    Family { architecture: "qwen2", class: "Qwen2ForCausalLM", names: PLAIN, interleaved: false },
    Family { architecture: "qwen3", class: "Qwen3ForCausalLM", names: PLAIN, interleaved: false },
    Family {
        architecture: "qwen3moe",
        class: "Qwen3MoeForCausalLM",
        names: PLAIN,
        interleaved: false,
    },
    Family {
        architecture: "gemma2",
        class: "Gemma2ForCausalLM",
        names: SANDWICH,
        interleaved: false,
    },
    Family {
        architecture: "gemma3",
        class: "Gemma3ForCausalLM",
        names: SANDWICH,
        interleaved: false,
    },
    Family {
        architecture: "olmo2",
        class: "Olmo2ForCausalLM",
        names: Names { attention_in_norm: None, mlp_in_norm: None, ..SANDWICH },
        interleaved: false,
    },
    Family {
        architecture: "phi3",
        class: "Phi3ForCausalLM",
        names: Names { mlp_in: MlpIn::GatedStacked("ffn_up"), ..STACKED },
        interleaved: false,
    },
    Family {
        architecture: "gpt2",
        class: "GPT2LMHeadModel",
        names: Names { positions: Some("position_embd"), ..STACKED },
        interleaved: false,
    },
    Family {
        architecture: "gptneox",
        class: "GPTNeoXForCausalLM",
        names: STACKED,
        interleaved: false,
    },
];

/// The shape of the file's model and the tokens that end a sequence. Tells the file how its rows lie.
pub fn read(gguf: &mut Gguf) -> Result<(Config, Shape)> {
    let path = gguf.path.clone();
    let bad = |reason: String| Error::file(&path, reason);
    let architecture = gguf.text("general.architecture").unwrap_or_default();
    let family =
        FAMILIES.iter().find(|family| family.architecture == architecture).ok_or_else(|| {
            let known: Vec<_> = FAMILIES.iter().map(|family| family.architecture).collect();
            bad(format!(
                "unknown general.architecture '{architecture}'; this version runs {}",
                known.join(", ")
            ))
        })?;
    if gguf.has("rope_factors_long.weight") {
        return Err(bad("longrope (rope_factors_long) is not supported".to_owned()));
    }
    let (config, mut shape) = families::of_json(config(gguf, family)?, &path)?;
    let plus_one = shape.norm == NormKind::RmsPlusOne;
    gguf.modules = modules(&family.names, &shape.names, plus_one);
    shape.names = family.names;
    if plus_one {
        // llama.cpp's converter has added the one already.
        shape.norm = NormKind::Rms;
    }
    if gguf.has("rope_freqs.weight") {
        for rope in &mut shape.ropes {
            rope.divide(&gguf.vector("rope_freqs.weight", rope.pairs())?);
        }
        if !shape.ropes.iter().all(Rope::is_finite) {
            return Err(bad(
                "tensor rope_freqs.weight holds 0, NaN or infinity: fetch it again".to_owned()
            ));
        }
    }
    gguf.interleaved_head = family.interleaved.then_some(shape.head_dim);
    Ok((config, shape))
}

/// What transformers calls the places that adapters change. What is kept otherwise than in transformers
/// (GPT-NeoX's QKV in another order, Gemma's norms with one added) keeps llama.cpp's name, so that no
/// adapter finds it.
fn modules(theirs: &Names, ours: &Names, plus_one: bool) -> ModuleNames {
    let at_base = |name: &str| format!("{}.{name}", ours.base);
    let mut names = vec![
        (theirs.embedding, at_base(ours.embedding)),
        (theirs.layers, at_base(ours.layers)),
        (theirs.head, ours.head.to_owned()),
        (theirs.output, ours.output.to_owned()),
        (theirs.mlp_out, ours.mlp_out.to_owned()),
        (theirs.router, ours.router.to_owned()),
        (theirs.experts, ours.experts.to_owned()),
    ];
    let mut add = |theirs: &[&'static str], ours: &[&'static str]| {
        names.extend(theirs.iter().zip(ours).map(|(&theirs, &ours)| (theirs, ours.to_owned())));
    };
    add(&theirs.expert, &ours.expert);
    if !plus_one {
        for (theirs, ours) in [
            (theirs.attention_in_norm, ours.attention_in_norm),
            (theirs.attention_out_norm, ours.attention_out_norm),
            (theirs.mlp_in_norm, ours.mlp_in_norm),
            (theirs.mlp_out_norm, ours.mlp_out_norm),
        ] {
            add(theirs.as_slice(), ours.as_slice());
        }
    }
    match (&theirs.qkv, &ours.qkv) {
        (Qkv::Separate(theirs), Qkv::Separate(ours)) => add(theirs, ours),
        (Qkv::Stacked(theirs), Qkv::Stacked(ours)) => add(&[*theirs], &[*ours]),
        _ => {}
    }
    match (&theirs.mlp_in, &ours.mlp_in) {
        (MlpIn::Gated(theirs), MlpIn::Gated(ours)) => add(theirs, ours),
        (MlpIn::GatedStacked(theirs), MlpIn::GatedStacked(ours))
        | (MlpIn::Plain(theirs), MlpIn::Plain(ours)) => add(&[*theirs], &[*ours]),
        _ => {}
    }
    if let (Some(theirs), Some(ours)) = (theirs.positions, ours.positions) {
        names.push((theirs, at_base(ours)));
    }
    if !plus_one {
        names.push((theirs.norm, at_base(ours.norm)));
    }
    ModuleNames(names)
}

/// The metadata in config.json's words.
fn config(gguf: &Gguf, family: &Family) -> Result<serde_json::Value> {
    let key = |name: &str| format!("{}.{name}", family.architecture);
    let whole = |name: &str| gguf.whole(&key(name));
    let number = |name: &str| gguf.number(&key(name));
    let mut config = Map::new();
    for (field, name) in [
        ("hidden_size", "embedding_length"),
        ("intermediate_size", "feed_forward_length"),
        ("num_hidden_layers", "block_count"),
        ("num_attention_heads", "attention.head_count"),
        ("num_key_value_heads", "attention.head_count_kv"),
        ("head_dim", "attention.key_length"),
        ("max_position_embeddings", "context_length"),
        ("sliding_window", "attention.sliding_window"),
        ("num_experts", "expert_count"),
        ("num_experts_per_tok", "expert_used_count"),
        ("moe_intermediate_size", "expert_feed_forward_length"),
    ] {
        let Some(number) = whole(name)? else { continue };
        // Every one of these is a size of something in the file, and memory is reserved by them.
        let is_size = !matches!(name, "context_length" | "attention.sliding_window");
        let most = if name == "block_count" { gguf.tensors() } else { gguf.bytes.len() };
        if is_size && number > most as u64 {
            let reason = format!("is {number}, more than the file has room for");
            return Err(gguf.bad_entry(&key(name), &reason));
        }
        // Without windows or experts, some files say that there are 0.
        let may_be_none = name == "attention.sliding_window" || name.starts_with("expert");
        match number {
            0 if may_be_none => {}
            0 => return Err(gguf.bad_entry(&key(name), "is 0")),
            _ => drop(config.insert(field.to_owned(), json!(number))),
        }
    }
    for (field, name) in [
        ("rms_norm_eps", "attention.layer_norm_rms_epsilon"),
        ("layer_norm_eps", "attention.layer_norm_epsilon"),
        ("rope_theta", "rope.freq_base"),
        ("attn_logit_softcapping", "attn_logit_softcapping"),
        ("final_logit_softcapping", "final_logit_softcapping"),
    ] {
        if let Some(number) = number(name)? {
            config.insert(field.to_owned(), json!(number));
        }
    }
    if family.class == "LlamaForCausalLM" && config.contains_key("num_experts") {
        config.insert("architectures".to_owned(), json!(["MixtralForCausalLM"]));
        config.remove("sliding_window");
    } else {
        config.insert("architectures".to_owned(), json!([family.class]));
    }
    // All of them are above 0 by now.
    let heads = number("attention.head_count")?.unwrap_or(1.0);
    let width = number("embedding_length")?.unwrap_or(heads);
    let head_dim = number("attention.key_length")?.unwrap_or(width / heads);
    if let Some(rotated) = whole("rope.dimension_count")? {
        config.insert("partial_rotary_factor".to_owned(), json!(rotated as f64 / head_dim));
    }
    // llama.cpp's rule: Gemma's largest models scale scores by the width of the residual stream.
    let is_largest = matches!(
        (family.architecture, whole("block_count")?),
        ("gemma2", Some(46)) | ("gemma3", Some(62))
    );
    let query_scalar = if is_largest { width / heads } else { head_dim };
    config.insert("query_pre_attn_scalar".to_owned(), json!(query_scalar));
    config.insert("norm_topk_prob".to_owned(), json!(true));
    config.insert("tie_word_embeddings".to_owned(), json!(!gguf.has("output.weight")));
    config.insert("vocab_size".to_owned(), json!(gguf.rows("token_embd.weight")?));
    if let Some(Value::Bool(parallel)) = gguf.content.metadata.get(&key("use_parallel_residual")) {
        config.insert("use_parallel_residual".to_owned(), json!(parallel));
    }
    match gguf.text(&key("rope.scaling.type")).as_deref() {
        None | Some("none") => {}
        Some(kind @ ("linear" | "yarn")) => {
            let original = number("rope.scaling.original_context_length")?;
            let scaling = json!({
                "rope_type": kind,
                "factor": number("rope.scaling.factor")?,
                "original_max_position_embeddings": original,
            });
            config.insert("rope_scaling".to_owned(), scaling);
        }
        Some(other) => {
            return Err(Error::file(
                &gguf.path,
                format!("rope.scaling.type '{other}' is not supported; linear and yarn are"),
            ));
        }
    }
    if let Some(eos) = gguf.whole("tokenizer.ggml.eos_token_id")? {
        config.insert("eos_token_id".to_owned(), json!(eos));
    }
    Ok(config.into())
}
