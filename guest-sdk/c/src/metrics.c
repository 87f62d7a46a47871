#include "llem/report.h"

void llem_metrics_add(llem_metrics *list, const char *name, llem_reading reading) {
    if (reading.is_known) {
        llem_push(list, (llem_metric){.name = name, .quantity = reading.quantity});
    }
}

void llem_metrics_label(llem_metrics *list, const char *name, const char *value) {
    if (list->count > 0) {
        llem_push(&list->items[list->count - 1].labels, (llem_label){name, value});
    }
}
