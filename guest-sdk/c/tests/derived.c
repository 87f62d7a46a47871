/// Efficiency, goodput, and the carbon and cost of energy.

#include "check.h"
#include "llem/efficiency.h"
#include "llem/goodput.h"

#include <math.h>
#include <string.h>

static const uint64_t MS = 1000000;

/// Creates a completion that was submitted and had its tokens at these times, in ms. The times end with 0.
static llem_completion served(uint64_t submitted, const uint64_t *tokens) {
    llem_times times = {0};
    for (; *tokens != 0; tokens++) {
        llem_push(&times, *tokens * MS);
    }
    return llem_completion_from_token_times(submitted * MS, times);
}

static void a_sequence_must_meet_all_levels_inclusively(void) {
    llem_service_levels levels = {LLEM_SOME(10.0), LLEM_SOME(5.0), LLEM_SOME(20.0)};
    const struct {
        uint64_t tokens[5];
        bool is_met;
    } cases[] = {
        {{10, 15, 20}, true},      {{11, 15, 20}, false}, {{8, 20}, false},
        {{10, 15, 20, 25}, false}, {{10}, true},          {{0}, false},
    };
    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
        llem_completion one = served(0, cases[index].tokens);
        CHECK(llem_service_levels_are_met_by(&levels, &one) == cases[index].is_met);
    }
    llem_completion cancelled = served(0, (uint64_t[]){1, 0});
    cancelled.finish = LLEM_CANCELLED;
    CHECK(!llem_service_levels_are_met_by(&levels, &cancelled));
}

static void goodput_counts_sequences_that_meet_their_levels_over_the_whole_time(void) {
    llem_goodput goodput = {.levels = {.ttft = LLEM_SOME(10.0)}};
    llem_session session = {0};
    CHECK(!llem_goodput_rate(&goodput, &session).is_known);
    const uint64_t submitted[] = {100, 300, 500}, tokens[][3] = {{105, 110}, {311, 320}, {510, 600}};
    for (size_t index = 0; index < 3; index++) {
        llem_completions completions = {0};
        llem_push(&completions, served(submitted[index], tokens[index]));
        llem_trial trial = llem_trial_from_completions(0, llem_request_from_text("hello"), completions);
        llem_goodput_count(&goodput, &trial);
    }
    // Two of three, from 100 ms to 600 ms.
    llem_reading rate = llem_goodput_rate(&goodput, &session);
    CHECK(rate.is_known && fabs(rate.quantity.value - 4.0) < 1e-12 && strcmp(rate.quantity.unit, "{request}/s") == 0);
}

static void emissions_and_cost_follow_from_energy_pue_and_intensity(void) {
    llem_electricity_supply supply =
        llem_electricity_supply_with_price(llem_electricity_supply_new(400.0, 1.5), 0.3, "EUR");
    llem_quantity energy = llem_quantity_new(3.6e6, 3.6e4, "J", LLEM_NVML_COUNTER);
    llem_quantity carbon = llem_electricity_supply_carbon(&supply, energy).quantity;
    CHECK(fabs(carbon.value - 600.0) < 1e-9 && fabs(carbon.uncertainty - 6.0) < 1e-9);
    CHECK(strcmp(carbon.unit, "g") == 0 && llem_source_is(carbon.source, LLEM_MODELLED));
    llem_quantity cost = llem_electricity_supply_cost(&supply, energy).quantity;
    CHECK(fabs(cost.value - 0.45) < 1e-12 && strcmp(cost.unit, "EUR") == 0);
    CHECK(!llem_electricity_supply_carbon(&supply, llem_quantity_exact(1.0, "W", LLEM_SENSOR)).is_known);
}

/// Creates the trial of a generation that took two seconds of decode, with this many tokens after ten prompt tokens.
static llem_trial decoded(size_t tokens) {
    llem_generation *generation = llem_alloc(sizeof *generation);
    generation->decode_time = 2000 * MS;
    generation->measurement.activity = (llem_activity){.decode_time = 2000 * MS, .flops_decode = 1e12};
    llem_completion completion = {.prompt_tokens = 10};
    for (size_t index = 0; index < tokens; index++) {
        llem_push(&completion.tokens, 0);
    }
    llem_push(&generation->completions, completion);
    return llem_trial_from_generation(0, llem_request_from_text("hello"), generation);
}

