#include "llem/batch.h"
#include "convert.h"

static WIT(batches_borrow_batch_t) borrow(llem_batch batch) {
    return (WIT(batches_borrow_batch_t)){batch.handle};
}

WIT(batches_own_batch_options_t) wit_batch_options(const llem_batch_options *options) {
    llem_batch_options from = *options;
    WIT(batches_own_batch_options_t) own = WIT(batches_constructor_batch_options)(from.max_sequences);
    WIT(batches_borrow_batch_options_t) to = WIT(batches_borrow_batch_options)(own);
    WIT(batches_method_batch_options_set_max_tokens)(to, MAYBE(from.max_tokens));
    if (from.prefill_chunk.is_some) {
        WIT(batches_method_batch_options_set_prefill_chunk)(to, from.prefill_chunk.value);
    }
    WIT(batches_method_batch_options_set_max_rows)(to, MAYBE(from.max_rows));
    WIT(batches_method_batch_options_set_refuses_when_full)(to, from.refuses_when_full);
    WIT(batches_method_batch_options_set_prefix_cache)(to, from.prefix_cache);
    return own;
}

llem_result llem_model_open_batch(llem_model model, llem_batch_options options, llem_batch *batch) {
    WIT(batches_own_batch_options_t) given = wit_batch_options(&options);
    WIT(models_own_batch_t) own;
    WIT(models_error_t) error;
    bool is_ok = WIT(models_method_model_open_batch)((WIT(models_borrow_model_t)){model.handle},
                                                     WIT(batches_borrow_batch_options)(given), &own, &error);
    WIT(batches_batch_options_drop_own)(given);
    LLEM_TRY(result_from(is_ok, &error));
    *batch = (llem_batch){own.__handle};
    return LLEM_OK;
}

void llem_batch_drop(llem_batch batch) {
    WIT(batches_batch_drop_own)((WIT(batches_own_batch_t)){batch.handle});
}

llem_result llem_batch_submit(llem_batch batch, const llem_request *request, llem_optional_u64 arrival,
                              llem_times *sequences) {
    WIT(requests_own_request_t) own = wit_request(request);
    WIT(requests_borrow_request_t) asked = WIT(requests_borrow_request)(own);
    host_list_u64_t list;
    WIT(batches_error_t) error;
    bool is_ok = WIT(batches_method_batch_submit)(borrow(batch), asked, MAYBE(arrival), &list, &error);
    WIT(requests_request_drop_own)(own);
    LLEM_TRY(result_from(is_ok, &error));
    *sequences = (llem_times)LIST_FROM(list);
    return LLEM_OK;
}

llem_result llem_batch_submit_after(llem_batch batch, uint64_t sequence, bool fork, const llem_request *request,
                                    llem_optional_u64 arrival, uint64_t *continued) {
    WIT(requests_own_request_t) own = wit_request(request);
    WIT(requests_borrow_request_t) asked = WIT(requests_borrow_request)(own);
    WIT(batches_error_t) error;
    bool is_ok = WIT(batches_method_batch_submit_after)(borrow(batch), sequence, fork, asked, MAYBE(arrival), continued,
                                                        &error);
    WIT(requests_request_drop_own)(own);
    return result_from(is_ok, &error);
}

llem_result llem_batch_release(llem_batch batch, uint64_t sequence) {
    WIT(batches_error_t) error;
    return result_from(WIT(batches_method_batch_release)(borrow(batch), sequence, &error), &error);
}

static llem_progress progress_from(WIT(batches_own_progress_t) own) {
    WIT(batches_borrow_progress_t) from = WIT(batches_borrow_progress)(own);
    WIT(batches_list_step_token_t) tokens;
    WIT(batches_list_own_completion_t) ended;
    WIT(batches_method_progress_tokens)(from, &tokens);
    WIT(batches_method_progress_ended)(from, &ended);
    llem_progress to = {
        .steps = WIT(batches_method_progress_steps)(from),
        .tokens = LIST_FROM(tokens),
        .prompt_tokens = WIT(batches_method_progress_prompt_tokens)(from),
        .started = WIT(batches_method_progress_started)(from),
        .finished = WIT(batches_method_progress_finished)(from),
    };
    for (size_t index = 0; index < ended.len; index++) {
        llem_push(&to.ended, completion_from(ended.ptr[index]));
    }
    WIT(batches_progress_drop_own)(own);
    return to;
}

llem_result llem_batch_step(llem_batch batch, llem_progress *progress) {
    WIT(batches_own_progress_t) own;
    WIT(batches_error_t) error;
    LLEM_TRY(result_from(WIT(batches_method_batch_step)(borrow(batch), &own, &error), &error));
    *progress = progress_from(own);
    return LLEM_OK;
}

