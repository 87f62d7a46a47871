#include "llem/inputs.h"
#include "llem/report.h"
#include "llem/request_list.h"
#include "llem/tokenizer.h"

typedef struct timed_workload {
    llem_arrivals arrivals;
    llem_workload_policy workload;
    llem_batch_options options;
    /// The generator of the times and its random numbers, from the beginning of the workload on.
    bool has_begun;
    llem_arrival_times times;
    llem_random random;
    /// The request that was returned last.
    llem_request request;
} timed_workload;

static llem_result begin(void *self, const llem_model_info *model, llem_schedule *schedule) {
    timed_workload *timed = self;
    if (timed->workload.begin != NULL) {
        LLEM_TRY(timed->workload.begin(timed->workload.self, model, schedule));
    }
    LLEM_TRY(llem_arrivals_times(&timed->arrivals, &timed->times));
    timed->random = llem_random_new(timed->arrivals.stream);
    timed->has_begun = true;
    *schedule = (llem_schedule){
        .has_batch = true,
        .batch = timed->options,
        .concurrency = timed->arrivals.concurrency,
        .length = timed->arrivals.length,
    };
    return LLEM_OK;
}

static llem_result next(void *self, const llem_trial *last, const llem_request **request) {
    timed_workload *timed = self;
    if (!timed->has_begun) {
        return llem_fail(LLEM_FAILED, "a workload is asked for requests before it has begun");
    }
    const llem_request *untimed = NULL;
    LLEM_TRY(timed->workload.next(timed->workload.self, last, &untimed));
    if (untimed != NULL) {
        timed->request = *untimed;
        if (llem_arrival_times_draw(&timed->times, llem_random_source(&timed->random), &timed->request.arrival)) {
            *request = &timed->request;
        }
    }
    return LLEM_OK;
}

static uint64_t total(void *self) {
    timed_workload *timed = self;
    return timed->workload.total != NULL ? timed->workload.total(timed->workload.self) : 0;
}

llem_workload_policy llem_arrivals_apply_to(llem_arrivals arrivals, llem_workload_policy workload,
                                            llem_batch_options options) {
    timed_workload timed = {.arrivals = arrivals, .workload = workload, .options = options};
    return (llem_workload_policy){
        .begin = begin,
        .next = next,
        .total = total,
        .self = llem_copy(&timed, sizeof timed),
    };
}

static llem_result count_tokens(llem_model model, const llem_prompt *prompt, size_t *count) {
    if (prompt->kind == LLEM_PROMPT_TOKENS) {
        *count = prompt->tokens.count;
        return LLEM_OK;
    }
    llem_tokenizer tokenizer;
    llem_tokens tokens;
    const char *text = prompt->text;
    LLEM_TRY(llem_model_tokenizer(model, &tokenizer));
    if (prompt->kind == LLEM_PROMPT_CHAT) {
        LLEM_TRY(llem_tokenizer_apply_chat_template(tokenizer, &prompt->chat, &text));
    }
    LLEM_TRY(llem_tokenizer_encode(tokenizer, text, true, &tokens));
    llem_tokenizer_drop(tokenizer);
    *count = tokens.count;
    return LLEM_OK;
}

llem_result llem_requests_fitting(llem_requests *requests, llem_model model) {
    uint32_t context = llem_model_get_info(model).context_length;
    llem_requests fitting = {0};
    for (size_t index = 0; index < requests->count; index++) {
        const llem_request *request = &requests->items[index];
        size_t longest = 0, count = 0;
        for (size_t prompt = 0; prompt < request->prompts.count; prompt++) {
            LLEM_TRY(count_tokens(model, &request->prompts.items[prompt], &count));
            longest = count > longest ? count : longest;
        }
        if (longest + request->max_new_tokens <= context) {
            llem_push(&fitting, *request);
        }
    }
    if (fitting.count < requests->count) {
        llem_warn("%zu of %zu requests are left out: they do not fit the model's context of %u tokens",
                  requests->count - fitting.count, requests->count, context);
    }
    *requests = fitting;
    return LLEM_OK;
}
