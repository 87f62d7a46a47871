//! What each key of the metadata is to us. A key that changes what a model computes is read or refused; one that no
//! converter is known to write is warned of. Keys are those of gguf-py's `constants.py` and llama.cpp's `llama-arch.cpp`,
//! and a few that Ollama writes.

use super::{Gguf, Value};
use crate::{Error, Result};

/// What becomes of a key under the architecture's name.
enum Rule {
    /// It is read.
    Read,
    /// It changes nothing.
    Harmless,
    /// These numbers, where false is 0 and true is 1, change nothing; others are refused.
    Neutral(&'static [f64]),
    /// These texts change nothing; others are refused.
    Texts(&'static [&'static str]),
    /// The value of that key changes nothing; others are refused.
    Same(&'static str),
    /// A window that no sequence outgrows changes nothing; others are refused.
    Window,
    /// It is refused whatever it says.
    Refused,
}

/// Beginnings of keys that are about parts which none of our families has.
const FOREIGN: [&str; 14] = [
    "adapters.",
    "altup.",
    "attention.indexer.",
    "attn_res.",
    "classifier.",
    "convnext.",
    "dense_",
    "hrm.",
    "hyper_connection.",
    "kda.",
    "ple.",
    "posnet.",
    "shortconv.",
    "ssm.",
];

/// The rule for `key` under the name of `architecture`; none where it is not known.
fn rule(architecture: &str, key: &str) -> Option<Rule> {
    use Rule::{Harmless, Neutral, Read, Refused, Same, Texts, Window};
    const ZERO: Rule = Neutral(&[0.0]);
    const ONE: Rule = Neutral(&[0.0, 1.0]);
    let is = |all: &[&str]| all.contains(&architecture);
    Some(match key {
        _ if key.starts_with("rope.") && is(&["gpt2"]) => Harmless,
        "context_length"
        | "embedding_length"
        | "block_count"
        | "feed_forward_length"
        | "attention.head_count"
        | "attention.head_count_kv"
        | "attention.key_length"
        | "attention.value_length"
        | "attention.layer_norm_epsilon"
        | "attention.layer_norm_rms_epsilon"
        | "rope.dimension_count"
        | "rope.freq_base"
        | "rope.scale_linear"
        | "rope.scaling.type"
        | "rope.scaling.factor"
        | "rope.scaling.attn_factor"
        | "rope.scaling.original_context_length"
        | "rope.scaling.yarn_attn_factor"
        | "rope.scaling.yarn_beta_fast"
        | "rope.scaling.yarn_beta_slow"
        | "rope.scaling.beta_fast"
        | "rope.scaling.beta_slow" => Read,
        // The vocabulary is as large as its embedding. Sections share out positions that differ in images alone.
        "vocab_size" | "rope.scaling.finetuned" | "rope.dimension_sections" => Harmless,
        // Ollama keeps the image part in the same file.
        _ if key.starts_with("vision.") || key.starts_with("mm.") => Harmless,
        "rope.local.freq_base" | "rope.global.freq_base" | "rope.freq_base_swa"
            if is(&["gemma3"]) =>
        {
            Read
        }
        "use_parallel_residual" if is(&["gptneox"]) => Read,
        "attn_logit_softcapping" if is(&["gemma2"]) => Read,
        "final_logit_softcapping" if is(&["gemma2", "gemma3"]) => Read,
        "expert_count" | "expert_used_count" if is(&["llama", "qwen3moe"]) => Read,
        "expert_feed_forward_length" | "expert_weights_norm" if is(&["qwen3moe"]) => Read,
        "attention.sliding_window" if is(&["llama", "gemma2", "gemma3", "olmo2", "phi3"]) => Read,
        "attention.sliding_window_pattern" if is(&["gemma2", "gemma3", "olmo2"]) => Read,
        "attention.sliding_window" => Window,
        "attention.causal" => Neutral(&[1.0]),
        "attention.head_dim" | "attention.key_length_swa" | "attention.value_length_swa" => {
            Same("attention.key_length")
        }
        "expert_feed_forward_length" if is(&["llama"]) => Same("feed_forward_length"),
        "rope.dimension_count_swa" => Same("rope.dimension_count"),
        "rope.freq_base_swa" => Same("rope.freq_base"),
        "tensor_data_layout" => Texts(&["reference", "Meta AI original pth"]),
        // llama.cpp takes -1 as not said.
        "rope.scaling.yarn_ext_factor" | "rope.scaling.extrapolation_factor" => {
            Neutral(&[-1.0, 1.0])
        }
        "expert_weights_norm" => ONE,
        // Softmax, and none said.
        "expert_gating_func" => ONE,
        "embedding_scale"
        | "residual_scale"
        | "logit_scale"
        | "expert_weights_scale"
        | "expert_group_count"
        | "expert_group_used_count"
        | "moe_every_n_layers"
        | "interleave_moe_layer_step"
        | "attention.output_scale"
        | "attention.value_scale"
        | "num_loops" => ONE,
        "activation_sparsity_scale"
        | "attention.clamp_kqv"
        | "attention.compress_ratios"
        | "attention.compress_rope_freq_base"
        | "attention.decay_lora_rank"
        | "attention.gate_lora_rank"
        | "attention.group_norm_epsilon"
        | "attention.group_norm_groups"
        | "attention.iclr_lora_rank"
        | "attention.key_length_mla"
        | "attention.key_length_mla_swa"
        | "attention.kv_lora_rank"
        | "attention.kv_lora_rank_swa"
        | "attention.max_alibi_bias"
        | "attention.output_group_count"
        | "attention.output_lora_rank"
        | "attention.q_lora_rank"
        | "attention.recurrent_layers"
        | "attention.relative_buckets_count"
        | "attention.scale"
        | "attention.shared_kv_layers"
        | "attention.sliding_window_pattern"
        | "attention.temperature_length"
        | "attention.temperature_scale"
        | "attention.value_length_mla"
        | "attention.value_length_mla_swa"
        | "attention.value_residual_mix_lora_rank"
        | "attn_logit_softcapping"
        | "decoder_block_count"
        | "deepstack_mapping"
        | "embedding_length_out"
        | "embedding_length_per_layer_input"
        | "expert_chunk_feed_forward_length"
        | "expert_count"
        | "expert_feed_forward_length"
        | "expert_group_scale"
        | "expert_latent_length"
        | "expert_shared_count"
        | "expert_shared_feed_forward_length"
        | "expert_used_count"
        | "experts_per_group"
        | "features_length"
        | "final_logit_softcapping"
        | "full_attention_interval"
        | "hash_layer_count"
        | "leading_dense_block_count"
        | "moe_latent_size"
        | "n_deepstack_layers"
        | "nextn_predict_layers"
        | "pooling_type"
        | "rescale_every_n_layers"
        | "rope.scaling.alpha"
        | "rope.scaling.yarn_log_multiplier"
        | "router_logit_softcapping"
        | "skip_loop_final_norm"
        | "swiglu_clamp_exp"
        | "swiglu_clamp_shexp"
        | "swin_norm"
        | "time_decay_extra_dim"
        | "time_mix_extra_dim"
        | "token_shift_count"
        | "use_parallel_residual"
        | "wkv.head_size" => ZERO,
        "activation.situ_beta"
        | "activation.situ_linear_beta"
        | "attention.rope_pattern"
        | "decoder_start_token_id"
        | "hidden_activation"
        | "rope.local.freq_base"
        | "rope.global.freq_base" => Refused,
        _ if FOREIGN.iter().any(|foreign| key.starts_with(foreign)) => Refused,
        _ => return None,
    })
}

/// Beginnings of keys that say where a model comes from, how it was made and what its tokens are.
const DESCRIPTIVE: [&str; 6] =
    ["general.", "mradermacher.", "quantize.", "split.", "tokenizer.", "imatrix."];
/// Beginnings of keys that change what is computed, outside of the architecture's own.
const REFUSED: [&str; 4] = ["adapter.", "clip.", "diffusion.", "xielu."];

/// Looks at all keys of a model of that architecture. Returns a sentence for each key that is not known.
///
/// # Errors
/// A key says something that changes what the model computes, and that is not read.
pub fn check(gguf: &Gguf, architecture: &str) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    let starts = |key: &str, all: &[&str]| all.iter().any(|start| key.starts_with(start));
    for key in gguf.keys() {
        let own = key.strip_prefix(architecture).and_then(|key| key.strip_prefix('.'));
        let is_taken = match own.map(|own| rule(architecture, own)) {
            Some(Some(rule)) => is_taken(gguf, architecture, key, &rule)?,
            None if starts(key, &DESCRIPTIVE) => true,
            None if starts(key, &REFUSED) => false,
            Some(None) | None => {
                warnings.push(format!(
                    "{}: metadata {key} is not known to this version and was passed over",
                    gguf.path().display()
                ));
                true
            }
        };
        if !is_taken {
            return Err(refusal(gguf, key));
        }
    }
    Ok(warnings)
}

