#include "llem/batch.h"
#include "llem/meter.h"
#include "llem/steady_state.h"

/// The source of requests.
typedef struct source {
    llem_result (*next)(void *self, const llem_request **request);
    void *self;
} source;

/// Submits requests until the batch is full. `is_full` is false if there are no more.
static llem_result fill(llem_batch batch, uint32_t full, source from, bool *is_full) {
    llem_batch_status status = llem_batch_get_status(batch);
    *is_full = true;
    for (uint32_t count = status.running + status.waiting; count < full; count++) {
        const llem_request *request = NULL;
        llem_times sequences;
        LLEM_TRY(from.next(from.self, &request));
        if (request == NULL) {
            *is_full = false;
            return LLEM_OK;
        }
        LLEM_TRY(llem_batch_submit(batch, request, (llem_optional_u64){0}, &sequences));
    }
    return LLEM_OK;
}

static llem_result run_full(llem_batch batch, const llem_saturated_batch *options, source from, llem_steady_state *state) {
    llem_progress step;
    bool is_full = true;
    for (uint64_t elapsed = 0; elapsed < options->length; elapsed += step.finished - step.started) {
        LLEM_TRY(fill(batch, options->options.max_sequences, from, &is_full));
        if (!is_full) {
            break;
        }
        LLEM_TRY(llem_batch_step(batch, &step));
        state->steps++;
    }
    state->ran_out = !is_full;
    return LLEM_OK;
}

static llem_result measure(llem_batch batch, const llem_saturated_batch *options, const char *label, source from,
                           llem_steady_state *state) {
    for (uint32_t step = 0; step <= options->settle_steps; step++) {
        bool is_full;
        llem_progress progress;
        LLEM_TRY(fill(batch, options->options.max_sequences, from, &is_full));
        if (!is_full) {
            return llem_fail(LLEM_FAILED, "the requests run out before the batch has been full");
        }
        LLEM_TRY(llem_batch_step(batch, &progress));
    }
    llem_window window;
    LLEM_TRY(llem_window_open(label, &window));
    llem_steady_state measured = {0};
    llem_result result = run_full(batch, options, from, &measured);
    llem_result closed = llem_window_close(window, &measured.measurement);
    LLEM_TRY(result);
    LLEM_TRY(closed);
    *state = measured;
    return LLEM_OK;
}

llem_result llem_saturated_batch_measure(const llem_saturated_batch *options, llem_model model, const char *label,
                                         llem_result (*next)(void *self, const llem_request **request), void *self,
                                         llem_steady_state *state) {
    llem_batch batch;
    LLEM_TRY(llem_model_open_batch(model, options->options, &batch));
    llem_result result = measure(batch, options, label, (source){next, self}, state);
    llem_batch_drop(batch);
    return result;
}
