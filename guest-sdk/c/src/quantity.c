#include "llem/quantity.h"
#include "llem/statistics.h"

#include <math.h>
#include <string.h>

bool llem_source_is(llem_source source, llem_source other) {
    return strcmp(source, other) == 0;
}

/// Returns the source of a result of two quantities. A result of an input that was not measured does not count as
/// measured either: it has that input's source.
static llem_source derived(llem_source one, llem_source other) {
    static const llem_source not_measured[] = {LLEM_SCRIPT, LLEM_SIMULATED, LLEM_MODELLED};
    for (size_t index = 0; index < sizeof not_measured / sizeof *not_measured; index++) {
        if (llem_source_is(one, not_measured[index]) || llem_source_is(other, not_measured[index])) {
            return not_measured[index];
        }
    }
    return LLEM_DERIVED;
}

llem_quantity llem_quantity_new(double value, double uncertainty, const char *unit, llem_source source) {
    return (llem_quantity){value, fabs(uncertainty), unit, source};
}

llem_quantity llem_quantity_exact(double value, const char *unit, llem_source source) {
    return (llem_quantity){value, 0.0, unit, source};
}

llem_reading llem_known(llem_quantity quantity) {
    return (llem_reading){.is_known = true, .quantity = quantity};
}

llem_reading llem_unavailable(const char *reason) {
    return (llem_reading){.reason = reason};
}

llem_reading llem_statistic(double value, const char *unit) {
    if (isnan(value)) {
        return llem_unavailable("there are too few values");
    }
    return llem_known(llem_quantity_exact(value, unit, LLEM_DERIVED));
}

void llem_quantities_add(llem_quantities *list, llem_reading reading) {
    if (reading.is_known) {
        llem_push(list, reading.quantity);
    }
}

llem_reading llem_quantity_mean(const llem_numbers *values, const char *unit) {
    if (values->count == 0) {
        return llem_unavailable("there are no values");
    }
    double uncertainty = values->count > 1 ? llem_standard_error(values) : 0.0;
    return llem_known(llem_quantity_new(llem_mean(values), uncertainty, unit, LLEM_DERIVED));
}

llem_reading llem_quantity_mean_of(const llem_quantities *quantities) {
    if (quantities->count == 0) {
        return llem_unavailable("there are no quantities");
    }
    const char *unit = quantities->items[0].unit;
    llem_numbers values = {0};
    bool is_modelled = false;
    for (size_t index = 0; index < quantities->count; index++) {
        const llem_quantity *quantity = &quantities->items[index];
        if (strcmp(quantity->unit, unit) != 0) {
            return llem_unavailable(llem_format("%s and %s cannot be averaged", unit, quantity->unit));
        }
        llem_push(&values, quantity->value);
        is_modelled |= llem_source_is(quantity->source, LLEM_MODELLED);
    }
    llem_quantity mean = llem_quantity_mean(&values, unit).quantity;
    double own = 0.0;
    for (size_t index = 0; index < quantities->count; index++) {
        const llem_quantity *quantity = &quantities->items[index];
        own = is_modelled ? own + quantity->uncertainty : hypot(own, quantity->uncertainty);
        mean.source = derived(mean.source, quantity->source);
    }
    mean.uncertainty = fmax(mean.uncertainty, own / (double)values.count);
    return llem_known(mean);
}

llem_reading llem_quantity_plus(llem_quantity one, llem_quantity other) {
    if (strcmp(one.unit, other.unit) != 0) {
        return llem_unavailable(llem_format("%s and %s cannot be added", one.unit, other.unit));
    }
    bool are_modelled = llem_source_is(one.source, LLEM_MODELLED) && llem_source_is(other.source, LLEM_MODELLED);
    return llem_known((llem_quantity){
        .value = one.value + other.value,
        .uncertainty = are_modelled ? one.uncertainty + other.uncertainty : hypot(one.uncertainty, other.uncertainty),
        .unit = one.unit,
        .source = llem_source_is(one.source, other.source) ? one.source : derived(one.source, other.source),
    });
}

llem_reading llem_quantity_minus(llem_quantity one, llem_quantity other) {
    other.value = -other.value;
    return llem_quantity_plus(one, other);
}

llem_quantity llem_quantity_times(llem_quantity one, llem_quantity other, const char *unit) {
    double uncertainty = hypot(one.uncertainty * other.value, other.uncertainty * one.value);
    return llem_quantity_new(one.value * other.value, uncertainty, unit, derived(one.source, other.source));
}

llem_reading llem_quantity_over(llem_quantity dividend, llem_quantity divisor, const char *unit) {
    if (divisor.value == 0.0) {
        return llem_unavailable("the divisor is zero");
    }
    double value = dividend.value / divisor.value;
    // u(a/b) = sqrt(u(a)^2 + (a/b)^2 u(b)^2) / |b|, which also holds at a = 0.
    double uncertainty = hypot(dividend.uncertainty, value * divisor.uncertainty) / divisor.value;
    return llem_known(llem_quantity_new(value, uncertainty, unit, derived(dividend.source, divisor.source)));
}

llem_reading llem_quantity_per(llem_quantity dividend, double divisor, const char *unit) {
    return llem_quantity_over(dividend, llem_quantity_exact(divisor, unit, LLEM_COUNTED), unit);
}

const char *llem_quantity_in_two_digits(llem_quantity quantity) {
    double decimals = quantity.uncertainty > 0.0 ? 1.0 - floor(log10(quantity.uncertainty)) : 1.0;
    int digits = (int)fmin(fmax(decimals, 0.0), 9.0);
    return llem_format("%.*f ± %.*f", digits, quantity.value, digits, quantity.uncertainty);
}
