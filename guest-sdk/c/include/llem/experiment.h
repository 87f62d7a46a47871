/// The standard phases of an experiment.
///
///     begin --> (idle baseline -->) warmup: next, generate, ... done --> measure: next, generate, observe, ... --> derive
///
/// If the workload's schedule has a continuous batch, all measured requests go into it instead.
#ifndef LLEM_EXPERIMENT_H
#define LLEM_EXPERIMENT_H

#include "policy.h"

/// An experiment assembled from a warm-up policy, a workload and metrics. A field that is left out has its default.
typedef struct llem_experiment {
    /// The model.
    llem_model model;
    /// How long idle power is measured before the warm-up, in ns, so that every measurement also has its energy above
    /// idle. 0 means no baseline.
    uint64_t baseline_length;
    /// The maximum age of an earlier run's baseline that is used instead, in ns.
    uint64_t baseline_lifetime;
    /// The warm-up policy. Five runs of two tokens by default.
    llem_warmup_policy warmup;
    /// The workload: the requests that are measured.
    llem_workload_policy workload;
    /// The metrics as a function of all trials. The trials are kept in memory until the end.
    llem_metrics_function *metrics;
    /// The metrics as a policy that receives one trial after another, instead of `metrics`.
    llem_metrics_policy metrics_policy;
} llem_experiment;

/// Runs all phases in order, each as a phase of the run record: `baseline`, `warmup`, `measure`, `derive`. Reports the
/// metrics. Fails if the workload has no request.
llem_result llem_experiment_run(const llem_experiment *experiment);

#endif
