#include "llem/warmup.h"
#include "llem/statistics.h"

#include <math.h>
#include <string.h>

llem_warmup_step llem_step_run_first(llem_optional_u32 max_new_tokens) {
    return (llem_warmup_step){.kind = LLEM_STEP_RUN, .max_new_tokens = max_new_tokens};
}

llem_warmup_step llem_step_wait(uint64_t length) {
    return (llem_warmup_step){.kind = LLEM_STEP_WAIT, .length = length};
}

llem_warmup_step llem_step_done(const char *reason) {
    return (llem_warmup_step){.kind = LLEM_STEP_DONE, .reason = reason};
}

static llem_result next_of_fixed_count(void *self, const llem_trials *history, llem_warmup_step *step) {
    const llem_fixed_count_options *options = self;
    *step = history->count < options->runs ? llem_step_run_first(options->max_new_tokens)
                                           : llem_step_done(llem_format("%zu runs", options->runs));
    return LLEM_OK;
}

llem_warmup_policy llem_fixed_count(llem_fixed_count_options options) {
    return (llem_warmup_policy){next_of_fixed_count, llem_copy(&options, sizeof options)};
}

static llem_result next_of_cold_start(void *self, const llem_trials *history, llem_warmup_step *step) {
    (void)self, (void)history;
    *step = llem_step_done("cold start, as asked");
    return LLEM_OK;
}

llem_warmup_policy llem_cold_start(void) {
    return (llem_warmup_policy){.next = next_of_cold_start};
}

/// Returns the time from the beginning of the first trial to the end of the last one, in ns.
static uint64_t elapsed(const llem_trials *history) {
    if (history->count == 0) {
        return 0;
    }
    return llem_trial_ended(&history->items[history->count - 1]) - llem_trial_began(&history->items[0]);
}

static llem_result next_of_time_floor(void *self, const llem_trials *history, llem_warmup_step *step) {
    const llem_time_floor_options *options = self;
    double seconds = (double)elapsed(history) * 1e-9;
    *step = elapsed(history) < options->floor
                ? llem_step_run_first(options->max_new_tokens)
                : llem_step_done(llem_format("%.1f s in %zu runs", seconds, history->count));
    return LLEM_OK;
}

llem_warmup_policy llem_time_floor(llem_time_floor_options options) {
    return (llem_warmup_policy){next_of_time_floor, llem_copy(&options, sizeof options)};
}

typedef struct count_then_floor {
    llem_fixed_count_options count;
    llem_time_floor_options floor;
} count_then_floor;

static llem_result next_of_count_then_floor(void *self, const llem_trials *history, llem_warmup_step *step) {
    count_then_floor *policy = self;
    LLEM_TRY(next_of_fixed_count(&policy->count, history, step));
    return step->kind == LLEM_STEP_DONE ? next_of_time_floor(&policy->floor, history, step) : LLEM_OK;
}

llem_warmup_policy llem_count_then_floor(llem_fixed_count_options count, llem_time_floor_options floor) {
    count_then_floor policy = {count, floor};
    return (llem_warmup_policy){next_of_count_then_floor, llem_copy(&policy, sizeof policy)};
}

static llem_result next_of_cv_convergence(void *self, const llem_trials *history, llem_warmup_step *step) {
    const llem_cv_convergence_options *options = self;
    *step = llem_step_run_first(options->max_new_tokens);
    if (history->count < options->window) {
        return LLEM_OK;
    }
    llem_numbers latencies = {0};
    for (size_t index = history->count - options->window; index < history->count; index++) {
        llem_push(&latencies, llem_trial_seconds(&history->items[index]));
    }
    double cv = llem_coefficient_of_variation(&latencies);
    cv = isnan(cv) ? INFINITY : cv;
    if (cv < options->threshold) {
        *step = llem_step_done(llem_format("CV of latency %.4f after %zu runs", cv, history->count));
    } else if (history->count >= options->max_runs) {
        *step = llem_step_done(llem_format("not steady: CV of latency still %.4f after %zu runs", cv, history->count));
    }
    return LLEM_OK;
}

llem_warmup_policy llem_cv_convergence(llem_cv_convergence_options options) {
    return (llem_warmup_policy){next_of_cv_convergence, llem_copy(&options, sizeof options)};
}

/// Returns the largest change of a device's temperature over the trials that ended after `since`, in K, or NaN if no
/// device reports its temperature.
static double largest_spread(const llem_trials *history, uint64_t since) {
    llem_courses extremes = {0};
    for (size_t index = 0; index < history->count; index++) {
        const llem_trial *trial = &history->items[index];
        if (trial->generation == NULL || llem_trial_ended(trial) <= since) {
            continue;
        }
        const llem_courses *courses = &trial->generation->measurement.courses;
        for (size_t at = 0; at < courses->count; at++) {
            const llem_course *course = &courses->items[at];
            if (strcmp(course->reading, "temperature") != 0) {
                continue;
            }
            size_t known = 0;
            while (known < extremes.count && strcmp(extremes.items[known].device, course->device) != 0) {
                known++;
            }
            if (known == extremes.count) {
                llem_push(&extremes, *course);
            }
            llem_course *extreme = &extremes.items[known];
            extreme->min = fmin(extreme->min, course->min);
            extreme->max = fmax(extreme->max, course->max);
        }
    }
    double largest = NAN;
    for (size_t index = 0; index < extremes.count; index++) {
        largest = fmax(largest, extremes.items[index].max - extremes.items[index].min);
    }
    return largest;
}

static llem_result next_of_temperature_plateau(void *self, const llem_trials *history, llem_warmup_step *step) {
    const llem_temperature_plateau_options *options = self;
    *step = llem_step_run_first(options->max_new_tokens);
    uint64_t time = elapsed(history);
    if (history->count == 0 || time < options->period) {
        return LLEM_OK;
    }
    double seconds = (double)time * 1e-9;
    double spread = largest_spread(history, llem_trial_ended(&history->items[history->count - 1]) - options->period);
    if (isnan(spread)) {
        *step = llem_step_done(llem_format("%.1f s; no device tells its temperature", seconds));
    } else if (spread <= options->kelvin) {
        *step = llem_step_done(llem_format("temperature moved by %.0f K in the last of %.1f s", spread, seconds));
    } else if (time >= options->max_time) {
        *step = llem_step_done(
            llem_format("not steady: temperature still moved by %.0f K after %.1f s", spread, seconds));
    }
    return LLEM_OK;
}

llem_warmup_policy llem_temperature_plateau(llem_temperature_plateau_options options) {
    return (llem_warmup_policy){next_of_temperature_plateau, llem_copy(&options, sizeof options)};
}
