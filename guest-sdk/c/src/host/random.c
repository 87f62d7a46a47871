#include "convert.h"
#include "llem/inputs.h"
#include "llem/tokenizer.h"

static WIT(inputs_borrow_random_t) borrow(llem_random random) {
    return (WIT(inputs_borrow_random_t)){random.handle};
}

llem_random llem_random_new(const char *name) {
    host_string_t text = wit_text(name);
    return (llem_random){WIT(inputs_constructor_random)(&text).__handle};
}

uint64_t llem_random_next_u64(llem_random random) {
    return WIT(inputs_method_random_next_u64)(borrow(random));
}

double llem_random_next_f64(llem_random random) {
    return WIT(inputs_method_random_next_f64)(borrow(random));
}

llem_result llem_random_many_u64(llem_random random, uint32_t count, llem_times *numbers) {
    host_list_u64_t list;
    WIT(inputs_error_t) error;
    LLEM_TRY(result_from(WIT(inputs_method_random_many_u64)(borrow(random), count, &list, &error), &error));
    *numbers = (llem_times)LIST_FROM(list);
    return LLEM_OK;
}

llem_result llem_random_many_f64(llem_random random, uint32_t count, llem_numbers *numbers) {
    host_list_f64_t list;
    WIT(inputs_error_t) error;
    LLEM_TRY(result_from(WIT(inputs_method_random_many_f64)(borrow(random), count, &list, &error), &error));
    *numbers = (llem_numbers)LIST_FROM(list);
    return LLEM_OK;
}

llem_result llem_random_tokens(llem_random random, uint32_t count, uint32_t vocabulary, llem_tokens *tokens) {
    WIT(inputs_list_token_id_t) list;
    WIT(inputs_error_t) error;
    LLEM_TRY(result_from(WIT(inputs_method_random_tokens)(borrow(random), count, vocabulary, &list, &error), &error));
    *tokens = (llem_tokens)LIST_FROM(list);
    return LLEM_OK;
}

static double next_uniform(void *self) {
    return llem_random_next_f64(*(llem_random *)self);
}

llem_uniform_source llem_random_source(llem_random *random) {
    return (llem_uniform_source){next_uniform, random};
}

llem_result llem_random_pick(llem_random random, size_t count, const llem_tokens *items, llem_tokens *picked) {
    return llem_draw_pick(count, items, llem_random_source(&random), picked);
}

llem_result llem_random_sample(llem_random random, uint32_t count, uint32_t population, llem_tokens *numbers) {
    return llem_draw_sample(count, population, llem_random_source(&random), numbers);
}

void llem_random_shuffle(llem_random random, void *items, size_t count, size_t size) {
    llem_draw_shuffle(items, count, size, llem_random_source(&random));
}

llem_result llem_model_random_prompts(llem_model model, llem_random random, const llem_tokens *lengths,
                                      llem_token_lists *prompts) {
    llem_tokens tokens;
    LLEM_TRY(llem_model_ordinary_tokens(model, &tokens));
    llem_token_lists list = {0};
    for (size_t index = 0; index < lengths->count; index++) {
        llem_tokens prompt;
        LLEM_TRY(llem_random_pick(random, lengths->items[index], &tokens, &prompt));
        llem_push(&list, prompt);
    }
    *prompts = list;
    return LLEM_OK;
}