llem_result llem_batch_run_until(llem_batch batch, uint64_t time, llem_progress *progress) {
    WIT(batches_own_progress_t) own;
    WIT(batches_error_t) error;
    LLEM_TRY(result_from(WIT(batches_method_batch_run_until)(borrow(batch), time, &own, &error), &error));
    *progress = progress_from(own);
    return LLEM_OK;
}

llem_result llem_batch_run_until_end(llem_batch batch, llem_progress *progress) {
    WIT(batches_own_progress_t) own;
    WIT(batches_error_t) error;
    LLEM_TRY(result_from(WIT(batches_method_batch_run_until_end)(borrow(batch), &own, &error), &error));
    *progress = progress_from(own);
    return LLEM_OK;
}

llem_result llem_batch_run_until_token(llem_batch batch, llem_progress *progress) {
    WIT(batches_own_progress_t) own;
    WIT(batches_error_t) error;
    LLEM_TRY(result_from(WIT(batches_method_batch_run_until_token)(borrow(batch), &own, &error), &error));
    *progress = progress_from(own);
    return LLEM_OK;
}

llem_result llem_batch_drain(llem_batch batch, llem_completions *ended) {
    WIT(batches_list_own_completion_t) list;
    WIT(batches_error_t) error;
    LLEM_TRY(result_from(WIT(batches_method_batch_drain)(borrow(batch), &list, &error), &error));
    *ended = (llem_completions){0};
    for (size_t index = 0; index < list.len; index++) {
        llem_push(ended, completion_from(list.ptr[index]));
    }
    return LLEM_OK;
}

llem_result llem_batch_cancel(llem_batch batch, uint64_t sequence) {
    WIT(batches_error_t) error;
    return result_from(WIT(batches_method_batch_cancel)(borrow(batch), sequence, &error), &error);
}

llem_result llem_batch_choose(llem_batch batch, uint64_t sequence, uint32_t token) {
    WIT(batches_error_t) error;
    return result_from(WIT(batches_method_batch_choose)(borrow(batch), sequence, token, &error), &error);
}

llem_batch_status llem_batch_get_status(llem_batch batch) {
    WIT(batches_borrow_batch_t) from = borrow(batch);
    return (llem_batch_status){
        .running = WIT(batches_method_batch_running)(from),
        .waiting = WIT(batches_method_batch_waiting)(from),
        .scheduled = WIT(batches_method_batch_scheduled)(from),
        .kv_bytes = WIT(batches_method_batch_kv_bytes)(from),
        .kv_capacity = WIT(batches_method_batch_kv_capacity)(from),
        .kv_used = WIT(batches_method_batch_kv_used)(from),
        .prefix_queries = WIT(batches_method_batch_prefix_queries)(from),
        .prefix_hits = WIT(batches_method_batch_prefix_hits)(from),
    };
}

llem_result llem_batch_sequence_energy(llem_batch batch, uint64_t sequence, llem_reading *energy) {
    WIT(batches_reading_t) reading;
    WIT(batches_error_t) error;
    LLEM_TRY(result_from(WIT(batches_method_batch_sequence_energy)(borrow(batch), sequence, &reading, &error), &error));
    *energy = reading_from(reading);
    return LLEM_OK;
}

llem_result llem_batch_logits(llem_batch batch, uint64_t sequence, llem_logits *logits) {
    WIT(batches_own_logits_t) own;
    WIT(batches_error_t) error;
    LLEM_TRY(result_from(WIT(batches_method_batch_logits)(borrow(batch), sequence, &own, &error), &error));
    *logits = (llem_logits){own.__handle};
    return LLEM_OK;
}

void llem_logits_drop(llem_logits logits) {
    WIT(batches_logits_drop_own)((WIT(batches_own_logits_t)){logits.handle});
}

llem_token_logits llem_logits_top(llem_logits logits, uint32_t count) {
    WIT(batches_list_token_logit_t) list;
    WIT(batches_method_logits_top)((WIT(batches_borrow_logits_t)){logits.handle}, count, &list);
    return (llem_token_logits)LIST_FROM(list);
}

llem_result llem_logits_of_tokens(llem_logits logits, llem_tokens tokens, llem_token_logits *to) {
    WIT(batches_list_token_id_t) given = WIT_LIST(tokens);
    WIT(batches_list_token_logit_t) list;
    WIT(batches_error_t) error;
    WIT(batches_borrow_logits_t) from = {logits.handle};
    LLEM_TRY(result_from(WIT(batches_method_logits_of_tokens)(from, &given, &list, &error), &error));
    *to = (llem_token_logits)LIST_FROM(list);
    return LLEM_OK;
}

llem_floats llem_logits_all(llem_logits logits) {
    host_list_f32_t list;
    WIT(batches_method_logits_all)((WIT(batches_borrow_logits_t)){logits.handle}, &list);
    return (llem_floats)LIST_FROM(list);
}

double llem_logits_entropy(llem_logits logits) {
    return WIT(batches_method_logits_entropy)((WIT(batches_borrow_logits_t)){logits.handle});
}
