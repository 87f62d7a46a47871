#include "llem/meter.h"
#include "convert.h"

uint64_t llem_now(void) {
    return WIT(meter_now)();
}

void llem_sleep_until(uint64_t time) {
    WIT(meter_sleep_until)(time);
}

void llem_sleep_for(uint64_t length) {
    uint64_t now = llem_now();
    llem_sleep_until(length > UINT64_MAX - now ? UINT64_MAX : now + length);
}

llem_result llem_wait_until_power_steady(const char *device, double watts, uint64_t timeout, uint64_t *waited) {
    host_string_t text = wit_text(device != NULL ? device : "");
    host_string_t *given = device != NULL ? &text : NULL;
    WIT(meter_error_t) error;
    return result_from(WIT(meter_wait_until_power_steady)(given, watts, timeout, waited, &error), &error);
}

llem_result llem_wait_until_temperature_steady(const char *device, double kelvin, uint64_t timeout, uint64_t *waited) {
    host_string_t text = wit_text(device != NULL ? device : "");
    host_string_t *given = device != NULL ? &text : NULL;
    WIT(meter_error_t) error;
    return result_from(WIT(meter_wait_until_temperature_steady)(given, kelvin, timeout, waited, &error), &error);
}

llem_result llem_window_open(const char *label, llem_window *window) {
    host_string_t text = wit_text(label);
    WIT(meter_own_window_t) own;
    WIT(meter_error_t) error;
    LLEM_TRY(result_from(WIT(meter_static_window_open)(&text, &own, &error), &error));
    *window = (llem_window){own.__handle};
    return LLEM_OK;
}

llem_result llem_window_mark(llem_window window, const char *label) {
    host_string_t text = wit_text(label);
    WIT(meter_error_t) error;
    WIT(meter_borrow_window_t) borrowed = {window.handle};
    return result_from(WIT(meter_method_window_mark)(borrowed, &text, &error), &error);
}

llem_result llem_window_close(llem_window window, llem_measurement *measurement) {
    WIT(meter_own_measurement_t) own;
    WIT(meter_error_t) error;
    LLEM_TRY(result_from(WIT(meter_static_window_close)((WIT(meter_own_window_t)){window.handle}, &own, &error), &error));
    *measurement = measurement_from(own);
    return LLEM_OK;
}

llem_samples llem_window_timeline(llem_window window, uint64_t since) {
    WIT(meter_list_sample_t) list;
    WIT(meter_method_window_timeline)((WIT(meter_borrow_window_t)){window.handle}, since, &list);
    llem_samples samples = {0};
    for (size_t index = 0; index < list.len; index++) {
        WIT(meter_sample_t) one = list.ptr[index];
        llem_push(&samples, (llem_sample){one.at, text_from(one.device), text_from(one.domain), quantity_from(one.power)});
    }
    return samples;
}

llem_resolutions llem_counter_resolution(void) {
    WIT(meter_list_resolution_t) list;
    WIT(meter_counter_resolution)(&list);
    llem_resolutions resolutions = {0};
    for (size_t index = 0; index < list.len; index++) {
        WIT(meter_resolution_t) one = list.ptr[index];
        llem_push(&resolutions, (llem_resolution){
                                    .device = text_from(one.device),
                                    .domain = text_from(one.domain),
                                    .source = one.source.is_err ? NULL : text_from(one.source.val.ok),
                                    .reason = one.source.is_err ? text_from(one.source.val.err) : NULL,
                                    .update_period = reading_from(one.update_period),
                                });
    }
    return resolutions;
}

static llem_baseline baseline_from(WIT(meter_own_baseline_t) own) {
    WIT(meter_borrow_baseline_t) from = WIT(meter_borrow_baseline)(own);
    WIT(meter_list_idle_power_t) list;
    WIT(meter_method_baseline_power)(from, &list);
    llem_baseline to = {
        .measured_at = WIT(meter_method_baseline_measured_at)(from),
        .wall_time = WIT(meter_method_baseline_wall_time)(from),
        .from_earlier_run = WIT(meter_method_baseline_from_earlier_run)(from),
    };
    for (size_t index = 0; index < list.len; index++) {
        WIT(meter_idle_power_t) one = list.ptr[index];
        llem_push(&to.power, (llem_idle_power){
                                 .device = text_from(one.device),
                                 .domain = text_from(one.domain),
                                 .power = reading_from(one.power),
                                 .unsteady = one.unsteady.is_some ? text_from(one.unsteady.val) : NULL,
                                 .holds_model = one.holds_model,
                             });
    }
    WIT(meter_baseline_drop_own)(own);
    return to;
}

llem_result llem_baseline_measure(uint64_t length, llem_baseline *baseline) {
    WIT(meter_own_baseline_t) own;
    WIT(meter_error_t) error;
    LLEM_TRY(result_from(WIT(meter_static_baseline_measure)(length, &own, &error), &error));
    *baseline = baseline_from(own);
    return LLEM_OK;
}

llem_result llem_baseline_recall_or_measure(uint64_t length, uint64_t lifetime, llem_baseline *baseline) {
    WIT(meter_own_baseline_t) own;
    WIT(meter_error_t) error;
    LLEM_TRY(result_from(WIT(meter_static_baseline_recall_or_measure)(length, lifetime, &own, &error), &error));
    *baseline = baseline_from(own);
    return LLEM_OK;
}
