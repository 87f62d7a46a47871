#include "llem/devices.h"
#include "convert.h"

/// Returns the result of a function of a state that returns a reading.
#define READING(name) reading_of(from, WIT(devices_method_state_##name))
/// Returns the result of a function of a device that returns text.
#define TEXT(name) text_of(from, WIT(devices_method_device_##name))

static llem_reading reading_of(WIT(devices_borrow_state_t) from,
                               void (*function)(WIT(devices_borrow_state_t), WIT(devices_reading_t) *)) {
    WIT(devices_reading_t) reading;
    function(from, &reading);
    return reading_from(reading);
}

static const char *text_of(WIT(devices_borrow_device_t) from,
                           void (*function)(WIT(devices_borrow_device_t), host_string_t *)) {
    host_string_t text;
    function(from, &text);
    return text_from(text);
}

static llem_peaks peaks_of(WIT(devices_borrow_device_t) from,
                           bool (*function)(WIT(devices_borrow_device_t), WIT(devices_peaks_t) *, host_string_t *)) {
    WIT(devices_peaks_t) peaks;
    host_string_t reason;
    if (!function(from, &peaks, &reason)) {
        return (llem_peaks){.reason = text_from(reason), .bandwidth = llem_unavailable(text_from(reason))};
    }
    llem_peaks to = {
        .are_known = true,
        .origin = text_from(peaks.origin),
        .bandwidth = reading_from(peaks.bandwidth),
    };
    for (size_t index = 0; index < peaks.products.len; index++) {
        WIT(devices_peak_t) one = peaks.products.ptr[index];
        llem_push(&to.products, (llem_peak){text_from(one.dtype), reading_from(one.rate)});
    }
    return to;
}

static llem_device device_from(WIT(devices_own_device_t) own) {
    WIT(devices_borrow_device_t) from = WIT(devices_borrow_device)(own);
    host_string_t uuid, source, reason;
    host_list_string_t notes;
    host_tuple2_u32_u32_t capability;
    bool has_source = WIT(devices_method_device_energy_source)(from, &source, &reason);
    WIT(devices_method_device_notes)(from, &notes);
    llem_device to = {
        .id = TEXT(id),
        .kind = TEXT(kind),
        .name = TEXT(name),
        .uuid = WIT(devices_method_device_uuid)(from, &uuid) ? text_from(uuid) : NULL,
        .datasheet_peaks = peaks_of(from, WIT(devices_method_device_datasheet_peaks)),
        .measured_peaks = peaks_of(from, WIT(devices_method_device_measured_peaks)),
        .energy_source = has_source ? text_from(source) : NULL,
        .energy_reason = has_source ? NULL : text_from(reason),
        .notes = texts_from(notes),
    };
    to.memory_bytes.is_some = WIT(devices_method_device_memory_bytes)(from, &to.memory_bytes.value);
    if (WIT(devices_method_device_compute_capability)(from, &capability)) {
        to.compute_major = (llem_optional_u32)LLEM_SOME(capability.f0);
        to.compute_minor = (llem_optional_u32)LLEM_SOME(capability.f1);
    }
    WIT(devices_device_drop_own)(own);
    return to;
}

llem_device_list llem_list_devices(void) {
    WIT(devices_list_own_device_t) list;
    WIT(devices_list_devices)(&list);
    llem_device_list devices = {0};
    for (size_t index = 0; index < list.len; index++) {
        llem_push(&devices, device_from(list.ptr[index]));
    }
    return devices;
}

static llem_result find(const char *id, WIT(devices_own_device_t) *own) {
    host_string_t text = wit_text(id);
    WIT(devices_error_t) error;
    return result_from(WIT(devices_find_device)(&text, own, &error), &error);
}

llem_result llem_find_device(const char *id, llem_device *device) {
    WIT(devices_own_device_t) own;
    LLEM_TRY(find(id, &own));
    *device = device_from(own);
    return LLEM_OK;
}

llem_result llem_read_state(const char *id, llem_device_state *state) {
    WIT(devices_own_device_t) device;
    WIT(devices_own_state_t) own;
    WIT(devices_error_t) error;
    host_list_string_t reasons;
    LLEM_TRY(find(id, &device));
    bool is_ok = WIT(devices_method_device_read)(WIT(devices_borrow_device)(device), &own, &error);
    WIT(devices_device_drop_own)(device);
    LLEM_TRY(result_from(is_ok, &error));
    WIT(devices_borrow_state_t) from = WIT(devices_borrow_state)(own);
    WIT(devices_method_state_throttle_reasons)(from, &reasons);
    *state = (llem_device_state){
        .at = WIT(devices_method_state_at)(from),
        .power = READING(power),
        .temperature = READING(temperature),
        .core_clock = READING(core_clock),
        .memory_clock = READING(memory_clock),
        .utilisation = READING(utilisation),
        .memory_used = READING(memory_used),
        .pcie = READING(pcie),
        .throttle_reasons = texts_from(reasons),
    };
    WIT(devices_state_drop_own)(own);
    return LLEM_OK;
}

llem_facts llem_list_facts(void) {
    WIT(facts_list_fact_t) list;
    WIT(facts_list_facts)(&list);
    llem_facts facts = {0};
    for (size_t index = 0; index < list.len; index++) {
        llem_push(&facts, (llem_fact){text_from(list.ptr[index].f0), text_from(list.ptr[index].f1)});
    }
    return facts;
}

uint64_t llem_run_began(void) {
    return WIT(facts_run_began)();
}
