/// Warm-up policies: by count, by time, or until latency or temperature is steady.
#ifndef LLEM_WARMUP_H
#define LLEM_WARMUP_H

#include "policy.h"

/// Options of a warm-up with a fixed number of runs of the workload's first request, with a shortened output.
typedef struct llem_fixed_count_options {
    /// The number of runs.
    size_t runs;
    /// The maximum number of tokens that each run generates. Absent leaves the request as it is.
    llem_optional_u32 max_new_tokens;
} llem_fixed_count_options;

/// Five runs of two tokens. Two tokens exercise both prefill and decode.
#define LLEM_FIXED_COUNT_DEFAULT ((llem_fixed_count_options){.runs = 5, .max_new_tokens = LLEM_SOME(2)})

/// Creates a warm-up with a fixed number of runs.
llem_warmup_policy llem_fixed_count(llem_fixed_count_options options);

/// Creates a warm-up that runs nothing, for experiments that measure the cost of a first request.
llem_warmup_policy llem_cold_start(void);

/// Options of a warm-up with the workload's first request until a minimum time has passed since the first run began.
typedef struct llem_time_floor_options {
    /// The minimum time, in ns.
    uint64_t floor;
    /// The maximum number of tokens that each run generates. Absent leaves the request as it is.
    llem_optional_u32 max_new_tokens;
} llem_time_floor_options;

/// 30 s. Energy counters and clocks settle within about half a minute.
#define LLEM_TIME_FLOOR_DEFAULT ((llem_time_floor_options){.floor = LLEM_SECONDS(30)})

/// Creates a warm-up for a minimum time.
llem_warmup_policy llem_time_floor(llem_time_floor_options options);

/// Creates a warm-up with a fixed number of runs first, and then until a minimum time has passed since the first of
/// them.
llem_warmup_policy llem_count_then_floor(llem_fixed_count_options count, llem_time_floor_options floor);

/// Options of a warm-up until the coefficient of variation (CV) of the last latencies falls below a threshold.
typedef struct llem_cv_convergence_options {
    /// The number of last latencies that the coefficient is computed of.
    size_t window;
    /// The coefficient of variation (standard deviation divided by mean) below which latencies count as steady.
    double threshold;
    /// The maximum number of runs. After them the warm-up ends, and the record says that the latency was not steady.
    size_t max_runs;
    /// The maximum number of tokens that each run generates. Absent leaves the request as it is.
    llem_optional_u32 max_new_tokens;
} llem_cv_convergence_options;

/// The last 5 latencies, 5 %, and at most 50 runs.
#define LLEM_CV_CONVERGENCE_DEFAULT ((llem_cv_convergence_options){.window = 5, .threshold = 0.05, .max_runs = 50})

/// Creates a warm-up until latencies are steady.
llem_warmup_policy llem_cv_convergence(llem_cv_convergence_options options);

/// Options of a warm-up with the workload's first request until no device's temperature has changed for some time.
typedef struct llem_temperature_plateau_options {
    /// The maximum change of a temperature that counts as steady, in K.
    double kelvin;
    /// The time over which the change is taken, in ns.
    uint64_t period;
    /// The maximum length of the warm-up, in ns. After it the warm-up ends, and the record says that the temperature was
    /// not steady.
    uint64_t max_time;
    /// The maximum number of tokens that each run generates. Absent leaves the request as it is.
    llem_optional_u32 max_new_tokens;
} llem_temperature_plateau_options;

/// A maximum change of 1 K in 30 s, because sensors report whole degrees, and at most 10 minutes.
#define LLEM_TEMPERATURE_PLATEAU_DEFAULT                                                                                \
    ((llem_temperature_plateau_options){.kelvin = 1.0, .period = LLEM_SECONDS(30), .max_time = LLEM_SECONDS(600)})

/// Creates a warm-up until the temperature of the devices is steady. Leakage, and with it power, follows temperature.
llem_warmup_policy llem_temperature_plateau(llem_temperature_plateau_options options);

#endif
