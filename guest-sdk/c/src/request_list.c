#include "llem/request_list.h"

typedef struct request_list {
    llem_request_list_options options;
    /// The number of requests that were returned.
    size_t returned;
} request_list;

static uint64_t total(void *self) {
    const request_list *list = self;
    return (uint64_t)list->options.requests.count * list->options.rounds;
}

static llem_result next(void *self, const llem_trial *last, const llem_request **request) {
    (void)last;
    request_list *list = self;
    if (list->returned < total(list)) {
        *request = &list->options.requests.items[list->returned % list->options.requests.count];
        list->returned++;
    }
    return LLEM_OK;
}

llem_workload_policy llem_request_list(llem_request_list_options options) {
    options.rounds = options.rounds > 0 ? options.rounds : 1;
    request_list list = {.options = options};
    return (llem_workload_policy){.next = next, .total = total, .self = llem_copy(&list, sizeof list)};
}
