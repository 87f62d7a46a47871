/// What the phases of an experiment share.
#ifndef LLEM_HOST_EXPERIMENT_H
#define LLEM_HOST_EXPERIMENT_H

#include "convert.h"
#include "llem/experiment.h"

/// An experiment that runs.
typedef struct running {
    llem_model model;
    llem_warmup_policy warmup;
    llem_workload_policy workload;
    /// The metrics. `observe` is `NULL` if there are none.
    llem_metrics_policy metrics;
    /// Whether trials are kept until the end. Otherwise each is freed as soon as the policies have seen it.
    bool keeps_trials;
} running;

/// Measures the workload in a continuous batch, in one window.
llem_result measure_batched(running *run, const llem_schedule *schedule, const llem_request *first,
                            llem_session *session);

/// Returns the total number of requests, or 0 if it is not known.
uint64_t total_requests(const running *run);

#endif
