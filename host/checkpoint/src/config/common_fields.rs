//! The fields that the `config.json` of any family may have.

use super::field::RefusedField;

/// Fields with a value that no family of this version can compute.
pub(super) const REFUSED: &[RefusedField] = &[
    RefusedField::unless_true(
        "is_causal",
        "this version's tokens see what comes before them, and never what follows",
    ),
    RefusedField::unless_false(
        "is_encoder_decoder",
        "this version runs decoders, not encoders with decoders",
    ),
    RefusedField::unless_false("per_layer_config", "this version's layers are all of one config"),
];

/// Returns `true` if a field is known to have no effect on what a decoder of any family computes.
pub(super) fn is_inert(name: &str) -> bool {
    [IDENTITY, PRETRAINED, EARLIER, GENERATION, TRAINING, TOOLS]
        .iter()
        .any(|names| names.contains(&name))
}

/// Fields that say what a file describes, and which program reads it.
const IDENTITY: &[&str] = &[
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_commit_hash",
    "_experts_implementation",
    "_flash_attn_2_enabled",
    "_name_or_path",
    "architectures",
    "attn_implementation",
    "auto_map",
    "custom_pipelines",
    "dtype",
    "experts_implementation",
    "language",
    "license",
    "model_max_length",
    "model_name",
    "model_type",
    "name",
    "name_or_path",
    "tokenizer_class",
    "transformers.js_config",
    "transformers_version",
    "version",
];

/// Fields of `PreTrainedConfig` in transformers 5.
const PRETRAINED: &[&str] = &[
    "chunk_size_feed_forward",
    "id2label",
    "initializer_range",
    "label2id",
    "num_labels",
    "output_attentions",
    "output_hidden_states",
    "problem_type",
    "return_dict",
    "use_cache",
    "bos_token_id",
    "pad_token_id",
    "sep_token_id",
];

/// Fields of `PretrainedConfig` before transformers 5.
const EARLIER: &[&str] = &[
    "add_cross_attention",
    "cross_attention_hidden_size",
    "decoder_start_token_id",
    "finetuning_task",
    "is_decoder",
    "prefix",
    "pruned_heads",
    "task_specific_params",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "torch_dtype",
    "torchscript",
    "use_bfloat16",
];

/// Generation settings. They belong in `generation_config.json`, and an experiment's script chooses them.
const GENERATION: &[&str] = &[
    "assistant_confidence_threshold",
    "assistant_lookbehind",
    "bad_words_ids",
    "begin_suppress_tokens",
    "cache_implementation",
    "diversity_penalty",
    "do_sample",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "encoder_repetition_penalty",
    "epsilon_cutoff",
    "eta_cutoff",
    "exponential_decay_length_penalty",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "length_penalty",
    "max_length",
    "max_new_tokens",
    "min_length",
    "no_repeat_ngram_size",
    "num_assistant_tokens",
    "num_assistant_tokens_schedule",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_scores",
    "remove_invalid_values",
    "repetition_penalty",
    "return_dict_in_generate",
    "suppress_tokens",
    "target_lookbehind",
    "temperature",
    "top_k",
    "top_p",
    "typical_p",
];

/// Fields that have an effect only in training.
const TRAINING: &[&str] = &[
    "attention_dropout",
    "attn_pdrop",
    "classifier_dropout",
    "embd_pdrop",
    "gradient_checkpointing",
    "hidden_dropout",
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "initializer_factor",
    "output_router_logits",
    "resid_pdrop",
    "router_aux_loss_coef",
    "router_jitter_noise",
    "use_reentrant",
];

/// Fields that tools write: programs that quantise, train or convert models. Quantisation is recognised elsewhere, in
/// `quantised.rs`.
const TOOLS: &[&str] = &[
    "llem_latency",
    "llem_stand_in",
    "pretraining_tp",
    "quantization_config",
    "quantization",
    "unsloth_fixed",
    "unsloth_version",
    "unsloth_processed",
];
