// The exports of a workload policy.

#include "workload.h"
#include "../host/about.h"

static llem_workload_policy policy;

static void create_policy(void) {
    if (policy.next == NULL) {
        policy = llem_the_component.workload();
    }
}

exports_llem_experiment_workload_policy_own_about_t exports_llem_experiment_workload_policy_describe(void) {
    llem_about about = llem_the_component.about();
    return wit_about(&about);
}

bool exports_llem_experiment_workload_policy_begin(exports_llem_experiment_workload_policy_borrow_model_t model,
                                                   exports_llem_experiment_workload_policy_own_schedule_t *to,
                                                   exports_llem_experiment_workload_policy_error_t *error) {
    create_policy();
    llem_schedule schedule = {0};
    llem_model_info info = model_info_from(model);
    WIT(models_model_drop_borrow)(model);
    if (policy.begin != NULL && !export_result(policy.begin(policy.self, &info, &schedule), error)) {
        return false;
    }
    *to = WIT(trials_constructor_schedule)();
    WIT(trials_borrow_schedule_t) borrowed = WIT(trials_borrow_schedule)(*to);
    WIT(batches_own_batch_options_t) options;
    if (schedule.has_batch) {
        options = wit_batch_options(&schedule.batch);
    }
    WIT(trials_method_schedule_set_batch)(borrowed, schedule.has_batch ? &options : NULL);
    WIT(trials_method_schedule_set_concurrency)(borrowed, MAYBE(schedule.concurrency));
    WIT(trials_method_schedule_set_length)(borrowed, MAYBE(schedule.length));
    return true;
}

bool exports_llem_experiment_workload_policy_next(exports_llem_experiment_workload_policy_borrow_trial_t *last,
                                                  exports_llem_experiment_workload_policy_option_own_request_t *to,
                                                  exports_llem_experiment_workload_policy_error_t *error) {
    create_policy();
    llem_arena *arena = llem_arena_new(), *previous = llem_arena_use(arena);
    llem_trial trial;
    if (last != NULL) {
        trial = trial_from(*last);
        WIT(trials_trial_drop_borrow)(*last);
    }
    llem_arena_use(previous);
    const llem_request *request = NULL;
    bool is_ok = export_result(policy.next(policy.self, last != NULL ? &trial : NULL, &request), error);
    *to = (exports_llem_experiment_workload_policy_option_own_request_t){0};
    if (is_ok && request != NULL) {
        llem_arena_use(arena);
        to->is_some = true;
        to->val = wit_request(request);
        llem_arena_use(previous);
    }
    llem_arena_free(arena);
    return is_ok;
}
