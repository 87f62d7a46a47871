#include "convert.h"
#include "llem/inputs.h"

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
