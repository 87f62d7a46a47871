#include "about.h"

WIT(description_own_about_t) wit_about(const llem_about *about) {
    host_string_t name = wit_text(about->name), version = wit_text(about->version), summary = wit_text(about->summary);
    WIT(description_own_about_t) own = WIT(description_constructor_about)(&name, &version, &summary);
    WIT(description_borrow_about_t) to = WIT(description_borrow_about)(own);
    for (size_t index = 0; index < about->parameters.count; index++) {
        llem_about_parameter parameter = about->parameters.items[index];
        WIT(description_parameter_t) wit = {
            wit_text(parameter.name),
            wit_text(parameter.summary),
            wit_value(parameter.default_value),
        };
        WIT(description_method_about_add_parameter)(to, &wit);
    }
    for (size_t index = 0; index < about->datasets.count; index++) {
        llem_about_dataset dataset = about->datasets.items[index];
        WIT(description_dataset_input_t) wit = {wit_text(dataset.name), wit_text(dataset.summary), dataset.required};
        WIT(description_method_about_add_dataset)(to, &wit);
    }
    WIT(description_method_about_set_clocks)
    (to, about->monotonic_clocks ? LLEM_EXPERIMENT_DESCRIPTION_CLOCKS_MONOTONIC
                                 : LLEM_EXPERIMENT_DESCRIPTION_CLOCKS_SEEDED);
    return own;
}

bool export_result(llem_result result, WIT(types_error_t) *error) {
    if (result != LLEM_OK) {
        *error = (WIT(types_error_t)){(WIT(types_error_code_t))result->code, wit_text(result->message)};
    }
    return result == LLEM_OK;
}
