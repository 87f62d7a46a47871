/// Measurement in steady state only: of a full batch, or of a chip that has reached its temperature.
#ifndef LLEM_STEADY_STATE_H
#define LLEM_STEADY_STATE_H

#include "policy.h"

/// Options for measuring a continuous batch while it is full, which is how ML.ENERGY defines steady state (arXiv
/// 2505.06371, section 3.2). The time in which the batch fills or drains is not included.
typedef struct llem_saturated_batch {
    /// The options of the batch. It is full when `max_sequences` sequences run.
    llem_batch_options options;
    /// How long the window is open, in ns.
    uint64_t length;
    /// The number of steps with a full batch before the window opens, so that sequences then end at different times.
    uint32_t settle_steps;
} llem_saturated_batch;

/// The measurement of a full batch.
typedef struct llem_steady_state {
    /// The time, energy and tokens of the window.
    llem_measurement measurement;
    /// The number of steps in the window.
    uint64_t steps;
    /// Whether there were no more requests before the window reached its length.
    bool ran_out;
} llem_steady_state;

/// Runs the requests that `next` returns, with one prompt each, until the window reaches its length or `next` leaves
/// `*request` at `NULL`. Fails if there are too few requests to fill the batch.
llem_result llem_saturated_batch_measure(const llem_saturated_batch *options, llem_model model, const char *label,
                                         llem_result (*next)(void *self, const llem_request **request), void *self,
                                         llem_steady_state *state);

/// The lengths and counts of trials that all begin at the same temperature, as `zeus.profile` runs them. Leakage power
/// follows temperature, so trials without a pause would each take more energy than the previous one until the chip has
/// settled. Each trial idles, warms up, and then runs in a window.
typedef struct llem_thermal_protocol {
    /// The idle time before each trial, in ns.
    uint64_t cooldown;
    /// The number of runs before the window of each trial.
    uint32_t warmup_runs;
    /// The minimum length of the window, in ns.
    uint64_t window;
    /// The number of trials.
    uint32_t trials;
    /// The standard deviation of the trials' energies, as a share of their mean, below which they count as steady.
    double threshold;
} llem_thermal_protocol;

/// zeus.profile's longest cooldown and window, and its ten trials. The threshold is 1 %, whereas zeus.profile has one in
/// joules.
#define LLEM_THERMAL_PROTOCOL_DEFAULT                                                                                   \
    ((llem_thermal_protocol){                                                                                          \
        .cooldown = LLEM_SECONDS(10), .warmup_runs = 10, .window = LLEM_SECONDS(10), .trials = 10, .threshold = 0.01})

/// A device that reports its temperature, with the temperatures at the beginning and end of a window, in Cel.
typedef struct llem_temperature_change {
    const char *device;
    double first, last;
} llem_temperature_change;

LLEM_LIST(llem_temperature_changes, llem_temperature_change);

/// The result of one trial.
typedef struct llem_thermal_trial {
    /// The energy of a run, in J.
    llem_reading energy_per_run;
    /// The number of runs in the window.
    uint32_t runs;
    /// The length of the window, in s.
    double seconds;
    /// The temperatures.
    llem_temperature_changes temperatures;
} llem_thermal_trial;

LLEM_LIST(llem_thermal_trials, llem_thermal_trial);

/// A setting that a sweep tried: cooldown and window in s, and the relative standard deviation of its trials.
typedef struct llem_thermal_setting {
    double cooldown, window, deviation;
} llem_thermal_setting;

LLEM_LIST(llem_thermal_settings, llem_thermal_setting);

/// The result of a sweep over windows and cooldowns.
typedef struct llem_thermal_sweep {
    /// The protocol with the shortest window and cooldown whose trials were steady.
    llem_thermal_protocol protocol;
    /// Whether any trials were steady. If not, `protocol` has the longest window and cooldown.
    bool is_steady;
    /// Every setting that was tried.
    llem_thermal_settings tried;
} llem_thermal_sweep;

/// Runs the trials. `work` is one run. Cooldown, warm-up and window of each trial are phases of the record.
llem_result llem_thermal_protocol_run(const llem_thermal_protocol *protocol, llem_result (*work)(void *self), void *self,
                                      llem_thermal_trials *trials);

/// Finds the shortest steady window and cooldown, in ns. It tries windows with the longest cooldown first, then cooldowns
/// with the window that was found, each from the shortest. Fails if `windows` or `cooldowns` is empty.
llem_result llem_thermal_protocol_sweep(const llem_thermal_protocol *protocol, const llem_times *windows,
                                        const llem_times *cooldowns, llem_result (*work)(void *self), void *self,
                                        llem_thermal_sweep *sweep);

/// Adds the mean energy of a run as the metric `joules_per_run`. Fails with the reason if the energy of a trial is not
/// known.
llem_result llem_joules_per_run(const llem_thermal_trials *trials, llem_metrics *metrics);

#endif
