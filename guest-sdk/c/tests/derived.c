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

int main(void) {
    a_sequence_must_meet_all_levels_inclusively();
    goodput_counts_sequences_that_meet_their_levels_over_the_whole_time();
    emissions_and_cost_follow_from_energy_pue_and_intensity();
    efficiency_is_a_share_of_the_peaks_of_all_ranks();
    return end_of_checks();
}
