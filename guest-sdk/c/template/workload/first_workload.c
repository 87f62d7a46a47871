/// Sends prompts of one length at random times.

#include <llem.h>

static llem_about about(void) {
    llem_about about = llem_about_new("first-workload", "0.1.0", "Sends prompts of one length at random times");
    llem_about_integer(&about, "requests", 20, "how many prompts are sent");
    llem_about_number(&about, "rate", 10.0, "requests a second, on average");
    llem_about_integer(&about, "new-tokens", 16, "tokens generated for each prompt");
    llem_about_integer(&about, "max-sequences", 8, "sequences that run at the same time");
    return about;
}

/// Requests that arrive as a Poisson process, in a continuous batch.
static llem_workload_policy timed;

static llem_result begin(void *self, const llem_model_info *model, llem_schedule *schedule) {
    (void)self;
    uint32_t requests, new_tokens, max_sequences;
    double rate;
    LLEM_TRY(llem_parameter_u32("requests", &requests));
    LLEM_TRY(llem_parameter_f64("rate", &rate));
    LLEM_TRY(llem_parameter_u32("new-tokens", &new_tokens));
    LLEM_TRY(llem_parameter_u32("max-sequences", &max_sequences));
    llem_request request = llem_request_from_text("The quick brown fox jumps over the lazy dog. ");
    request.label = "fox";
    request.max_new_tokens = new_tokens;
    request.ignore_eos = true;
    llem_request_list_options list = {.rounds = requests};
    llem_push(&list.requests, request);
    llem_batch_options options = {.max_sequences = max_sequences};
    timed = llem_arrivals_apply_to(llem_arrivals_poisson(rate), llem_request_list(list), options);
    return timed.begin(timed.self, model, schedule);
}

static llem_result next(void *self, const llem_trial *last, const llem_request **request) {
    (void)self;
    return timed.next(timed.self, last, request);
}

static llem_workload_policy policy(void) {
    return (llem_workload_policy){.begin = begin, .next = next};
}

LLEM_WORKLOAD(about, policy);
