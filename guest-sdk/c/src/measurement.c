#include "llem/measurement.h"

#include <string.h>

/// Returns whether a name is this one, or this one followed by a separator and a number. Every name is of the group `""`.
static bool is_of(const char *name, const char *group, char separator) {
    size_t length = strlen(group);
    return length == 0 || (strncmp(name, group, length) == 0 && (name[length] == '\0' || name[length] == separator));
}

static bool is_covered(const llem_measurement *measurement, const llem_device_energy *energy) {
    for (size_t index = 0; index < measurement->energy_covers.count; index++) {
        const llem_domain *covered = &measurement->energy_covers.items[index];
        if (strcmp(covered->device, energy->device) == 0 && strcmp(covered->domain, energy->domain) == 0) {
            return true;
        }
    }
    return false;
}

llem_reading llem_measurement_energy_of(const llem_measurement *measurement, const char *device, const char *domain) {
    llem_readings found = {0};
    for (size_t index = 0; index < measurement->energy.count; index++) {
        const llem_device_energy *one = &measurement->energy.items[index];
        if (is_covered(measurement, one) && is_of(one->device, device, ':') && is_of(one->domain, domain, '-')) {
            llem_push(&found, one->energy);
        }
    }
    const char *space = domain[0] == '\0' ? "" : " ";
    return llem_reading_total(&found, llem_format("no energy of %s%s%s is part of the total", device, space, domain));
}

llem_reading llem_measurement_memory_peak(const llem_measurement *measurement, const char *kind, const char *device) {
    llem_readings found = {0};
    for (size_t index = 0; index < measurement->memory_peaks.count; index++) {
        const llem_memory_peak *one = &measurement->memory_peaks.items[index];
        if (strcmp(one->kind, kind) == 0 && is_of(one->device, device, ':')) {
            llem_push(&found, one->peak);
        }
    }
    const char *space = device[0] == '\0' ? "" : " ";
    return llem_reading_total(&found, llem_format("no memory of the kind %s%s%s was read", kind, space, device));
}

llem_times llem_generation_step_times(const llem_generation *generation) {
    const llem_completions *completions = &generation->completions;
    llem_times times = {0};
    llem_push(&times, completions->count > 0 ? UINT64_MAX : generation->measurement.started);
    for (size_t index = 0; index < completions->count; index++) {
        const llem_completion *one = &completions->items[index];
        if (one->submitted < times.items[0]) {
            times.items[0] = one->submitted;
        }
        for (size_t step = 0; step < one->token_times.count; step++) {
            uint64_t time = one->token_times.items[step];
            if (step + 1 == times.count) {
                llem_push(&times, time);
            } else if (time > times.items[step + 1]) {
                times.items[step + 1] = time;
            }
        }
    }
    return times;
}
