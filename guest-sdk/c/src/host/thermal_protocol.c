#include "llem/meter.h"
#include "llem/statistics.h"
#include "llem/steady_state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/// One run of the work.
typedef struct work {
    llem_result (*run)(void *self);
    void *self;
} work;

static llem_result run_in_window(const llem_thermal_protocol *protocol, work one, llem_thermal_trial *trial) {
    llem_window window;
    LLEM_TRY(llem_window_open("trial", &window));
    uint64_t began = llem_now();
    while (trial->runs == 0 || llem_now() - began < protocol->window) {
        LLEM_TRY(one.run(one.self));
        trial->runs++;
    }
    llem_measurement measurement;
    LLEM_TRY(llem_window_close(window, &measurement));
    trial->energy_per_run = measurement.energy_total;
    if (measurement.energy_total.is_known) {
        trial->energy_per_run = llem_quantity_per(measurement.energy_total.quantity, (double)trial->runs, "J");
    }
    trial->seconds = (double)measurement.wall_time * 1e-9;
    for (size_t index = 0; index < measurement.courses.count; index++) {
        const llem_course *course = &measurement.courses.items[index];
        if (strcmp(course->reading, "temperature") == 0) {
            llem_push(&trial->temperatures, (llem_temperature_change){course->device, course->first, course->last});
        }
    }
    return LLEM_OK;
}

static llem_result run_trial(const llem_thermal_protocol *protocol, work one, llem_thermal_trial *trial) {
    llem_phase phase;
    LLEM_TRY(llem_phase_begin("cooldown", &phase));
    if (protocol->cooldown > 0) {
        llem_sleep_for(protocol->cooldown);
    }
    LLEM_TRY(llem_phase_end(phase));
    LLEM_TRY(llem_phase_begin("warmup", &phase));
    for (uint32_t run = 0; run < protocol->warmup_runs; run++) {
        LLEM_TRY(one.run(one.self));
    }
    LLEM_TRY(llem_phase_end(phase));
    LLEM_TRY(llem_phase_begin("trial", &phase));
    LLEM_TRY(run_in_window(protocol, one, trial));
    return llem_phase_end(phase);
}

llem_result llem_thermal_protocol_run(const llem_thermal_protocol *protocol, llem_result (*run)(void *self), void *self,
                                      llem_thermal_trials *trials) {
    llem_thermal_trials list = {0};
    for (uint32_t index = 0; index < protocol->trials; index++) {
        llem_thermal_trial trial = {0};
        LLEM_TRY(run_trial(protocol, (work){run, self}, &trial));
        llem_push(&list, trial);
    }
    *trials = list;
    return LLEM_OK;
}

/// Adds the energies of a run of all trials to a list. Fails with the reason if one is not known.
static llem_result energies_of(const llem_thermal_trials *trials, llem_quantities *energies) {
    for (size_t index = 0; index < trials->count; index++) {
        llem_reading energy = trials->items[index].energy_per_run;
        if (!energy.is_known) {
            return llem_fail(LLEM_FAILED, "%s", energy.reason);
        }
        llem_push(energies, energy.quantity);
    }
    return LLEM_OK;
}

/// Runs a setting, adds it to the sweep, and returns whether its trials are steady.
static llem_result try_setting(const llem_thermal_protocol *protocol, work one, llem_thermal_sweep *sweep,
                               bool *is_steady) {
    llem_thermal_trials trials;
    llem_quantities energies = {0};
    llem_numbers values = {0};
    LLEM_TRY(llem_thermal_protocol_run(protocol, one.run, one.self, &trials));
    LLEM_TRY(energies_of(&trials, &energies));
    if (energies.count == 0) {
        return llem_fail(LLEM_FAILED, "no trial was run");
    }
    for (size_t index = 0; index < energies.count; index++) {
        llem_push(&values, energies.items[index].value);
    }
    double deviation = llem_coefficient_of_variation(&values);
    deviation = isnan(deviation) ? INFINITY : deviation;
    double cooldown = (double)protocol->cooldown * 1e-9, window = (double)protocol->window * 1e-9;
    llem_push(&sweep->tried, (llem_thermal_setting){cooldown, window, deviation});
    *is_steady = deviation < protocol->threshold;
    return LLEM_OK;
}

static int ascending(const void *one, const void *other) {
    uint64_t first = *(const uint64_t *)one, second = *(const uint64_t *)other;
    return (first > second) - (first < second);
}

/// Returns the times in ascending order.
static llem_times sorted(const llem_times *times) {
    llem_times copy = {.items = llem_copy(times->items, times->count * sizeof *times->items), .count = times->count};
    qsort(copy.items, copy.count, sizeof *copy.items, ascending);
    return copy;
}

llem_result llem_thermal_protocol_sweep(const llem_thermal_protocol *protocol, const llem_times *windows,
                                        const llem_times *cooldowns, llem_result (*run)(void *self), void *self,
                                        llem_thermal_sweep *sweep) {
    if (windows->count == 0 || cooldowns->count == 0) {
        return llem_fail(LLEM_FAILED, "nothing to sweep over");
    }
    work one = {run, self};
    llem_times by_window = sorted(windows), by_cooldown = sorted(cooldowns);
    llem_thermal_sweep swept = {.protocol = *protocol};
    swept.protocol.window = by_window.items[by_window.count - 1];
    swept.protocol.cooldown = by_cooldown.items[by_cooldown.count - 1];
    for (size_t index = 0; index < by_window.count && !swept.is_steady; index++) {
        llem_thermal_protocol candidate = swept.protocol;
        candidate.window = by_window.items[index];
        LLEM_TRY(try_setting(&candidate, one, &swept, &swept.is_steady));
        if (swept.is_steady) {
            swept.protocol = candidate;
        }
    }
    bool is_found = !swept.is_steady;
    for (size_t index = 0; index < by_cooldown.count && !is_found; index++) {
        llem_thermal_protocol candidate = swept.protocol;
        candidate.cooldown = by_cooldown.items[index];
        is_found = candidate.cooldown == swept.protocol.cooldown;
        if (!is_found) {
            LLEM_TRY(try_setting(&candidate, one, &swept, &is_found));
        }
        if (is_found) {
            swept.protocol = candidate;
        }
    }
    *sweep = swept;
    return LLEM_OK;
}

llem_result llem_joules_per_run(const llem_thermal_trials *trials, llem_metrics *metrics) {
    llem_quantities energies = {0};
    LLEM_TRY(energies_of(trials, &energies));
    llem_metrics_add(metrics, "joules_per_run", llem_quantity_mean_of(&energies));
    return LLEM_OK;
}
