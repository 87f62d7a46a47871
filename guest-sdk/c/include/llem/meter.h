/// Windows, the host's clock, the resolution of energy counters, and idle power. Times and lengths are in ns.
#ifndef LLEM_METER_H
#define LLEM_METER_H

#include "error.h"
#include "measurement.h"

/// Returns the time since the run began.
uint64_t llem_now(void);

/// Waits until this time.
void llem_sleep_until(uint64_t time);

/// Waits for this long.
void llem_sleep_for(uint64_t length);

/// Waits until a device's power changes by less than `watts` within one second, and returns how long that took.
///
/// `device` is a device's id. `NULL` means the device that the run measures. Fails with `LLEM_FAILED` after `timeout`,
/// and with `LLEM_UNSUPPORTED` if nothing meters the device.
llem_result llem_wait_until_power_steady(const char *device, double watts, uint64_t timeout, uint64_t *waited);

/// Waits until a device's temperature changes by less than `kelvin` within ten seconds, and returns how long that took.
/// The other arguments and errors are those of `llem_wait_until_power_steady`.
llem_result llem_wait_until_temperature_steady(const char *device, double kelvin, uint64_t timeout, uint64_t *waited);

/// An open window, which measures time and energy until `llem_window_close`. Windows may nest and overlap.
typedef struct llem_window {
    int32_t handle;
} llem_window;

/// Opens a window. The host waits until all device work has ended, then reads clock and counters.
llem_result llem_window_open(const char *label, llem_window *window);

/// Begins a new segment of the measurement. The host does not wait for device work. Fails with `LLEM_LIMIT_REACHED`
/// after 1,000 marks.
llem_result llem_window_mark(llem_window window, const char *label);

/// Closes the window. The host waits until all device work has ended, reads counters and clock, and writes the
/// measurement to the record under the open phase. Fails if a device has failed. The window is recorded in that case too.
llem_result llem_window_close(llem_window window, llem_measurement *measurement);

/// One reading of the power of a device's power domain.
typedef struct llem_sample {
    /// When the power was read.
    uint64_t at;
    /// The device's id.
    const char *device;
    /// The power domain within it.
    const char *domain;
    /// The power in W: the sensor's reading or, without a sensor, the counter's increase since the previous sample
    /// divided by the time.
    llem_quantity power;
} llem_sample;

LLEM_LIST(llem_samples, llem_sample);

/// Returns the power samples since a time, the oldest first. 0 means since the window opened. At most the newest 65,536
/// samples of each power domain are returned.
llem_samples llem_window_timeline(llem_window window, uint64_t since);

/// The time resolution of a power domain's energy counter.
typedef struct llem_resolution {
    /// The device's id.
    const char *device;
    /// The power domain within it.
    const char *domain;
    /// The source of the energy, or `NULL` if it is not measured.
    llem_source source;
    /// The reason why the energy is not measured, or `NULL`.
    const char *reason;
    /// The time between two updates of the counter, in s.
    llem_reading update_period;
} llem_resolution;

LLEM_LIST(llem_resolutions, llem_resolution);

/// Returns the time resolution of each power domain of this machine.
llem_resolutions llem_counter_resolution(void);

/// The idle power of one power domain of a device.
typedef struct llem_idle_power {
    /// The device's id.
    const char *device;
    /// The power domain within it.
    const char *domain;
    /// The mean power, in W. The uncertainty includes the scatter of the readings.
    llem_reading power;
    /// The reason why the power was not steady: it rose, fell or scattered by more than 5 %. `NULL` if it was steady.
    const char *unsteady;
    /// Whether a model was on the device. A loaded model keeps a GPU from its deepest idle state.
    bool holds_model;
} llem_idle_power;

LLEM_LIST(llem_idle_powers, llem_idle_power);

/// The idle power of the machine: a separate measurement with a date.
typedef struct llem_baseline {
    /// When the baseline was measured, in seconds since 1970-01-01 UTC.
    uint64_t measured_at;
    /// How long the measurement took.
    uint64_t wall_time;
    /// Whether an earlier run measured the baseline.
    bool from_earlier_run;
    /// The idle power of each power domain of each device.
    llem_idle_powers power;
} llem_baseline;

/// Measures idle power for `length`, which must be between 100 ms and 10 minutes, and stores it for later runs. From then
/// on `energy_above_idle` of measurements uses it.
///
/// An idle GPU that holds a model takes more power than one that holds none. A baseline that was measured with a model on
/// a GPU is therefore used only for windows with a model on it, and the reverse.
llem_result llem_baseline_measure(uint64_t length, llem_baseline *baseline);

/// Returns the baseline that an earlier run measured at most `lifetime` ago on these devices, with models on the same
/// devices as now. Otherwise measures one.
llem_result llem_baseline_recall_or_measure(uint64_t length, uint64_t lifetime, llem_baseline *baseline);

#endif
