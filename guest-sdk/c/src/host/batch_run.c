// Runs a workload in one continuous batch.
//
//             ahead of time               at its arrival
//  workload ──── next ────► submit ──────────► host: admit, step, step, ... ended ──► trial ──► next, observe
//                 │◄── scheduled: at most 64 ──►│◄────────── pending ──────────►│
//
// The host admits requests at their arrivals by itself. The code here does not delay them, provided that requests are
// submitted early enough.

#include "experiment.h"

#include "llem/batch.h"
#include "llem/meter.h"

#include <string.h>

/// The maximum number of sequences that are submitted before their arrival. More would cost the host little, but a
/// workload that adapts to ended trials would react later.
enum { MAX_SCHEDULED = 64 };

/// The time from the first submission to the moment that arrivals count from. Without it the first requests would be due
/// while later ones are still being tokenized.
static const uint64_t LEAD = 50000000;

/// A submitted request with at least one sequence that has not ended, or an ended one.
typedef struct submitted {
    uint32_t index;
    llem_request request;
    llem_times sequences;
    /// The completion of each sequence, in order. One that has not ended has no `finish`.
    llem_completion *completions;
    size_t ended;
    /// The memory of the sequences and completions.
    llem_arena *arena;
    struct submitted *next;
} submitted;

/// The state of a run in a continuous batch.
typedef struct batch_run {
    running *run;
    llem_batch batch;
    llem_schedule schedule;
    /// The moment that arrivals count from, in ns since the run began.
    uint64_t began;
    /// The number of submitted requests.
    uint32_t count;
    /// The submitted requests that have not ended, and their number.
    submitted *pending;
    uint32_t pending_count;
    /// Ended requests that the workload has not received yet, the first to end first.
    submitted *ended;
    submitted **last_ended;
    /// Whether the workload may return another request.
    bool has_more;
} batch_run;

static uint64_t sum(uint64_t one, uint64_t other) {
    return one > UINT64_MAX - other ? UINT64_MAX : one + other;
}

/// Returns true if another request can be submitted now.
static bool has_capacity(batch_run *batch) {
    uint64_t length = batch->schedule.length.is_some ? batch->schedule.length.value : UINT64_MAX;
    batch->has_more = batch->has_more && llem_now() < sum(batch->began, length);
    llem_optional_u32 most = batch->schedule.concurrency;
    return batch->has_more && (!most.is_some || batch->pending_count < most.value) &&
           llem_batch_get_status(batch->batch).scheduled < MAX_SCHEDULED;
}

/// Submits the workload's next request. If there is none, or if it arrives after the schedule's length, no more are
/// requested.
static llem_result submit(batch_run *batch, const llem_request *next) {
    llem_optional_u64 length = batch->schedule.length;
    if (next == NULL || (next->arrival.is_some && length.is_some && next->arrival.value >= length.value)) {
        batch->has_more = false;
        return LLEM_OK;
    }
    llem_optional_u64 arrival = {next->arrival.is_some, sum(batch->began, next->arrival.value)};
    llem_arena *arena = llem_arena_new(), *previous = llem_arena_use(arena);
    submitted *request = llem_alloc(sizeof *request);
    *request = (submitted){.index = batch->count, .request = *next, .arena = arena, .next = batch->pending};
    llem_result result = llem_batch_submit(batch->batch, next, arrival, &request->sequences);
    if (result == LLEM_OK) {
        request->completions = llem_alloc(request->sequences.count * sizeof *request->completions);
    }
    llem_arena_use(previous);
    LLEM_TRY(result);
    batch->pending = request;
    batch->pending_count++;
    batch->count++;
    return LLEM_OK;
}

/// Records an ended sequence. If all sequences of its request have ended, the request is moved to the ended ones.
static void complete(batch_run *batch, WIT(generations_own_completion_t) own) {
    uint64_t sequence = WIT(generations_method_completion_sequence)(WIT(generations_borrow_completion)(own));
    for (submitted **at = &batch->pending; *at != NULL; at = &(*at)->next) {
        submitted *request = *at;
        for (size_t index = 0; index < request->sequences.count; index++) {
            if (request->sequences.items[index] != sequence) {
                continue;
            }
            llem_arena *previous = llem_arena_use(request->arena);
            request->completions[index] = completion_from(own);
            llem_arena_use(previous);
            if (++request->ended == request->sequences.count) {
                *at = request->next;
                request->next = NULL;
                batch->pending_count--;
                *batch->last_ended = request;
                batch->last_ended = &request->next;
            }
            return;
        }
    }
    WIT(generations_completion_drop_own)(own);
}