static void efficiency_is_a_share_of_the_peaks_of_all_ranks(void) {
    llem_quantity peak = llem_quantity_exact(1e12, "FLOP/s", LLEM_DATASHEET);
    llem_trial trial = decoded(3), first_token_only = decoded(1);
    CHECK(fabs(llem_trial_decode_mfu(&trial, peak, 1).quantity.value - 0.5) < 1e-12);
    CHECK(fabs(llem_trial_decode_mfu(&trial, peak, 2).quantity.value - 0.25) < 1e-12);
    CHECK(!llem_trial_prefill_mfu(&trial, peak, 1).is_known);

    // Two steps after prefill: the weights twice, and the keys and values of 11 and 12 tokens. 2030 bytes in 2 s.
    llem_quantity bandwidth = llem_quantity_exact(2030.0, "By/s", LLEM_DATASHEET);
    llem_model_info model = {.decode_weight_bytes = 900, .kv_bytes_per_token = 10};
    CHECK(fabs(llem_trial_decode_mbu(&trial, &model, bandwidth).quantity.value - 0.5) < 1e-12);
    llem_push(&model.ranks, (llem_rank){.device = "cpu"});
    llem_push(&model.ranks, (llem_rank){.device = "cpu"});
    CHECK(fabs(llem_trial_decode_mbu(&trial, &model, bandwidth).quantity.value - 0.25) < 1e-12);
    CHECK(!llem_trial_decode_mbu(&first_token_only, &model, bandwidth).is_known);
    model.experts = 8;
    CHECK(!llem_trial_decode_mbu(&trial, &model, bandwidth).is_known);
}

static llem_reading joules(double value) {
    return llem_known(llem_quantity_new(value, 0.5, "J", LLEM_RAPL));
}

static void energies_and_memory_peaks_are_summed_over_the_devices_and_domains_of_a_kind(void) {
    llem_measurement measurement = {0};
    const llem_device_energy energies[] = {
        {"cpu", "package-0", joules(10.0)}, {"cpu", "package-1", joules(20.0)},
        {"cpu", "dram-0", joules(3.0)},     {"cuda:0", "gpu", joules(100.0)},
        {"cuda:1", "gpu", llem_unavailable("the window was too short")}, {"cuda:2", "gpu", joules(7.0)},
    };
    for (size_t index = 0; index < 6; index++) {
        llem_push(&measurement.energy, energies[index]);
        if (index < 5) {
            llem_push(&measurement.energy_covers, (llem_domain){energies[index].device, energies[index].domain});
        }
    }
    CHECK(llem_reading_value(llem_measurement_energy_of(&measurement, "cpu", "")) == 33.0);
    CHECK(llem_reading_value(llem_measurement_energy_of(&measurement, "cpu", "package")) == 30.0);
    CHECK(llem_reading_value(llem_measurement_energy_of(&measurement, "cpu", "package-1")) == 20.0);
    CHECK(llem_reading_value(llem_measurement_energy_of(&measurement, "cuda:0", "")) == 100.0);
    const char *reason = llem_measurement_energy_of(&measurement, "cuda", "").reason;
    CHECK(strcmp(reason, "the window was too short") == 0);
    reason = llem_measurement_energy_of(&measurement, "cuda:2", "").reason;
    CHECK(strcmp(reason, "no energy of cuda:2 is part of the total") == 0);
    reason = llem_measurement_energy_of(&measurement, "cpu", "pack").reason;
    CHECK(strcmp(reason, "no energy of cpu pack is part of the total") == 0);

    llem_reading megabyte = llem_known(llem_quantity_exact(1e6, "By", LLEM_COUNTED));
    llem_push(&measurement.memory_peaks, (llem_memory_peak){"cpu", "device", megabyte});
    llem_push(&measurement.memory_peaks, (llem_memory_peak){"cuda:0", "device", megabyte});
    llem_push(&measurement.memory_peaks, (llem_memory_peak){"cuda:1", "device", megabyte});
    CHECK(llem_reading_value(llem_measurement_memory_peak(&measurement, "device", "cuda")) == 2e6);
    CHECK(llem_reading_value(llem_measurement_memory_peak(&measurement, "device", "")) == 3e6);
    reason = llem_measurement_memory_peak(&measurement, "process-device", "cuda").reason;
    CHECK(strcmp(reason, "no memory of the kind process-device cuda was read") == 0);
}

static void a_step_is_over_when_its_last_sequence_has_its_token(void) {
    llem_generation generation = {.measurement.started = 5};
    llem_times times = llem_generation_step_times(&generation);
    CHECK(times.count == 1 && times.items[0] == 5);
    llem_push(&generation.completions, served(10, (uint64_t[]){30, 45, 60, 0}));
    llem_push(&generation.completions, served(11, (uint64_t[]){31, 44, 0}));
    times = llem_generation_step_times(&generation);
    CHECK(times.count == 4 && times.items[0] == 10 * MS && times.items[1] == 31 * MS);
    CHECK(times.items[2] == 45 * MS && times.items[3] == 60 * MS);
}

int main(void) {
    a_sequence_must_meet_all_levels_inclusively();
    goodput_counts_sequences_that_meet_their_levels_over_the_whole_time();
    emissions_and_cost_follow_from_energy_pue_and_intensity();
    efficiency_is_a_share_of_the_peaks_of_all_ranks();
    energies_and_memory_peaks_are_summed_over_the_devices_and_domains_of_a_kind();
    a_step_is_over_when_its_last_sequence_has_its_token();
    return end_of_checks();
}
