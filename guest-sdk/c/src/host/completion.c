#include "convert.h"

static llem_log_probabilities log_probabilities_from(WIT(generations_borrow_completion_t) from) {
    WIT(generations_list_token_log_probabilities_t) list;
    WIT(generations_method_completion_log_probabilities)(from, &list);
    llem_log_probabilities to = {0};
    for (size_t index = 0; index < list.len; index++) {
        WIT(generations_token_log_probabilities_t) one = list.ptr[index];
        llem_push(&to, (llem_token_log_probabilities){
                           .chosen = {one.chosen.token, one.chosen.log_probability},
                           .top = LIST_FROM(one.top),
                       });
    }
    return to;
}

llem_completion completion_from(WIT(generations_own_completion_t) own) {
    WIT(generations_borrow_completion_t) from = WIT(generations_borrow_completion)(own);
    WIT(generations_list_token_id_t) tokens;
    WIT(generations_list_timestamp_ns_t) times;
    WIT(generations_reading_t) energy;
    host_string_t text, finish, adapter;
    WIT(generations_method_completion_tokens)(from, &tokens);
    WIT(generations_method_completion_token_times)(from, &times);
    WIT(generations_method_completion_finish)(from, &finish);
    WIT(generations_method_completion_energy)(from, &energy);
    bool has_text = WIT(generations_method_completion_text)(from, &text);
    bool has_adapter = WIT(generations_method_completion_adapter)(from, &adapter);
    llem_completion to = {
        .sequence = WIT(generations_method_completion_sequence)(from),
        .prompt_tokens = WIT(generations_method_completion_prompt_tokens)(from),
        .cached_tokens = WIT(generations_method_completion_cached_tokens)(from),
        .tokens = LIST_FROM(tokens),
        .text = has_text ? text_from(text) : NULL,
        .text_length = has_text ? text.len : 0,
        .finish = text_from(finish),
        .submitted = WIT(generations_method_completion_submitted)(from),
        .due_in_step = WIT(generations_method_completion_due_in_step)(from),
        .token_times = LIST_FROM(times),
        .log_probabilities = log_probabilities_from(from),
        .adapter = has_adapter ? text_from(adapter) : NULL,
        .energy = reading_from(energy),
    };
    to.admitted.is_some = WIT(generations_method_completion_admitted)(from, &to.admitted.value);
    to.started.is_some = WIT(generations_method_completion_started)(from, &to.started.value);
    WIT(generations_completion_drop_own)(own);
    return to;
}

llem_generation *generation_from(WIT(generations_own_generation_t) own) {
    WIT(generations_borrow_generation_t) from = WIT(generations_borrow_generation)(own);
    WIT(generations_list_own_completion_t) completions;
    WIT(generations_method_generation_completions)(from, &completions);
    llem_generation *to = llem_alloc(sizeof *to);
    *to = (llem_generation){
        .prefill_time = WIT(generations_method_generation_prefill_time)(from),
        .decode_time = WIT(generations_method_generation_decode_time)(from),
        .measurement = measurement_from(WIT(generations_method_generation_measurement)(from)),
    };
    for (size_t index = 0; index < completions.len; index++) {
        llem_push(&to->completions, completion_from(completions.ptr[index]));
    }
    WIT(generations_generation_drop_own)(own);
    return to;
}
