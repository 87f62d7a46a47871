/// Loaded models: generation, scores and adapters.
#ifndef LLEM_MODEL_H
#define LLEM_MODEL_H

#include "error.h"
#include "measurement.h"
#include "request.h"

/// The numbers of ranks that a model is split over.
typedef struct llem_parallelism {
    /// The number of tensor ranks.
    uint32_t tensor;
    /// The number of pipeline stages.
    uint32_t pipeline;
    /// The number of data-parallel replicas.
    uint32_t data;
} llem_parallelism;

/// Options for loading a model: source, number formats, device and parallelism. For a field that is zero the command
/// line decides.
typedef struct llem_load_options {
    /// The name or source of a granted model, or a synthetic one (`synthetic:PRESET`), which needs no grant.
    const char *model;
    /// The number format of weights and activations: `f32`, `bf16`, `f16`.
    const char *dtype;
    /// The number format of cached keys and values. `NULL` means the format of activations.
    const char *kv_dtype;
    /// The id of a device that was granted with `--device`.
    const char *device;
    /// The number of CPU threads that the model's ranks on this machine share.
    llem_optional_u32 threads;
    /// The number of ranks that the model is split over. `NULL` means that the command line decides.
    const llem_parallelism *parallelism;
    /// Whether each expert is placed whole on one tensor rank. Otherwise every expert is split over all of them.
    bool whole_experts;
    /// Whether both factors of an adapter are split over the tensor ranks. Otherwise only one factor is.
    bool sharded_adapters;
    /// The number of microbatches that a pass is split into, so that pipeline stages work at the same time.
    llem_optional_u32 microbatches;
    /// The seed of synthetic weights. Absent means the run's seed.
    llem_optional_u64 seed;
} llem_load_options;

/// One rank of a split model.
typedef struct llem_rank {
    /// The id of the rank's device.
    const char *device;
    /// The first layer of the rank.
    uint32_t first_layer;
    /// The number of layers of the rank.
    uint32_t layers;
    /// The memory that the rank's weights take, in bytes.
    uint64_t weight_bytes;
} llem_rank;

LLEM_LIST(llem_ranks, llem_rank);
LLEM_LIST(llem_attention_windows, llem_optional_u32);

/// Properties of a loaded model.
typedef struct llem_model_info {
    /// The source after it was resolved.
    const char *source;
    /// The architecture as the checkpoint names it.
    const char *architecture;
    /// A digest of the config and tensors.
    const char *digest;
    /// The number of parameters.
    uint64_t parameters;
    /// The number of parameters without embeddings.
    uint64_t parameters_without_embeddings;
    /// The memory that the weights take, in bytes.
    uint64_t weight_bytes;
    /// The bytes of weights that a decode step reads.
    uint64_t decode_weight_bytes;
    /// The number format of weights and activations.
    const char *dtype;
    /// The number format of cached keys and values.
    const char *kv_dtype;
    /// The quantisation of the weights, or `NULL`.
    const char *quantization;
    /// The id of the device of the first rank.
    const char *device;
    /// The number of CPU threads.
    uint32_t threads;
    /// How the model is split.
    llem_parallelism parallelism;
    /// The ranks, in order.
    llem_ranks ranks;
    /// The maximum number of tokens of a sequence.
    uint32_t context_length;
    /// The number of tokens in the vocabulary.
    uint32_t vocab_size;
    /// The number of layers.
    uint32_t layers;
    /// The size of the hidden state.
    uint32_t hidden_size;
    /// The size of the intermediate layer of the MLP, if there is one.
    llem_optional_u32 intermediate_size;
    /// The number of attention heads.
    uint32_t heads;
    /// The number of key and value heads.
    uint32_t kv_heads;
    /// The size of an attention head.
    uint32_t head_size;
    /// The number of experts in a layer. It is 0 for dense models.
    uint32_t experts;
    /// The number of experts that a token uses.
    uint32_t experts_per_token;
    /// The size of the intermediate layer of an expert.
    llem_optional_u32 expert_size;
    /// Whether the LM head shares the weights of the embeddings.
    bool has_tied_embeddings;
    /// The attention window of each layer. Absent means the whole context.
    llem_attention_windows attention_windows;
    /// The memory of the keys and values of one token, in bytes.
    uint64_t kv_bytes_per_token;
    /// The end-of-sequence tokens.
    llem_tokens eos_tokens;
    /// Whether the model has a tokenizer.
    bool has_tokenizer;
    /// The time that loading took, in ns.
    uint64_t load_time;
} llem_model_info;

/// A loaded model. Copies share one model.
typedef struct llem_model {
    int32_t handle;
} llem_model;

