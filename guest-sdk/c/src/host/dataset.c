#include "llem/inputs.h"
#include "convert.h"

#include <math.h>

static WIT(inputs_borrow_dataset_t) borrow(llem_dataset dataset) {
    return (WIT(inputs_borrow_dataset_t)){dataset.handle};
}

static llem_row row_from(WIT(inputs_row_t) from) {
    llem_row to = {.index = from.index};
    for (size_t index = 0; index < from.fields.len; index++) {
        WIT(inputs_tuple2_string_value_t) field = from.fields.ptr[index];
        llem_push(&to.fields, (llem_field){text_from(field.f0), value_from(field.f1)});
    }
    return to;
}

llem_result llem_dataset_open(const char *name, llem_dataset *dataset) {
    host_string_t text = wit_text(name);
    WIT(inputs_own_dataset_t) own;
    WIT(inputs_error_t) error;
    LLEM_TRY(result_from(WIT(inputs_static_dataset_open)(&text, &own, &error), &error));
    *dataset = (llem_dataset){own.__handle};
    return LLEM_OK;
}

llem_result llem_dataset_open_if_granted(const char *name, bool *is_granted, llem_dataset *dataset) {
    llem_result result = llem_dataset_open(name, dataset);
    *is_granted = result == LLEM_OK;
    return result != LLEM_OK && result->code == LLEM_NOT_GRANTED ? LLEM_OK : result;
}

llem_result llem_dataset_next(llem_dataset dataset, bool *has_row, llem_row *row) {
    WIT(inputs_option_row_t) next;
    WIT(inputs_error_t) error;
    LLEM_TRY(result_from(WIT(inputs_method_dataset_next)(borrow(dataset), &next, &error), &error));
    *has_row = next.is_some;
    if (next.is_some) {
        *row = row_from(next.val);
    }
    return LLEM_OK;
}

llem_result llem_dataset_next_rows(llem_dataset dataset, uint32_t most, llem_rows *rows) {
    WIT(inputs_list_row_t) list;
    WIT(inputs_error_t) error;
    LLEM_TRY(result_from(WIT(inputs_method_dataset_next_rows)(borrow(dataset), most, &list, &error), &error));
    *rows = (llem_rows){0};
    for (size_t index = 0; index < list.len; index++) {
        llem_push(rows, row_from(list.ptr[index]));
    }
    return LLEM_OK;
}

llem_result llem_dataset_length(llem_dataset dataset, uint64_t *length) {
    WIT(inputs_error_t) error;
    return result_from(WIT(inputs_method_dataset_length)(borrow(dataset), length, &error), &error);
}

llem_result llem_dataset_rewind(llem_dataset dataset) {
    WIT(inputs_error_t) error;
    return result_from(WIT(inputs_method_dataset_rewind)(borrow(dataset), &error), &error);
}

void llem_dataset_close(llem_dataset dataset) {
    WIT(inputs_dataset_drop_own)((WIT(inputs_own_dataset_t)){dataset.handle});
}

llem_result llem_texts_if_granted(const char *dataset, const char *parameter, bool *is_granted, llem_texts *texts) {
    llem_dataset opened;
    LLEM_TRY(llem_dataset_open_if_granted(dataset, is_granted, &opened));
    if (!*is_granted) {
        return LLEM_OK;
    }
    llem_dataset_close(opened);
    const char *column;
    LLEM_TRY(llem_parameter_text(parameter, &column));
    llem_result result = llem_dataset_open(llem_format("%s#%s", dataset, column), &opened);
    if (result != LLEM_OK && result->code == LLEM_NOT_FOUND) {
        return llem_fail(LLEM_INVALID_ARGUMENT, "%s: choose one with -p %s=NAME", result->message, parameter);
    }
    LLEM_TRY(result);
    *texts = (llem_texts){0};
    llem_row row;
    for (bool has_row = true; has_row;) {
        LLEM_TRY(llem_dataset_next(opened, &has_row, &row));
        if (has_row) {
            const char *text;
            LLEM_TRY(llem_row_text(&row, column, &text));
            llem_push(texts, text);
        }
    }
    llem_dataset_close(opened);
    return LLEM_OK;
}

llem_result llem_arrivals_trace_from_dataset(const char *dataset, const char *column, llem_arrivals *arrivals) {
    llem_dataset opened;
    llem_times offsets = {0};
    llem_row row;
    LLEM_TRY(llem_dataset_open(dataset, &opened));
    for (bool has_row = true; has_row;) {
        LLEM_TRY(llem_dataset_next(opened, &has_row, &row));
        if (has_row) {
            double seconds;
            LLEM_TRY(llem_row_f64(&row, column, &seconds));
            if (seconds < 0.0) {
                return llem_fail(LLEM_INVALID_ARGUMENT, "dataset '%s': '%s' is %g s, which is negative", dataset, column,
                                 seconds);
            }
            llem_push(&offsets, llem_nanoseconds(seconds));
        }
    }
    llem_dataset_close(opened);
    *arrivals = llem_arrivals_trace(offsets);
    return LLEM_OK;
}