/// Asks the workload for its next request. If a trial has ended, the workload and then the metrics receive it.
static llem_result next_request(batch_run *batch, const llem_request **next) {
    running *run = batch->run;
    submitted *ended = batch->ended;
    if (ended == NULL) {
        return run->workload.next(run->workload.self, NULL, next);
    }
    batch->ended = ended->next;
    if (batch->ended == NULL) {
        batch->last_ended = &batch->ended;
    }
    llem_completions completions = {.items = ended->completions, .count = ended->sequences.count};
    llem_trial trial = llem_trial_from_completions(ended->index, ended->request, completions);
    LLEM_TRY(run->workload.next(run->workload.self, &trial, next));
    if (run->metrics.observe != NULL) {
        LLEM_TRY(run->metrics.observe(run->metrics.self, &trial));
    }
    if (!run->keeps_trials) {
        llem_arena_free(ended->arena);
    }
    return LLEM_OK;
}

/// Runs steps until one or more sequences end, and records them.
static llem_result run_until_end(batch_run *batch) {
    llem_arena *scratch = llem_arena_new(), *previous = llem_arena_use(scratch);
    WIT(batches_borrow_batch_t) borrowed = {batch->batch.handle};
    WIT(batches_own_progress_t) own;
    WIT(batches_error_t) error;
    bool is_ok = WIT(batches_method_batch_run_until_end)(borrowed, &own, &error);
    bool is_stuck = false;
    if (is_ok) {
        WIT(batches_borrow_progress_t) progress = WIT(batches_borrow_progress)(own);
        WIT(batches_list_own_completion_t) ended;
        WIT(batches_method_progress_ended)(progress, &ended);
        is_stuck = ended.len == 0 && WIT(batches_method_progress_steps)(progress) == 0;
        for (size_t index = 0; index < ended.len; index++) {
            complete(batch, ended.ptr[index]);
        }
        WIT(batches_progress_drop_own)(own);
    }
    llem_arena_use(previous);
    llem_result result = is_ok ? LLEM_OK : llem_fail((llem_error_code)error.code, "%s", text_from(error.message));
    llem_arena_free(scratch);
    LLEM_TRY(result);
    return is_stuck ? llem_fail(LLEM_FAILED, "requests of the workload wait for a script that chooses their tokens, which "
                                             "no workload can")
                    : LLEM_OK;
}

static llem_result run_all(batch_run *batch, const llem_request *first) {
    while (true) {
        while (has_capacity(batch)) {
            const llem_request *next = first;
            first = NULL;
            if (next == NULL) {
                LLEM_TRY(next_request(batch, &next));
            }
            LLEM_TRY(submit(batch, next));
        }
        if (batch->pending == NULL) {
            break;
        }
        LLEM_TRY(run_until_end(batch));
        llem_show_progress(batch->count - batch->pending_count, total_requests(batch->run), "requests");
    }
    while (batch->ended != NULL) {
        const llem_request *ignored = NULL;
        LLEM_TRY(next_request(batch, &ignored));
    }
    return LLEM_OK;
}

llem_result measure_batched(running *run, const llem_schedule *schedule, const llem_request *first,
                            llem_session *session) {
    if (schedule->concurrency.is_some && schedule->concurrency.value == 0) {
        return llem_fail(LLEM_INVALID_ARGUMENT, "the workload's schedule has a concurrency of 0: it is at least 1");
    }
    batch_run batch = {.run = run, .schedule = *schedule, .has_more = true};
    batch.last_ended = &batch.ended;
    LLEM_TRY(llem_model_open_batch(run->model, schedule->batch, &batch.batch));
    llem_window window;
    LLEM_TRY(llem_window_open("session", &window));
    batch.began = llem_now() + (first->arrival.is_some ? LEAD : 0);
    llem_result result = run_all(&batch, first);
    llem_measurement *measurement = llem_alloc(sizeof *measurement);
    llem_result closed = llem_window_close(window, measurement);
    llem_batch_drop(batch.batch);
    LLEM_TRY(result);
    session->measurement = measurement;
    return closed;
}
