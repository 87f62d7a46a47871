/// Conversions between the types of the bindings and those of the SDK.
///
/// All lists and texts that the host returns are in the current arena already (`memory.c` has `cabi_realloc`), with a
/// NUL after each of them, so most of them are used as they are.
#ifndef LLEM_CONVERT_H
#define LLEM_CONVERT_H

#include "host.h"
#include "llem/policy.h"

#include <string.h>

/// The name of a type or function of the bindings: `WIT(meter_now)()`.
#define WIT(name) llem_experiment_##name

/// A list of the SDK from a list of the bindings whose items have the same layout.
#define LIST_FROM(wit) {.items = (void *)(wit).ptr, .count = (wit).len}

/// The initialiser of a list of the bindings from a list of the SDK whose items have the same layout.
#define WIT_LIST(list) {.ptr = (void *)(list).items, .len = (list).count}

/// A pointer to the value of an optional argument, or `NULL`.
#define MAYBE(optional) ((optional).is_some ? &(optional).value : NULL)

static inline const char *text_from(host_string_t text) {
    return text.len > 0 ? (const char *)text.ptr : "";
}

static inline host_string_t wit_text(const char *text) {
    return (host_string_t){.ptr = (uint8_t *)text, .len = strlen(text)};
}

/// Returns the result of a call of the bindings.
static inline llem_result result_from(bool is_ok, const WIT(types_error_t) *error) {
    return is_ok ? LLEM_OK : llem_fail((llem_error_code)error->code, "%s", text_from(error->message));
}

llem_quantity quantity_from(WIT(types_quantity_t) quantity);
llem_reading reading_from(WIT(types_reading_t) reading);
llem_texts texts_from(host_list_string_t texts);
llem_value value_from(WIT(types_value_t) value);
WIT(types_quantity_t) wit_quantity(llem_quantity quantity);
WIT(types_value_t) wit_value(llem_value value);
host_list_string_t wit_texts(llem_texts texts);

/// These functions take the resource, and drop it.
llem_measurement measurement_from(WIT(meter_own_measurement_t) measurement);
llem_completion completion_from(WIT(generations_own_completion_t) completion);
llem_generation *generation_from(WIT(generations_own_generation_t) generation);

llem_request request_from(WIT(requests_borrow_request_t) request);
WIT(requests_own_request_t) wit_request(const llem_request *request);
WIT(requests_chat_t) wit_chat(const llem_chat *chat);
WIT(batches_own_batch_options_t) wit_batch_options(const llem_batch_options *options);
WIT(report_metric_t) wit_metric(const llem_metric *metric);
llem_model_info model_info_from(WIT(models_borrow_model_t) model);

#endif
