//! The rule for each key of the metadata. A key that changes what a model computes is read or refused. A key that no
//! known converter writes causes a warning. The keys are from gguf-py's `constants.py` and llama.cpp's
//! `llama-arch.cpp`, and a few are from Ollama.

use super::{Gguf, MetadataValue};
use crate::{Error, Result};

/// The rule for a key that begins with the architecture's name.
enum KeyRule {
    /// The key is read.
    Read,
    /// The key changes nothing, whatever its value.
    Harmless,
    /// These numbers change nothing, and others are refused. `false` counts as 0, and `true` as 1.
    Neutral(&'static [f64]),
    /// These texts change nothing, and others are refused.
    Texts(&'static [&'static str]),
    /// The value of the named key changes nothing, and others are refused.
    Same(&'static str),
    /// A window as large as the context changes nothing, and smaller ones are refused.
    Window,
    /// The key is refused, whatever its value.
    Refused,
}

/// Beginnings of keys about parts that none of the supported families has.
const UNSUPPORTED_PREFIXES: [&str; 14] = [
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

/// Returns the rule for `key`, which follows the name of `architecture`. Returns `None` if the key is unknown.
fn rule(architecture: &str, key: &str) -> Option<KeyRule> {
    use KeyRule::{Harmless, Neutral, Read, Refused, Same, Texts, Window};
    const ZERO: KeyRule = Neutral(&[0.0]);
    const ZERO_OR_ONE: KeyRule = Neutral(&[0.0, 1.0]);
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
        // The size of the vocabulary is taken from the embedding. Sections assign positions that differ only in images.
        "vocab_size" | "rope.scaling.finetuned" | "rope.dimension_sections" => Harmless,
        // Ollama stores the image part in the same file.
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
        // llama.cpp treats -1 as absent.
        "rope.scaling.yarn_ext_factor" | "rope.scaling.extrapolation_factor" => {
            Neutral(&[-1.0, 1.0])
        }
        "expert_weights_norm" => ZERO_OR_ONE,
        // 0 means absent, and 1 means softmax.
        "expert_gating_func" => ZERO_OR_ONE,
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
        | "num_loops" => ZERO_OR_ONE,
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
        _ if UNSUPPORTED_PREFIXES.iter().any(|prefix| key.starts_with(prefix)) => Refused,
        _ => return None,
    })
}

/// Beginnings of keys about the origin of a model, its conversion and its tokens.
const DESCRIPTIVE_PREFIXES: [&str; 6] =
    ["general.", "mradermacher.", "quantize.", "split.", "tokenizer.", "imatrix."];
/// Beginnings of keys that change the computation and do not begin with the architecture's name.
const REFUSED_PREFIXES: [&str; 4] = ["adapter.", "clip.", "diffusion.", "xielu."];

/// Checks all keys of a model. Returns a warning for each unknown key.
///
/// # Errors
/// Returns an error if a key changes what the model computes, and is not read.
pub(super) fn check_keys(gguf: &Gguf, architecture: &str) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    let starts = |key: &str, all: &[&str]| all.iter().any(|start| key.starts_with(start));
    for key in gguf.keys() {
        let own = key.strip_prefix(architecture).and_then(|key| key.strip_prefix('.'));
        let is_accepted = match own.map(|own| rule(architecture, own)) {
            Some(Some(rule)) => is_accepted(gguf, architecture, key, &rule)?,
            None if starts(key, &DESCRIPTIVE_PREFIXES) => true,
            None if starts(key, &REFUSED_PREFIXES) => false,
            Some(None) | None => {
                warnings.push(format!(
                    "{}: metadata {key} is not known to this version and was passed over",
                    gguf.path().display()
                ));
                true
            }
        };
        if !is_accepted {
            return Err(refusal(gguf, key));
        }
    }
    Ok(warnings)
}

/// Returns `true` if a key is read, or if its value changes nothing.
fn is_accepted(gguf: &Gguf, architecture: &str, key: &str, rule: &KeyRule) -> Result<bool> {
    let numbers =
        || -> Option<Vec<f64>> { gguf.values(key)?.iter().map(MetadataValue::as_f64).collect() };
    let all = |is: &dyn Fn(f64) -> bool| {
        numbers().is_some_and(|numbers| numbers.iter().all(|&number| is(number)))
    };
    let whole = |own: &str| gguf.number(&format!("{architecture}.{own}"));
    Ok(match rule {
        KeyRule::Read | KeyRule::Harmless => true,
        KeyRule::Refused => false,
        KeyRule::Neutral(neutral) => all(&|number| neutral.contains(&number)),
        KeyRule::Texts(texts) => gguf.text(key).is_some_and(|text| texts.contains(&&text[..])),
        KeyRule::Same(other) => match whole(other)? {
            Some(other) => all(&|number| number == other),
            None => false,
        },
        KeyRule::Window => {
            let context = whole("context_length")?.unwrap_or(0.0);
            all(&|number| number == 0.0 || number >= context)
        }
    })
}

/// Builds the error for a key whose value changes the computation and is not supported.
pub(super) fn refusal(gguf: &Gguf, key: &str) -> Error {
    let value = match gguf.value(key) {
        Some(MetadataValue::Whole(number)) => format!("is {number}"),
        Some(MetadataValue::Number(number)) => format!("is {number}"),
        Some(MetadataValue::Bool(truth)) => format!("is {truth}"),
        Some(MetadataValue::Text(text)) => {
            format!("is '{}'", text.chars().take(40).collect::<String>())
        }
        None => "is an array".to_owned(),
    };
    Error::file(
        gguf.path(),
        format!(
            "metadata {key} {value}, which changes what the model computes and is not supported: use a model without it"
        ),
    )
}
