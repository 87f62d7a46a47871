/// Warms up until the times to first token of the last runs agree.

#include <llem.h>

static llem_about about(void) {
    llem_about about = llem_about_new("first-warmup", "0.1.0", "Warms up until times to first token agree");
    llem_about_integer(&about, "window", 3, "how many of the last runs must agree");
    llem_about_number(&about, "spread", 0.05, "their highest coefficient of variation");
    llem_about_integer(&about, "max-runs", 20, "runs after which the warm-up ends anyway");
    return about;
}

/// Runs the workload's first request until the coefficient of variation of the last times to first token is low.
static llem_result next(void *self, const llem_trials *history, llem_warmup_step *step) {
    (void)self;
    uint32_t window, max_runs;
    double highest;
    LLEM_TRY(llem_parameter_u32("window", &window));
    LLEM_TRY(llem_parameter_u32("max-runs", &max_runs));
    LLEM_TRY(llem_parameter_f64("spread", &highest));
    size_t runs = history->count;
    if (runs >= window) {
        llem_numbers ttft = {0};
        for (size_t index = runs - window; index < runs; index++) {
            llem_trial_ttft(&history->items[index], &ttft);
        }
        // The comparison is false if the spread is not known.
        if (llem_coefficient_of_variation(&ttft) <= highest) {
            *step = llem_step_done(llem_format("steady after %zu runs", runs));
            return LLEM_OK;
        }
    }
    *step = runs >= max_runs ? llem_step_done(llem_format("not steady after %zu runs", runs))
                             : llem_step_run_first((llem_optional_u32)LLEM_SOME(1));
    return LLEM_OK;
}

static llem_warmup_policy policy(void) {
    return (llem_warmup_policy){.next = next};
}

LLEM_WARMUP(about, policy);