fn is_taken(gguf: &Gguf, architecture: &str, key: &str, rule: &Rule) -> Result<bool> {
    let numbers = || -> Option<Vec<f64>> { gguf.values(key)?.iter().map(Value::as_f64).collect() };
    let all = |is: &dyn Fn(f64) -> bool| {
        numbers().is_some_and(|numbers| numbers.iter().all(|&number| is(number)))
    };
    let whole = |own: &str| gguf.number(&format!("{architecture}.{own}"));
    Ok(match rule {
        Rule::Read | Rule::Harmless => true,
        Rule::Refused => false,
        Rule::Neutral(neutral) => all(&|number| neutral.contains(&number)),
        Rule::Texts(texts) => gguf.text(key).is_some_and(|text| texts.contains(&&text[..])),
        Rule::Same(other) => match whole(other)? {
            Some(other) => all(&|number| number == other),
            None => false,
        },
        Rule::Window => {
            let context = whole("context_length")?.unwrap_or(0.0);
            all(&|number| number == 0.0 || number >= context)
        }
    })
}

/// A refusal of a key that says something which is not read.
pub fn refusal(gguf: &Gguf, key: &str) -> Error {
    let value = match gguf.value(key) {
        Some(Value::Whole(number)) => format!("is {number}"),
        Some(Value::Number(number)) => format!("is {number}"),
        Some(Value::Bool(truth)) => format!("is {truth}"),
        Some(Value::Text(text)) => format!("is '{}'", text.chars().take(40).collect::<String>()),
        None => "is an array".to_owned(),
    };
    Error::file(
        gguf.path(),
        format!(
            "metadata {key} {value}, which changes what the model computes and is not supported: use a model without it"
        ),
    )
}
