/// The three policies that an experiment is assembled from: structs of functions, and what the functions receive as
/// `self`.
#ifndef LLEM_POLICY_H
#define LLEM_POLICY_H

#include "error.h"
#include "model.h"
#include "report.h"
#include "trial.h"

/// Options of a continuous batch. A field that is zero has its default.
typedef struct llem_batch_options {
    /// The maximum number of sequences that run at a time. At least 1.
    uint32_t max_sequences;
    /// The maximum number of tokens of one sequence, prompt and output together. Absent means the model's context
    /// length, which may take a lot of memory.
    llem_optional_u32 max_tokens;
    /// The maximum number of prompt rows in a step, at least 1. Absent means 512.
    llem_optional_u32 prefill_chunk;
    /// The maximum number of rows in a step, prompt and decode together, at least `max_sequences`. Absent means no
    /// limit.
    llem_optional_u32 max_rows;
    /// Whether a request that needs more KV memory than is free now is refused. Otherwise its sequences wait.
    bool refuses_when_full;
    /// Whether prompts reuse keys and values that are already in the cache.
    bool prefix_cache;
} llem_batch_options;

/// How the requests of a workload are run. `{0}` runs one request after another, each alone.
typedef struct llem_schedule {
    /// Whether all requests run in a continuous batch. Otherwise the other fields have no effect.
    bool has_batch;
    /// The options of the batch.
    llem_batch_options batch;
    /// The maximum number of submitted requests that have not ended (a closed loop). Absent means that every request is
    /// submitted at its arrival, or at once.
    llem_optional_u32 concurrency;
    /// How long requests are sent, in ns. Absent means until the workload ends.
    llem_optional_u64 length;
} llem_schedule;

/// The measurement of all requests of a workload together.
typedef struct llem_session {
    /// The time and energy of all measured requests and of the time between them. `NULL` if each request ran alone.
    const llem_measurement *measurement;
} llem_session;

/// The next step of a warm-up.
typedef struct llem_warmup_step {
    enum llem_warmup_step_kind {
        /// Runs a request.
        LLEM_STEP_RUN,
        /// Waits without running anything.
        LLEM_STEP_WAIT,
        /// Ends the warm-up.
        LLEM_STEP_DONE,
    } kind;
    /// The request to run. `NULL` means the first request of the workload.
    const llem_request *request;
    /// Shortens the output to at most this many tokens.
    llem_optional_u32 max_new_tokens;
    /// How long to wait, in ns.
    uint64_t length;
    /// The reason why the warm-up ends, which goes to the record.
    const char *reason;
} llem_warmup_step;

/// Runs the workload's first request with at most this many output tokens. Absent leaves the request as it is.
llem_warmup_step llem_step_run_first(llem_optional_u32 max_new_tokens);

/// Waits this long, in ns, without running anything.
llem_warmup_step llem_step_wait(uint64_t length);

/// Ends the warm-up, with the reason.
llem_warmup_step llem_step_done(const char *reason);

/// Decides how the machine is warmed up.
typedef struct llem_warmup_policy {
    /// Returns the next step. `history` holds all warm-up trials so far.
    llem_result (*next)(void *self, const llem_trials *history, llem_warmup_step *step);
    /// What `next` receives.
    void *self;
} llem_warmup_policy;

/// Decides which requests are measured, and when they are sent.
typedef struct llem_workload_policy {
    /// Returns how the requests are run on this model. It is called once, before all other functions. `NULL` runs one
    /// request after another.
    llem_result (*begin)(void *self, const llem_model_info *model, llem_schedule *schedule);
    /// Returns the next request, or leaves `*request` at `NULL` at the end. `last` is a trial that has ended since the
    /// previous call, or `NULL`.
    ///
    /// In a continuous batch this is called before the arrival of the request. Trials that end after the last request
    /// are passed in further calls.
    llem_result (*next)(void *self, const llem_trial *last, const llem_request **request);
    /// Returns the total number of requests for the progress display, or 0 if it is not known. May be `NULL`.
    uint64_t (*total)(void *self);
    /// What the functions receive.
    void *self;
} llem_workload_policy;

/// Derives metrics from the measured trials.
typedef struct llem_metrics_policy {
    /// Records a measured trial as soon as it has ended. The trial is freed afterwards.
    llem_result (*observe)(void *self, const llem_trial *trial);
    /// Adds the metrics of all observed trials to the list. It is called once, at the end.
    llem_result (*derive)(void *self, const llem_model_info *model, const llem_session *session, llem_metrics *metrics);
    /// What the functions receive.
    void *self;
} llem_metrics_policy;

/// Adds the metrics of all trials to the list.
typedef llem_result llem_metrics_function(const llem_model_info *model, const llem_trials *trials,
                                          llem_metrics *metrics);

#endif