/// Loads a model. Loading is a phase of its own and is never included in measured totals. `NULL` means all defaults.
llem_result llem_model_load(const llem_load_options *options, llem_model *model);

/// Loads the model that the user granted on the command line (`--model SOURCE`), with the command line's options.
llem_result llem_model_load_granted(llem_model *model);

/// Loads the model that the user granted under this name (`--model NAME=SOURCE`), or a synthetic one
/// (`synthetic:PRESET`).
llem_result llem_model_load_named(const char *name, llem_model *model);

/// Frees the model. Its memory is free as soon as no batch of it is open.
void llem_model_drop(llem_model model);

/// Returns the properties of the model.
llem_model_info llem_model_get_info(llem_model model);

/// Generates tokens for a static batch. Prefill and decode are timed separately.
llem_result llem_model_generate(llem_model model, const llem_request *request, llem_generation *generation);

/// A continuation that is scored after a context.
typedef struct llem_score_request {
    llem_tokens context;
    llem_tokens continuation;
} llem_score_request;

LLEM_LIST(llem_score_requests, llem_score_request);

/// The score of a continuation.
typedef struct llem_score {
    /// The natural logarithm of the probability of each token.
    llem_numbers log_likelihoods;
    /// Whether greedy decoding would have generated the continuation.
    bool is_greedy;
} llem_score;

LLEM_LIST(llem_scores, llem_score);

/// The scores of continuations that were scored together.
typedef struct llem_scoring {
    /// One score for each continuation, in order.
    llem_scores scores;
    /// The time and energy of exactly this scoring.
    llem_measurement measurement;
} llem_scoring;

/// Computes the log-likelihoods of given continuations.
llem_result llem_model_score(llem_model model, const llem_score_requests *requests, llem_scoring *scoring);

/// Computes the log-likelihoods of whole texts of any length, one score for each text. Every token is scored once, after
/// as many previous tokens as the context holds, and the first one after `prefix` (lm-evaluation-harness'
/// `loglikelihood_rolling`).
llem_result llem_model_score_rolling(llem_model model, const llem_token_lists *texts, uint32_t prefix,
                                     llem_scoring *scoring);

/// An attached LoRA adapter. It does not change when the adapter is merged or detached later.
typedef struct llem_adapter_info {
    /// The name by which requests choose the adapter.
    const char *name;
    /// The source after it was resolved.
    const char *source;
    /// A digest of the adapter's config and tensors, with the same prefixes as a model's digest.
    const char *digest;
    /// The model that the adapter's config says it was trained on, or `NULL`.
    const char *base_model;
    /// The highest rank of the adapter's factors. It is 0 if the adapter only replaces whole weights.
    uint32_t rank;
    /// Whether the adapter splits weights into magnitude and direction (DoRA).
    bool is_dora;
    /// The number of modules that the adapter changes.
    uint32_t modules;
    /// The number of parameters in the adapter.
    uint64_t parameters;
    /// The memory that the parameters take, in bytes.
    uint64_t weight_bytes;
    /// Operations that the unmerged adapter adds for each token that is run, in FLOP.
    double flops_per_token;
    /// Operations that the unmerged adapter adds for each position whose logits are computed, in FLOP.
    double flops_per_logits;
    /// Whether the adapter is merged into the weights.
    bool is_merged;
    /// The time that attaching took, in ns.
    uint64_t attach_time;
} llem_adapter_info;

LLEM_LIST(llem_adapter_infos, llem_adapter_info);

/// Attaches a LoRA adapter in PEFT's format, without merging it. The source is a name or source that was granted with
/// `--adapter`, or `synthetic:rank=8,targets=q_proj+v_proj,alpha=16,seed=0`, where only the rank is required.
llem_result llem_model_attach_adapter(llem_model model, const char *source, llem_adapter_info *adapter);

/// Merges an attached adapter into the weights, for all prompts, and returns how long it took, in ns. Only one adapter
/// can be merged at a time. Fails while a batch is open and for quantised weights.
llem_result llem_model_merge_adapter(llem_model model, const char *name, uint64_t *time);

/// Restores the weights bit by bit and returns how long it took, in ns. The adapter stays attached.
llem_result llem_model_unmerge_adapter(llem_model model, const char *name, uint64_t *time);

/// Detaches an adapter, whether it is merged or not. The base weights are restored.
llem_result llem_model_detach_adapter(llem_model model, const char *name);

/// Sets the adapter for scores, and for requests that do not choose one. `NULL` means the base weights.
llem_result llem_model_use_adapter(llem_model model, const char *name);

/// Returns the attached adapters.
llem_adapter_infos llem_model_adapters(llem_model model);

#endif
