#include "llem/report.h"
#include "convert.h"

#include <stdarg.h>
#include <stdio.h>

/// Formats text as `vprintf` does, in the current arena.
static char *format_list(const char *format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    llem_check(length >= 0);
    char *text = llem_alloc((size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

void llem_log(llem_level level, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    host_string_t message = wit_text(format_list(format, arguments));
    va_end(arguments);
    WIT(report_log)((WIT(report_level_t))level, &message);
}

void llem_warn(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    host_string_t message = wit_text(format_list(format, arguments));
    va_end(arguments);
    WIT(report_warn)(&message);
}

void llem_show_progress(uint64_t done, uint64_t total, const char *label) {
    host_string_t text = wit_text(label);
    WIT(report_show_progress)(done, total, &text);
}

llem_result llem_add_metric(const llem_metric *metric) {
    WIT(report_metric_t) wit = wit_metric(metric);
    WIT(report_error_t) error;
    return result_from(WIT(report_add_metric)(&wit, &error), &error);
}

WIT(report_metric_t) wit_metric(const llem_metric *metric) {
    WIT(report_label_t) *labels = llem_alloc(metric->labels.count * sizeof *labels);
    for (size_t index = 0; index < metric->labels.count; index++) {
        llem_label label = metric->labels.items[index];
        labels[index] = (WIT(report_label_t)){wit_text(label.name), wit_text(label.value)};
    }
    return (WIT(report_metric_t)){
        .name = wit_text(metric->name),
        .quantity = wit_quantity(metric->quantity),
        .labels = {labels, metric->labels.count},
    };
}

llem_result llem_add_series(const llem_series *series) {
    WIT(report_series_t) wit = {
        .name = wit_text(series->name),
        .x = {wit_text(series->x), wit_text(series->x_unit)},
        .y = {wit_text(series->y), wit_text(series->y_unit)},
        .points = WIT_LIST(series->points),
    };
    WIT(report_error_t) error;
    return result_from(WIT(report_add_series)(&wit, &error), &error);
}

llem_result llem_add_table(const llem_table *table) {
    host_list_string_t *rows = llem_alloc(table->rows.count * sizeof *rows);
    for (size_t index = 0; index < table->rows.count; index++) {
        rows[index] = wit_texts(table->rows.items[index]);
    }
    WIT(report_table_t) wit = {
        .name = wit_text(table->name),
        .columns = wit_texts(table->columns),
        .rows = {rows, table->rows.count},
    };
    WIT(report_error_t) error;
    return result_from(WIT(report_add_table)(&wit, &error), &error);
}

llem_result llem_write_artifact(const char *name, const void *content, size_t size) {
    host_string_t text = wit_text(name);
    host_list_u8_t bytes = {(uint8_t *)content, size};
    WIT(report_error_t) error;
    return result_from(WIT(report_write_artifact)(&text, &bytes, &error), &error);
}

llem_result llem_phase_begin(const char *name, llem_phase *phase) {
    host_string_t text = wit_text(name);
    WIT(report_own_phase_t) own;
    WIT(report_error_t) error;
    LLEM_TRY(result_from(WIT(report_static_phase_begin)(&text, &own, &error), &error));
    *phase = (llem_phase){own.__handle};
    return LLEM_OK;
}

llem_result llem_phase_end(llem_phase phase) {
    WIT(report_error_t) error;
    return result_from(WIT(report_static_phase_end)((WIT(report_own_phase_t)){phase.handle}, &error), &error);
}
