// Adapters of a model.

#include "convert.h"
#include "llem/model.h"

static WIT(models_borrow_model_t) borrow(llem_model model) {
    return (WIT(models_borrow_model_t)){model.handle};
}

static const char *text_of(WIT(models_borrow_adapter_t) from,
                           void (*function)(WIT(models_borrow_adapter_t), host_string_t *)) {
    host_string_t text;
    function(from, &text);
    return text_from(text);
}

static llem_adapter_info adapter_from(WIT(models_own_adapter_t) own) {
    WIT(models_borrow_adapter_t) from = WIT(models_borrow_adapter)(own);
    host_string_t base_model;
    llem_adapter_info to = {
        .name = text_of(from, WIT(models_method_adapter_name)),
        .source = text_of(from, WIT(models_method_adapter_source)),
        .digest = text_of(from, WIT(models_method_adapter_digest)),
        .base_model = WIT(models_method_adapter_base_model)(from, &base_model) ? text_from(base_model) : NULL,
        .rank = WIT(models_method_adapter_rank)(from),
        .is_dora = WIT(models_method_adapter_is_dora)(from),
        .modules = WIT(models_method_adapter_modules)(from),
        .parameters = WIT(models_method_adapter_parameters)(from),
        .weight_bytes = WIT(models_method_adapter_weight_bytes)(from),
        .flops_per_token = WIT(models_method_adapter_flops_per_token)(from),
        .flops_per_logits = WIT(models_method_adapter_flops_per_logits)(from),
        .is_merged = WIT(models_method_adapter_is_merged)(from),
        .attach_time = WIT(models_method_adapter_attach_time)(from),
    };
    WIT(models_adapter_drop_own)(own);
    return to;
}

llem_result llem_model_attach_adapter(llem_model model, const char *source, llem_adapter_info *adapter) {
    host_string_t text = wit_text(source);
    WIT(models_own_adapter_t) own;
    WIT(models_error_t) error;
    LLEM_TRY(result_from(WIT(models_method_model_attach_adapter)(borrow(model), &text, &own, &error), &error));
    *adapter = adapter_from(own);
    return LLEM_OK;
}

llem_result llem_model_merge_adapter(llem_model model, const char *name, uint64_t *time) {
    host_string_t text = wit_text(name);
    WIT(models_error_t) error;
    return result_from(WIT(models_method_model_merge_adapter)(borrow(model), &text, time, &error), &error);
}

llem_result llem_model_unmerge_adapter(llem_model model, const char *name, uint64_t *time) {
    host_string_t text = wit_text(name);
    WIT(models_error_t) error;
    return result_from(WIT(models_method_model_unmerge_adapter)(borrow(model), &text, time, &error), &error);
}

llem_result llem_model_detach_adapter(llem_model model, const char *name) {
    host_string_t text = wit_text(name);
    WIT(models_error_t) error;
    return result_from(WIT(models_method_model_detach_adapter)(borrow(model), &text, &error), &error);
}

llem_result llem_model_use_adapter(llem_model model, const char *name) {
    host_string_t text = wit_text(name != NULL ? name : "");
    WIT(models_error_t) error;
    host_string_t *given = name != NULL ? &text : NULL;
    return result_from(WIT(models_method_model_use_adapter)(borrow(model), given, &error), &error);
}

llem_adapter_infos llem_model_adapters(llem_model model) {
    WIT(models_list_own_adapter_t) list;
    WIT(models_method_model_adapters)(borrow(model), &list);
    llem_adapter_infos adapters = {0};
    for (size_t index = 0; index < list.len; index++) {
        llem_push(&adapters, adapter_from(list.ptr[index]));
    }
    return adapters;
}
