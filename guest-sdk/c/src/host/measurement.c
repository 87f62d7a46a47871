#include "convert.h"

/// Calls the function of a measurement that returns a list, and converts each item.
#define CONVERT(field, type, item, ...)                                                                                 \
    do {                                                                                                               \
        WIT(meter_list_##type##_t) list;                                                                               \
        WIT(meter_method_measurement_##field)(from, &list);                                                            \
        for (size_t index = 0; index < list.len; index++) {                                                            \
            WIT(meter_##type##_t) item = list.ptr[index];                                                              \
            llem_push(__VA_ARGS__);                                                                                    \
        }                                                                                                              \
    } while (0)

/// Returns the result of a function of a measurement that returns a reading.
#define READING(field) reading_of(from, WIT(meter_method_measurement_##field))

static llem_reading reading_of(WIT(meter_borrow_measurement_t) from,
                               void (*function)(WIT(meter_borrow_measurement_t), WIT(meter_reading_t) *)) {
    WIT(meter_reading_t) reading;
    function(from, &reading);
    return reading_from(reading);
}

static llem_activity activity_from(WIT(meter_borrow_measurement_t) from) {
    return (llem_activity){
        .requests = WIT(meter_method_measurement_requests)(from),
        .prompt_tokens = WIT(meter_method_measurement_prompt_tokens)(from),
        .output_tokens = WIT(meter_method_measurement_output_tokens)(from),
        .prefill_time = WIT(meter_method_measurement_prefill_time)(from),
        .decode_time = WIT(meter_method_measurement_decode_time)(from),
        .mixed_time = WIT(meter_method_measurement_mixed_time)(from),
        .mixed_prompt_tokens = WIT(meter_method_measurement_mixed_prompt_tokens)(from),
        .mixed_output_tokens = WIT(meter_method_measurement_mixed_output_tokens)(from),
        .flops_prefill = WIT(meter_method_measurement_flops_prefill)(from),
        .flops_decode = WIT(meter_method_measurement_flops_decode)(from),
        .flops_mixed = WIT(meter_method_measurement_flops_mixed)(from),
    };
}

llem_measurement measurement_from(WIT(meter_own_measurement_t) own) {
    WIT(meter_borrow_measurement_t) from = WIT(meter_borrow_measurement)(own);
    host_string_t label;
    host_list_string_t warnings;
    WIT(meter_method_measurement_label)(from, &label);
    WIT(meter_method_measurement_warnings)(from, &warnings);
    llem_measurement to = {
        .label = text_from(label),
        .started = WIT(meter_method_measurement_started)(from),
        .wall_time = WIT(meter_method_measurement_wall_time)(from),
        .warnings = texts_from(warnings),
        .energy_total = READING(energy_total),
        .energy_cpu = READING(energy_cpu),
        .energy_accelerators = READING(energy_accelerators),
        .energy_prefill = READING(energy_prefill),
        .energy_decode = READING(energy_decode),
        .energy_mixed = READING(energy_mixed),
        .energy_outside = READING(energy_outside),
        .energy_per_output_token = READING(energy_per_output_token),
        .energy_above_idle = READING(energy_above_idle),
        .devices_used = WIT(meter_method_measurement_devices_used)(from),
        .energy_imbalance = READING(energy_imbalance),
        .activity = activity_from(from),
    };
    CONVERT(energy, device_energy, one, &to.energy,
            (llem_device_energy){text_from(one.device), text_from(one.domain), reading_from(one.energy)});
    CONVERT(energy_covers, domain, one, &to.energy_covers, (llem_domain){text_from(one.device), text_from(one.domain)});
    CONVERT(segments, segment, one, &to.segments,
            (llem_segment){text_from(one.label), one.started, one.wall_time, reading_from(one.energy)});
    CONVERT(ranks, rank_activity, one, &to.ranks,
            (llem_rank_activity){text_from(one.device), reading_from(one.communication)});
    CONVERT(courses, course, one, &to.courses,
            (llem_course){text_from(one.device), text_from(one.reading), text_from(one.unit), one.first, one.last,
                          one.min, one.max, one.mean});
    CONVERT(throttled, throttling, one, &to.throttled,
            (llem_throttling){text_from(one.device), texts_from(one.reasons)});
    CONVERT(memory_peaks, memory_peak, one, &to.memory_peaks,
            (llem_memory_peak){text_from(one.device), text_from(one.kind), reading_from(one.peak)});
    WIT(meter_measurement_drop_own)(own);
    return to;
}
