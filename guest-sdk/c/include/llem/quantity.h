/// Quantities: numbers with an uncertainty, a unit and a source, and arithmetic on them.
///
/// Uncertainties propagate to first order for independent inputs (JCGM 100:2008, GUM, 5.1.2). Quantities from a power
/// model are different: its error is the same in each of them, so their uncertainties are fully correlated and add up
/// linearly (GUM 5.2.2, note 1).
#ifndef LLEM_QUANTITY_H
#define LLEM_QUANTITY_H

#include "memory.h"

/// The source of a number is a word, because later versions may add sources. Compare it with `llem_source_is`.
typedef const char *llem_source;

/// A monotonic clock of the host.
#define LLEM_CLOCK "clock"
/// An exact count of tokens, bytes or requests.
#define LLEM_COUNTED "counted"
/// NVML's cumulative energy counter of a GPU.
#define LLEM_NVML_COUNTER "nvml-counter"
/// NVML's power field, integrated over time by the host.
#define LLEM_NVML_POWER "nvml-power"
/// RAPL's cumulative energy counter of a CPU package or its DRAM.
#define LLEM_RAPL "rapl"
/// An instantaneous reading of a device.
#define LLEM_SENSOR "sensor"
/// A computation from the model's shape, not an observation.
#define LLEM_ANALYTIC "analytic"
/// A computation from other quantities.
#define LLEM_DERIVED "derived"
/// A power model that the user declared, or a property that is known for a kind of device.
#define LLEM_MODELLED "modelled"
/// A vendor's datasheet.
#define LLEM_DATASHEET "datasheet"
/// A simulation of the hardware, not a reading of a machine.
#define LLEM_SIMULATED "simulated"
/// A statement of a script.
#define LLEM_SCRIPT "script"

/// Returns whether a source is this one.
bool llem_source_is(llem_source source, llem_source other);

/// A number with its standard uncertainty, unit and source.
typedef struct llem_quantity {
    /// The value, in `unit`.
    double value;
    /// The standard uncertainty (one standard deviation, GUM 4.2.3) in `unit`. It is 0 for an exact number.
    double uncertainty;
    /// The unit, in UCUM's spelling if UCUM has it: `J`, `W`, `s`, `Cel`, `MHz`, `FLOP`, `{token}/s`.
    const char *unit;
    /// The source of the value.
    llem_source source;
} llem_quantity;

/// A quantity, or the reason why it is not available. Zero means a measured zero.
typedef struct llem_reading {
    /// Whether the quantity is known.
    bool is_known;
    /// The quantity if it is known.
    llem_quantity quantity;
    /// The reason if it is not known, otherwise `NULL`.
    const char *reason;
} llem_reading;

LLEM_LIST(llem_quantities, llem_quantity);
LLEM_LIST(llem_readings, llem_reading);

/// Creates a quantity with a standard uncertainty, whose sign is ignored.
llem_quantity llem_quantity_new(double value, double uncertainty, const char *unit, llem_source source);

/// Creates a quantity without uncertainty.
llem_quantity llem_quantity_exact(double value, const char *unit, llem_source source);

/// Creates a reading that is known.
llem_reading llem_known(llem_quantity quantity);

/// Creates a reading that is not available, with the reason.
llem_reading llem_unavailable(const char *reason);

/// Creates the reading of a statistic: exact and `LLEM_DERIVED`. It is not available if the value is NaN, which is what
/// statistics of too few values are.
llem_reading llem_statistic(double value, const char *unit);

/// Adds the quantity of a reading to a list if it is known.
void llem_quantities_add(llem_quantities *list, llem_reading reading);

/// Computes the mean of repeated values, with the standard deviation of the mean as its uncertainty (GUM 4.2.3). It is
/// not available if there are no values. A single value has no known spread and gets an uncertainty of 0.
llem_reading llem_quantity_mean(const llem_numbers *values, const char *unit);

/// Computes the mean of repeated quantities. The uncertainty is the standard deviation of the mean, or the mean's
/// uncertainty propagated from the quantities if that is larger. It is not available if there are no quantities or if
/// their units differ.
llem_reading llem_quantity_mean_of(const llem_quantities *quantities);

/// Adds two quantities. The sum is not available if their units differ.
llem_reading llem_quantity_plus(llem_quantity one, llem_quantity other);

/// Subtracts a quantity. The difference is not available if the units differ.
llem_reading llem_quantity_minus(llem_quantity one, llem_quantity other);

/// Multiplies two quantities. `unit` is the unit of the product.
llem_quantity llem_quantity_times(llem_quantity one, llem_quantity other, const char *unit);

/// Divides by a quantity. `unit` is the unit of the ratio. The ratio is not available if the divisor is zero.
llem_reading llem_quantity_over(llem_quantity dividend, llem_quantity divisor, const char *unit);

/// Divides by an exact number. `unit` is the unit of the ratio. The ratio is not available if the divisor is zero.
llem_reading llem_quantity_per(llem_quantity dividend, double divisor, const char *unit);

/// Returns the value of a reading, or NaN if it is not available.
///
/// The functions of readings below compute with numbers any of which may be missing. A result is not available if an input
/// is not, with the reason of the first such input. Otherwise it is that of the function of quantities.
double llem_reading_value(llem_reading reading);

/// Adds two readings. The sum is not available if their units differ.
llem_reading llem_reading_plus(llem_reading one, llem_reading other);

/// Subtracts a reading. The difference is not available if the units differ.
llem_reading llem_reading_minus(llem_reading one, llem_reading other);

/// Multiplies two readings. `unit` is the unit of the product.
llem_reading llem_reading_times(llem_reading one, llem_reading other, const char *unit);

/// Multiplies by an exact number. `unit` is the unit of the product.
llem_reading llem_reading_scaled(llem_reading one, double factor, const char *unit);

/// Divides by a reading. `unit` is the unit of the ratio. The ratio is not available if the divisor is zero.
llem_reading llem_reading_over(llem_reading one, llem_reading divisor, const char *unit);

/// Divides by an exact number. `unit` is the unit of the ratio. The ratio is not available if the divisor is zero.
llem_reading llem_reading_per(llem_reading one, double divisor, const char *unit);

/// Adds all readings. `otherwise` is the reason if there are none.
llem_reading llem_reading_total(const llem_readings *readings, const char *otherwise);

/// Computes the mean of repeated readings (`llem_quantity_mean_of`). `otherwise` is the reason if there are none.
llem_reading llem_reading_mean(const llem_readings *readings, const char *otherwise);

/// Formats the value and its uncertainty with two digits of the uncertainty: `12.34 ± 0.56`.
const char *llem_quantity_in_two_digits(llem_quantity quantity);

#endif
