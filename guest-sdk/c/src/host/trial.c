#include "about.h"

llem_trial trial_from(WIT(trials_borrow_trial_t) from) {
    WIT(requests_own_request_t) own = WIT(trials_method_trial_request)(from);
    llem_request request = request_from(WIT(requests_borrow_request)(own));
    WIT(requests_request_drop_own)(own);
    uint32_t index = WIT(trials_method_trial_index)(from);
    WIT(trials_own_generation_t) generation;
    if (WIT(trials_method_trial_generation)(from, &generation)) {
        return llem_trial_from_generation(index, request, generation_from(generation));
    }
    WIT(trials_list_own_completion_t) list;
    WIT(trials_method_trial_completions)(from, &list);
    llem_completions completions = {0};
    for (size_t at = 0; at < list.len; at++) {
        llem_push(&completions, completion_from(list.ptr[at]));
    }
    return llem_trial_from_completions(index, request, completions);
}
