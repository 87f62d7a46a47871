#include "experiment.h"

#include "llem/meter.h"
#include "llem/warmup.h"

/// A metrics policy that calls a function with all trials.
typedef struct metrics_of_function {
    llem_metrics_function *function;
    llem_trials trials;
} metrics_of_function;

static llem_result keep(void *self, const llem_trial *trial) {
    metrics_of_function *metrics = self;
    llem_push(&metrics->trials, *trial);
    return LLEM_OK;
}

static llem_result derive_by_function(void *self, const llem_model_info *model, const llem_session *session,
                                      llem_metrics *list) {
    (void)session;
    metrics_of_function *metrics = self;
    return metrics->function(model, &metrics->trials, list);
}

uint64_t total_requests(const running *run) {
    return run->workload.total != NULL ? run->workload.total(run->workload.self) : 0;
}

/// Ends a phase also if its work has failed, and returns the first error.
static llem_result end_phase(llem_phase phase, llem_result result) {
    llem_result ended = llem_phase_end(phase);
    return result != LLEM_OK ? result : ended;
}

/// Runs a request alone. What the host returns is in `arena`, or in the current one if it is `NULL`.
static llem_result run_alone(const running *run, uint32_t index, const llem_request *request, llem_arena *arena,
                             llem_trial *trial) {
    llem_arena *previous = llem_arena_use(arena);
    llem_generation *generation = llem_alloc(sizeof *generation);
    llem_result result = llem_model_generate(run->model, request, generation);
    llem_arena_use(previous);
    LLEM_TRY(result);
    *trial = llem_trial_from_generation(index, *request, generation);
    return LLEM_OK;
}

static llem_result warm_up(running *run, const llem_request *first) {
    llem_trials history = {0};
    for (;;) {
        llem_warmup_step step = {0};
        LLEM_TRY(run->warmup.next(run->warmup.self, &history, &step));
        if (step.kind == LLEM_STEP_DONE) {
            llem_log(LLEM_INFO, "warm: %s", step.reason);
            return LLEM_OK;
        }
        if (step.kind == LLEM_STEP_WAIT) {
            llem_sleep_for(step.length);
            continue;
        }
        llem_request request = step.request != NULL ? *step.request : *first;
        if (step.max_new_tokens.is_some && step.max_new_tokens.value < request.max_new_tokens) {
            request.max_new_tokens = step.max_new_tokens.value;
        }
        llem_trial trial;
        LLEM_TRY(run_alone(run, (uint32_t)history.count, &request, NULL, &trial));
        llem_push(&history, trial);
    }
}

/// Measures requests one after another.
static llem_result measure_alone(running *run, const llem_request *first) {
    uint64_t total = total_requests(run);
    const llem_request *next = first;
    for (uint32_t index = 0; next != NULL; index++) {
        llem_show_progress(index, total, next->label);
        llem_arena *arena = run->keeps_trials ? NULL : llem_arena_new();
        llem_trial trial;
        LLEM_TRY(run_alone(run, index, next, arena, &trial));
        next = NULL;
        LLEM_TRY(run->workload.next(run->workload.self, &trial, &next));
        if (run->metrics.observe != NULL) {
            LLEM_TRY(run->metrics.observe(run->metrics.self, &trial));
        }
        llem_arena_free(arena);
    }
    return LLEM_OK;
}

static llem_result derive(running *run, const llem_session *session) {
    llem_model_info info = llem_model_get_info(run->model);
    llem_metrics metrics = {0};
    LLEM_TRY(run->metrics.derive(run->metrics.self, &info, session, &metrics));
    for (size_t index = 0; index < metrics.count; index++) {
        LLEM_TRY(llem_add_metric(&metrics.items[index]));
    }
    return LLEM_OK;
}

llem_result llem_experiment_run(const llem_experiment *experiment) {
    metrics_of_function function = {.function = experiment->metrics};
    running run = {
        .model = experiment->model,
        .warmup = experiment->warmup,
        .workload = experiment->workload,
        .metrics = experiment->metrics_policy,
    };
    if (run.warmup.next == NULL) {
        run.warmup = llem_fixed_count(LLEM_FIXED_COUNT_DEFAULT);
    }
    if (experiment->metrics != NULL) {
        run.metrics = (llem_metrics_policy){keep, derive_by_function, &function};
        run.keeps_trials = true;
    }
    llem_schedule schedule = {0};
    if (run.workload.begin != NULL) {
        llem_model_info info = llem_model_get_info(run.model);
        LLEM_TRY(run.workload.begin(run.workload.self, &info, &schedule));
    }
    const llem_request *first = NULL;
    if (run.workload.next != NULL) {
        LLEM_TRY(run.workload.next(run.workload.self, NULL, &first));
    }
    if (first == NULL) {
        return llem_fail(LLEM_FAILED, "the workload has no request");
    }
    llem_phase phase;
    if (experiment->baseline_length > 0) {
        llem_baseline baseline;
        LLEM_TRY(llem_phase_begin("baseline", &phase));
        LLEM_TRY(end_phase(phase, llem_baseline_recall_or_measure(experiment->baseline_length,
                                                                  experiment->baseline_lifetime, &baseline)));
    }
    LLEM_TRY(llem_phase_begin("warmup", &phase));
    LLEM_TRY(end_phase(phase, warm_up(&run, first)));
    llem_session session = {0};
    LLEM_TRY(llem_phase_begin("measure", &phase));
    LLEM_TRY(end_phase(phase, schedule.has_batch ? measure_batched(&run, &schedule, first, &session)
                                                 : measure_alone(&run, first)));
    if (run.metrics.derive == NULL) {
        return LLEM_OK;
    }
    LLEM_TRY(llem_phase_begin("derive", &phase));
    return end_phase(phase, derive(&run, &session));
}
