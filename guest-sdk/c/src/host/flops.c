#include "llem/flops.h"
#include "convert.h"

static llem_flops_by_part parts_of(WIT(flops_borrow_estimate_t) from,
                                   void (*function)(WIT(flops_borrow_estimate_t), WIT(flops_list_part_t) *)) {
    WIT(flops_list_part_t) list;
    function(from, &list);
    llem_flops_by_part parts = {0};
    for (size_t index = 0; index < list.len; index++) {
        WIT(flops_part_t) one = list.ptr[index];
        llem_push(&parts, (llem_flops_part){text_from(one.name), one.prefill, one.decode});
    }
    return parts;
}

llem_result llem_estimate_flops(llem_model model, const llem_shape *shape, llem_flops_estimate *estimate) {
    WIT(flops_own_shape_t) own_shape =
        WIT(flops_constructor_shape)(shape->batch, shape->prompt_tokens, shape->new_tokens);
    WIT(flops_borrow_shape_t) on_host = WIT(flops_borrow_shape)(own_shape);
    host_string_t adapter = wit_text(shape->adapter != NULL ? shape->adapter : "");
    WIT(flops_method_shape_set_all_logits)(on_host, shape->all_logits);
    WIT(flops_method_shape_set_adapter)(on_host, shape->adapter != NULL ? &adapter : NULL);
    WIT(flops_own_estimate_t) own;
    WIT(flops_error_t) error;
    bool is_ok = WIT(flops_static_estimate_of)((WIT(flops_borrow_model_t)){model.handle}, on_host, &own, &error);
    WIT(flops_shape_drop_own)(own_shape);
    LLEM_TRY(result_from(is_ok, &error));
    WIT(flops_borrow_estimate_t) from = WIT(flops_borrow_estimate)(own);
    WIT(flops_approximation_t) approximation;
    WIT(flops_method_estimate_approximation)(from, &approximation);
    *estimate = (llem_flops_estimate){
        .needed = parts_of(from, WIT(flops_method_estimate_needed)),
        .executed = parts_of(from, WIT(flops_method_estimate_executed)),
        .modules = parts_of(from, WIT(flops_method_estimate_modules)),
        .active_parameters = approximation.active_parameters,
        .approximate_prefill = approximation.prefill,
        .approximate_decode = approximation.decode,
    };
    WIT(flops_estimate_drop_own)(own);
    return LLEM_OK;
}

static const llem_flops_part *find_part(const llem_flops_by_part *parts, const char *name) {
    for (size_t index = 0; index < parts->count; index++) {
        if (strcmp(parts->items[index].name, name) == 0) {
            return &parts->items[index];
        }
    }
    return NULL;
}

double llem_flops_prefill(const llem_flops_by_part *parts, const char *name) {
    const llem_flops_part *part = find_part(parts, name);
    return part != NULL ? part->prefill : 0.0;
}

double llem_flops_decode(const llem_flops_by_part *parts, const char *name) {
    const llem_flops_part *part = find_part(parts, name);
    return part != NULL ? part->decode : 0.0;
}

double llem_flops_total(const llem_flops_by_part *parts) {
    double sum = 0.0;
    for (size_t index = 0; index < parts->count; index++) {
        sum += parts->items[index].prefill + parts->items[index].decode;
    }
    return sum;
}
