#include "llem/model.h"
#include "convert.h"

/// Returns the result of a function of a model that returns text.
#define TEXT(name) text_of(from, WIT(models_method_model_##name))
/// Returns the result of a function of a model that returns a number.
#define NUMBER(name) WIT(models_method_model_##name)(from)

static WIT(models_borrow_model_t) borrow(llem_model model) {
    return (WIT(models_borrow_model_t)){model.handle};
}

static const char *text_of(WIT(models_borrow_model_t) from,
                           void (*function)(WIT(models_borrow_model_t), host_string_t *)) {
    host_string_t text;
    function(from, &text);
    return text_from(text);
}

llem_result llem_model_load(const llem_load_options *options, llem_model *model) {
    llem_load_options from = options != NULL ? *options : (llem_load_options){0};
    WIT(models_own_load_options_t) own = WIT(models_constructor_load_options)();
    WIT(models_borrow_load_options_t) to = WIT(models_borrow_load_options)(own);
    if (from.model != NULL) {
        host_string_t text = wit_text(from.model);
        WIT(models_method_load_options_set_model)(to, &text);
    }
    if (from.dtype != NULL) {
        host_string_t text = wit_text(from.dtype);
        WIT(models_method_load_options_set_dtype)(to, &text);
    }
    if (from.kv_dtype != NULL) {
        host_string_t text = wit_text(from.kv_dtype);
        WIT(models_method_load_options_set_kv_dtype)(to, &text);
    }
    if (from.device != NULL) {
        host_string_t text = wit_text(from.device);
        WIT(models_method_load_options_set_device)(to, &text);
    }
    if (from.threads.is_some) {
        WIT(models_method_load_options_set_threads)(to, from.threads.value);
    }
    if (from.parallelism != NULL) {
        const llem_parallelism *split = from.parallelism;
        WIT(models_method_load_options_set_ranks)(to, split->tensor, split->pipeline, split->data);
    }
    if (from.whole_experts) {
        WIT(models_method_load_options_set_whole_experts)(to, true);
    }
    if (from.sharded_adapters) {
        WIT(models_method_load_options_set_sharded_adapters)(to, true);
    }
    if (from.microbatches.is_some) {
        WIT(models_method_load_options_set_microbatches)(to, from.microbatches.value);
    }
    if (from.seed.is_some) {
        WIT(models_method_load_options_set_seed)(to, from.seed.value);
    }
    WIT(models_own_model_t) loaded;
    WIT(models_error_t) error;
    llem_result result = result_from(WIT(models_static_model_load)(to, &loaded, &error), &error);
    WIT(models_load_options_drop_own)(own);
    LLEM_TRY(result);
    *model = (llem_model){loaded.__handle};
    return LLEM_OK;
}

llem_result llem_model_load_granted(llem_model *model) {
    return llem_model_load(NULL, model);
}

llem_result llem_model_load_named(const char *name, llem_model *model) {
    return llem_model_load(&(llem_load_options){.model = name}, model);
}

void llem_model_drop(llem_model model) {
    WIT(models_model_drop_own)((WIT(models_own_model_t)){model.handle});
}

llem_model_info llem_model_get_info(llem_model model) {
    return model_info_from(borrow(model));
}

