#include "llem/trial.h"

#include <math.h>
#include <string.h>

static const double NS = 1e-9;

llem_completion llem_completion_from_token_times(uint64_t submitted, llem_times token_times) {
    llem_completion completion = {
        .finish = LLEM_LENGTH,
        .submitted = submitted,
        .token_times = token_times,
        .energy = llem_unavailable("no energy was measured"),
    };
    for (size_t index = 0; index < token_times.count; index++) {
        llem_push(&completion.tokens, 0);
    }
    return completion;
}

/// Returns the time from `from` to `to` in s, or 0 if `to` is earlier.
static double seconds_between(uint64_t from, uint64_t to) {
    return to > from ? (double)(to - from) * NS : 0.0;
}

double llem_completion_ttft(const llem_completion *completion) {
    const llem_times *times = &completion->token_times;
    return times->count > 0 ? seconds_between(completion->submitted, times->items[0]) : NAN;
}

double llem_completion_tpot(const llem_completion *completion) {
    const llem_times *times = &completion->token_times;
    if (times->count < 2) {
        return NAN;
    }
    return seconds_between(times->items[0], times->items[times->count - 1]) / (double)(times->count - 1);
}

double llem_completion_e2el(const llem_completion *completion) {
    const llem_times *times = &completion->token_times;
    return times->count > 0 ? seconds_between(completion->submitted, times->items[times->count - 1]) : NAN;
}

llem_trial llem_trial_from_generation(uint32_t index, llem_request request, const llem_generation *generation) {
    return (llem_trial){index, request, generation->completions, generation};
}

llem_trial llem_trial_from_completions(uint32_t index, llem_request request, llem_completions completions) {
    return (llem_trial){index, request, completions, NULL};
}

uint64_t llem_trial_began(const llem_trial *trial) {
    if (trial->generation != NULL) {
        return trial->generation->measurement.started;
    }
    uint64_t began = trial->completions.count > 0 ? UINT64_MAX : 0;
    for (size_t index = 0; index < trial->completions.count; index++) {
        uint64_t submitted = trial->completions.items[index].submitted;
        began = submitted < began ? submitted : began;
    }
    return began;
}

uint64_t llem_trial_ended(const llem_trial *trial) {
    if (trial->generation != NULL) {
        return trial->generation->measurement.started + trial->generation->measurement.wall_time;
    }
    uint64_t ended = 0;
    bool has_tokens = false;
    for (size_t index = 0; index < trial->completions.count; index++) {
        const llem_times *times = &trial->completions.items[index].token_times;
        if (times->count > 0) {
            uint64_t last = times->items[times->count - 1];
            ended = last > ended ? last : ended;
            has_tokens = true;
        }
    }
    return has_tokens ? ended : llem_trial_began(trial);
}

double llem_trial_seconds(const llem_trial *trial) {
    return seconds_between(llem_trial_began(trial), llem_trial_ended(trial));
}

void llem_trial_ttft(const llem_trial *trial, llem_numbers *list) {
    for (size_t index = 0; index < trial->completions.count; index++) {
        double ttft = llem_completion_ttft(&trial->completions.items[index]);
        if (!isnan(ttft)) {
            llem_push(list, ttft);
        }
    }
}

void llem_trial_itl(const llem_trial *trial, llem_numbers *list) {
    for (size_t index = 0; index < trial->completions.count; index++) {
        const llem_times *times = &trial->completions.items[index].token_times;
        for (size_t token = 1; token < times->count; token++) {
            llem_push(list, (double)(times->items[token] - times->items[token - 1]) * NS);
        }
    }
}

uint64_t llem_trial_output_tokens(const llem_trial *trial) {
    uint64_t sum = 0;
    for (size_t index = 0; index < trial->completions.count; index++) {
        sum += trial->completions.items[index].tokens.count;
    }
    return sum;
}

/// Returns the number of tokens that decode generated: all but the first of each sequence, which comes from prefill.
static uint64_t decoded_tokens(const llem_trial *trial) {
    uint64_t sum = 0;
    for (size_t index = 0; index < trial->completions.count; index++) {
        size_t tokens = trial->completions.items[index].tokens.count;
        sum += tokens > 0 ? tokens - 1 : 0;
    }
    return sum;
}

static llem_reading ran_in_batch(const llem_trial *trial) {
    return llem_unavailable(llem_format("request '%s' ran in a continuous batch, where no times and energy are its own: its "
                                        "completions and the session's measurement tell what there is",
                                        trial->request.label));
}

static llem_reading rate(uint64_t tokens, uint64_t time) {
    if (tokens == 0) {
        return llem_unavailable("there were no tokens");
    }
    return llem_quantity_per(llem_quantity_exact((double)tokens, "{token}", LLEM_COUNTED), (double)time * NS,
                             "{token}/s");
}

static llem_reading per_token(llem_reading energy, uint64_t tokens, const char *nothing) {
    if (!energy.is_known) {
        return energy;
    }
    return tokens > 0 ? llem_quantity_per(energy.quantity, (double)tokens, "J/{token}") : llem_unavailable(nothing);
}

llem_reading llem_trial_prefill_rate(const llem_trial *trial) {
    const llem_generation *generation = trial->generation;
    return generation == NULL ? ran_in_batch(trial)
                              : rate(generation->measurement.activity.prompt_tokens, generation->prefill_time);
}

llem_reading llem_trial_decode_rate(const llem_trial *trial) {
    return trial->generation == NULL ? ran_in_batch(trial)
                                     : rate(decoded_tokens(trial), trial->generation->decode_time);
}

llem_reading llem_trial_prefill_joules_per_token(const llem_trial *trial) {
    if (trial->generation == NULL) {
        return ran_in_batch(trial);
    }
    const llem_measurement *measurement = &trial->generation->measurement;
    return per_token(measurement->energy_prefill, measurement->activity.prompt_tokens, "no prompt was run");
}

llem_reading llem_trial_decode_joules_per_token(const llem_trial *trial) {
    if (trial->generation == NULL) {
        return ran_in_batch(trial);
    }
    return per_token(trial->generation->measurement.energy_decode, decoded_tokens(trial), "no token was decoded");
}

void llem_trial_joules_per_sequence(const llem_trial *trial, llem_readings *list) {
    for (size_t index = 0; index < trial->completions.count; index++) {
        llem_push(list, trial->completions.items[index].energy);
    }
}

llem_reading llem_trial_joules_per_output_token(const llem_trial *trial) {
    if (trial->generation == NULL) {
        return ran_in_batch(trial);
    }
    return per_token(trial->generation->measurement.energy_total, llem_trial_output_tokens(trial),
                     "no token was generated");
}

llem_trial_groups llem_group_by_label(const llem_trials *trials) {
    llem_trial_groups groups = {0};
    for (size_t index = 0; index < trials->count; index++) {
        const llem_trial *trial = &trials->items[index];
        size_t group = 0;
        while (group < groups.count && strcmp(groups.items[group].label, trial->request.label) != 0) {
            group++;
        }
        if (group == groups.count) {
            llem_push(&groups, (llem_trial_group){.label = trial->request.label});
        }
        llem_push(&groups.items[group].trials, *trial);
    }
    return groups;
}
