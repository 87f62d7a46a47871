/// Measures prompts of random lengths: time to first token, speed and energy.

#include <llem.h>

static const char SENTENCE[] = "The quick brown fox jumps over the lazy dog. ";

static llem_about about(void) {
    llem_about about = llem_about_new("first-experiment", "0.1.0",
                                      "Time to first token, speed and energy for prompts of random lengths");
    llem_about_integer(&about, "prompts", 8, "how many prompts are measured");
    llem_about_integer(&about, "new-tokens", 16, "tokens generated for each prompt");
    return about;
}

/// Returns prompts of one to four sentences, whose lengths are drawn from the run's seed.
static llem_requests draw_requests(uint32_t count, uint32_t new_tokens) {
    llem_random random = llem_random_new("lengths");
    llem_requests requests = {0};
    for (uint32_t index = 0; index < count; index++) {
        size_t sentences = 1 + (size_t)(4.0 * llem_random_next_f64(random));
        llem_request request = llem_request_from_text(llem_repeat(SENTENCE, sentences));
        request.label = llem_format("%zu sentences", sentences);
        request.max_new_tokens = new_tokens;
        request.ignore_eos = true;
        llem_push(&requests, request);
    }
    return requests;
}

static llem_result derive(const llem_model_info *model, const llem_trials *trials, llem_metrics *metrics) {
    (void)model;
    llem_numbers ttft = {0};
    llem_quantities rates = {0}, energies = {0};
    for (size_t index = 0; index < trials->count; index++) {
        const llem_trial *trial = &trials->items[index];
        llem_trial_ttft(trial, &ttft);
        llem_quantities_add(&rates, llem_trial_decode_rate(trial));
        llem_quantities_add(&energies, llem_trial_joules_per_output_token(trial));
    }
    llem_metrics_add(metrics, "ttft_mean", llem_quantity_mean(&ttft, "s"));
    llem_metrics_add(metrics, "ttft_p90", llem_statistic(llem_percentile(&ttft, 90.0), "s"));
    llem_metrics_add(metrics, "decode_rate", llem_quantity_mean_of(&rates));
    llem_metrics_add(metrics, "joules_per_output_token", llem_quantity_mean_of(&energies));
    return LLEM_OK;
}

static llem_result run(void) {
    llem_model model;
    uint32_t prompts, new_tokens;
    LLEM_TRY(llem_model_load_granted(&model));
    LLEM_TRY(llem_parameter_u32("prompts", &prompts));
    LLEM_TRY(llem_parameter_u32("new-tokens", &new_tokens));
    return llem_experiment_run(&(llem_experiment){
        .model = model,
        .warmup = llem_fixed_count(LLEM_FIXED_COUNT_DEFAULT),
        .workload = llem_request_list((llem_request_list_options){draw_requests(prompts, new_tokens), .rounds = 1}),
        .metrics = derive,
    });
}

LLEM_EXPERIMENT(about, run);