llem_model_info model_info_from(WIT(models_borrow_model_t) from) {
    WIT(models_parallelism_t) parallelism;
    WIT(models_list_rank_t) ranks;
    WIT(models_list_token_id_t) eos_tokens;
    WIT(models_own_tokenizer_t) tokenizer;
    host_list_option_u32_t windows;
    host_string_t quantization;
    WIT(models_method_model_parallelism)(from, &parallelism);
    WIT(models_method_model_ranks)(from, &ranks);
    WIT(models_method_model_eos_tokens)(from, &eos_tokens);
    WIT(models_method_model_attention_windows)(from, &windows);
    bool has_tokenizer = WIT(models_method_model_tokenizer)(from, &tokenizer);
    if (has_tokenizer) {
        WIT(models_tokenizer_drop_own)(tokenizer);
    }
    llem_model_info to = {
        .source = TEXT(source),
        .architecture = TEXT(architecture),
        .digest = TEXT(digest),
        .parameters = NUMBER(parameters),
        .parameters_without_embeddings = NUMBER(parameters_without_embeddings),
        .weight_bytes = NUMBER(weight_bytes),
        .decode_weight_bytes = NUMBER(decode_weight_bytes),
        .dtype = TEXT(dtype),
        .kv_dtype = TEXT(kv_dtype),
        .quantization = WIT(models_method_model_quantization)(from, &quantization) ? text_from(quantization) : NULL,
        .device = TEXT(device),
        .threads = NUMBER(threads),
        .parallelism = {parallelism.tensor, parallelism.pipeline, parallelism.data},
        .context_length = NUMBER(context_length),
        .vocab_size = NUMBER(vocab_size),
        .layers = NUMBER(layers),
        .hidden_size = NUMBER(hidden_size),
        .heads = NUMBER(heads),
        .kv_heads = NUMBER(kv_heads),
        .head_size = NUMBER(head_size),
        .experts = NUMBER(experts),
        .experts_per_token = NUMBER(experts_per_token),
        .has_tied_embeddings = NUMBER(has_tied_embeddings),
        .kv_bytes_per_token = NUMBER(kv_bytes_per_token),
        .eos_tokens = LIST_FROM(eos_tokens),
        .has_tokenizer = has_tokenizer,
        .load_time = NUMBER(load_time),
    };
    to.intermediate_size.is_some = WIT(models_method_model_intermediate_size)(from, &to.intermediate_size.value);
    to.expert_size.is_some = WIT(models_method_model_expert_size)(from, &to.expert_size.value);
    for (size_t index = 0; index < ranks.len; index++) {
        WIT(models_rank_t) rank = ranks.ptr[index];
        llem_push(&to.ranks, (llem_rank){text_from(rank.device), rank.first_layer, rank.layers, rank.weight_bytes});
    }
    for (size_t index = 0; index < windows.len; index++) {
        host_option_u32_t window = windows.ptr[index];
        llem_push(&to.attention_windows, (llem_optional_u32){window.is_some, window.is_some ? window.val : 0});
    }
    return to;
}

llem_result llem_model_generate(llem_model model, const llem_request *request, llem_generation *generation) {
    WIT(requests_own_request_t) own = wit_request(request);
    WIT(models_own_generation_t) made;
    WIT(models_error_t) error;
    WIT(models_borrow_request_t) asked = WIT(requests_borrow_request)(own);
    bool is_ok = WIT(models_method_model_generate)(borrow(model), asked, &made, &error);
    WIT(requests_request_drop_own)(own);
    LLEM_TRY(result_from(is_ok, &error));
    *generation = *generation_from(made);
    return LLEM_OK;
}

static llem_scoring scoring_from(WIT(models_own_scoring_t) own) {
    WIT(generations_borrow_scoring_t) from = WIT(generations_borrow_scoring)(own);
    WIT(generations_list_score_t) scores;
    WIT(generations_method_scoring_scores)(from, &scores);
    llem_scoring to = {.measurement = measurement_from(WIT(generations_method_scoring_measurement)(from))};
    for (size_t index = 0; index < scores.len; index++) {
        WIT(generations_score_t) one = scores.ptr[index];
        llem_push(&to.scores, (llem_score){LIST_FROM(one.log_likelihoods), one.is_greedy});
    }
    WIT(generations_scoring_drop_own)(own);
    return to;
}

llem_result llem_model_score(llem_model model, const llem_score_requests *requests, llem_scoring *scoring) {
    WIT(generations_score_request_t) *asked = llem_alloc(requests->count * sizeof *asked);
    for (size_t index = 0; index < requests->count; index++) {
        asked[index] = (WIT(generations_score_request_t)){
            .context = WIT_LIST(requests->items[index].context),
            .continuation = WIT_LIST(requests->items[index].continuation),
        };
    }
    WIT(models_list_score_request_t) list = {asked, requests->count};
    WIT(models_own_scoring_t) own;
    WIT(models_error_t) error;
    LLEM_TRY(result_from(WIT(models_method_model_score)(borrow(model), &list, &own, &error), &error));
    *scoring = scoring_from(own);
    return LLEM_OK;
}

llem_result llem_model_score_rolling(llem_model model, const llem_token_lists *texts, uint32_t prefix,
                                     llem_scoring *scoring) {
    WIT(models_list_token_id_t) *lists = llem_alloc(texts->count * sizeof *lists);
    for (size_t index = 0; index < texts->count; index++) {
        lists[index] = (WIT(models_list_token_id_t))WIT_LIST(texts->items[index]);
    }
    WIT(models_list_list_token_id_t) list = {lists, texts->count};
    WIT(models_own_scoring_t) own;
    WIT(models_error_t) error;
    LLEM_TRY(result_from(WIT(models_method_model_score_rolling)(borrow(model), &list, prefix, &own, &error), &error));
    *scoring = scoring_from(own);
    return LLEM_OK;
}
