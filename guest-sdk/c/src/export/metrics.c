// The exports of a metrics policy.

#include "metrics.h"
#include "../host/about.h"

static llem_metrics_policy policy;

static void create_policy(void) {
    if (policy.derive == NULL) {
        policy = llem_the_component.metrics();
    }
}

exports_llem_experiment_metrics_policy_own_about_t exports_llem_experiment_metrics_policy_describe(void) {
    llem_about about = llem_the_component.about();
    return wit_about(&about);
}

bool exports_llem_experiment_metrics_policy_observe(exports_llem_experiment_metrics_policy_borrow_trial_t given,
                                                    exports_llem_experiment_metrics_policy_error_t *error) {
    create_policy();
    llem_arena *arena = llem_arena_new(), *previous = llem_arena_use(arena);
    llem_trial trial = trial_from(given);
    WIT(trials_trial_drop_borrow)(given);
    llem_arena_use(previous);
    bool is_ok = policy.observe == NULL || export_result(policy.observe(policy.self, &trial), error);
    llem_arena_free(arena);
    return is_ok;
}

bool exports_llem_experiment_metrics_policy_derive(exports_llem_experiment_metrics_policy_borrow_model_t model,
                                                   exports_llem_experiment_metrics_policy_borrow_session_t given,
                                                   exports_llem_experiment_metrics_policy_list_metric_t *to,
                                                   exports_llem_experiment_metrics_policy_error_t *error) {
    create_policy();
    llem_model_info info = model_info_from(model);
    WIT(models_model_drop_borrow)(model);
    llem_measurement measurement;
    llem_session session = {0};
    WIT(trials_own_measurement_t) own;
    if (WIT(trials_method_session_measurement)(given, &own)) {
        measurement = measurement_from(own);
        session.measurement = &measurement;
    }
    WIT(trials_session_drop_borrow)(given);
    llem_metrics metrics = {0};
    if (!export_result(policy.derive(policy.self, &info, &session, &metrics), error)) {
        return false;
    }
    to->ptr = llem_alloc(metrics.count * sizeof *to->ptr);
    to->len = metrics.count;
    for (size_t index = 0; index < metrics.count; index++) {
        to->ptr[index] = wit_metric(&metrics.items[index]);
    }
    return true;
}
