// The exports of a warm-up policy. The host passes one trial at a time, and the policy sees all of them.

#include "warmup.h"
#include "../host/about.h"

static llem_warmup_policy policy;
static llem_trials history;

exports_llem_experiment_warmup_policy_own_about_t exports_llem_experiment_warmup_policy_describe(void) {
    llem_about about = llem_the_component.about();
    return wit_about(&about);
}

bool exports_llem_experiment_warmup_policy_next(exports_llem_experiment_warmup_policy_borrow_trial_t *last,
                                                exports_llem_experiment_warmup_policy_step_t *to,
                                                exports_llem_experiment_warmup_policy_error_t *error) {
    if (policy.next == NULL) {
        policy = llem_the_component.warmup();
    }
    if (last != NULL) {
        llem_push(&history, trial_from(*last));
        WIT(trials_trial_drop_borrow)(*last);
    }
    llem_warmup_step step = {0};
    if (!export_result(policy.next(policy.self, &history, &step), error)) {
        return false;
    }
    *to = (exports_llem_experiment_warmup_policy_step_t){0};
    if (step.kind == LLEM_STEP_DONE) {
        to->tag = EXPORTS_LLEM_EXPERIMENT_WARMUP_POLICY_STEP_DONE;
        to->val.done = wit_text(step.reason);
    } else if (step.kind == LLEM_STEP_WAIT) {
        to->tag = EXPORTS_LLEM_EXPERIMENT_WARMUP_POLICY_STEP_WAIT;
        to->val.wait = step.length;
    } else {
        to->tag = EXPORTS_LLEM_EXPERIMENT_WARMUP_POLICY_STEP_RUN;
        if (step.request != NULL) {
            to->val.run.request.is_some = true;
            to->val.run.request.val = wit_request(step.request);
        }
        to->val.run.max_new_tokens.is_some = step.max_new_tokens.is_some;
        to->val.run.max_new_tokens.val = step.max_new_tokens.value;
    }
    return true;
}
