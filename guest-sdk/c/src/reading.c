#include "llem/quantity.h"

#include <math.h>
#include <string.h>

double llem_reading_value(llem_reading reading) {
    return reading.is_known ? reading.quantity.value : NAN;
}

/// Returns from the calling function with the first of two readings that is not available.
#define BOTH_KNOWN(one, other)                                                                                          \
    if (!(one).is_known || !(other).is_known) {                                                                        \
        return (one).is_known ? (other) : (one);                                                                       \
    }

llem_reading llem_reading_plus(llem_reading one, llem_reading other) {
    BOTH_KNOWN(one, other)
    return llem_quantity_plus(one.quantity, other.quantity);
}

llem_reading llem_reading_minus(llem_reading one, llem_reading other) {
    BOTH_KNOWN(one, other)
    if (strcmp(one.quantity.unit, other.quantity.unit) != 0) {
        return llem_unavailable(llem_format("%s cannot be subtracted from %s", other.quantity.unit, one.quantity.unit));
    }
    return llem_quantity_minus(one.quantity, other.quantity);
}

llem_reading llem_reading_times(llem_reading one, llem_reading other, const char *unit) {
    BOTH_KNOWN(one, other)
    return llem_known(llem_quantity_times(one.quantity, other.quantity, unit));
}

llem_reading llem_reading_scaled(llem_reading one, double factor, const char *unit) {
    return llem_reading_times(one, llem_known(llem_quantity_exact(factor, unit, LLEM_COUNTED)), unit);
}

llem_reading llem_reading_over(llem_reading one, llem_reading divisor, const char *unit) {
    BOTH_KNOWN(one, divisor)
    return llem_quantity_over(one.quantity, divisor.quantity, unit);
}

llem_reading llem_reading_per(llem_reading one, double divisor, const char *unit) {
    return llem_reading_over(one, llem_known(llem_quantity_exact(divisor, unit, LLEM_COUNTED)), unit);
}

llem_reading llem_reading_total(const llem_readings *readings, const char *otherwise) {
    llem_reading total = readings->count > 0 ? readings->items[0] : llem_unavailable(otherwise);
    for (size_t index = 1; index < readings->count; index++) {
        total = llem_reading_plus(total, readings->items[index]);
    }
    return total;
}

llem_reading llem_reading_mean(const llem_readings *readings, const char *otherwise) {
    llem_quantities quantities = {0};
    for (size_t index = 0; index < readings->count; index++) {
        if (!readings->items[index].is_known) {
            return readings->items[index];
        }
        llem_push(&quantities, readings->items[index].quantity);
    }
    return quantities.count > 0 ? llem_quantity_mean_of(&quantities) : llem_unavailable(otherwise);
}
