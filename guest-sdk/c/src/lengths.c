#include "llem/lengths.h"
#include "variates.h"

#include <math.h>

static llem_lengths of_shape(llem_length_shape shape, double first, double second) {
    return (llem_lengths){shape, first, second, 1, UINT32_MAX};
}

llem_lengths llem_lengths_fixed(uint32_t length) {
    return llem_lengths_within(of_shape(LLEM_LENGTHS_FIXED, length, 0.0), 0, UINT32_MAX);
}

llem_lengths llem_lengths_uniform(uint32_t low, uint32_t high) {
    return llem_lengths_within(of_shape(LLEM_LENGTHS_UNIFORM, low, high), 0, UINT32_MAX);
}

llem_lengths llem_lengths_normal(double mean, double deviation) {
    return of_shape(LLEM_LENGTHS_NORMAL, mean, deviation);
}

llem_lengths llem_lengths_exponential(double mean) {
    return of_shape(LLEM_LENGTHS_EXPONENTIAL, mean, 0.0);
}

llem_lengths llem_lengths_pareto(double mean, double shape) {
    return of_shape(LLEM_LENGTHS_PARETO, mean, shape);
}

llem_lengths llem_lengths_lognormal(double mean, double deviation) {
    return of_shape(LLEM_LENGTHS_LOGNORMAL, mean, deviation);
}

llem_lengths llem_lengths_within(llem_lengths lengths, uint32_t minimum, uint32_t maximum) {
    lengths.minimum = minimum;
    lengths.maximum = maximum;
    return lengths;
}

/// Returns why the distribution does not exist, or `NULL` if it does.
static const char *problem_of(const llem_lengths *lengths) {
    double first = lengths->first, second = lengths->second;
    llem_length_shape shape = lengths->shape;
    if (!(isfinite(first) && isfinite(second) && first >= 0.0 && second >= 0.0)) {
        return llem_format("%g and %g are not both numbers from 0", first, second);
    }
    if (shape != LLEM_LENGTHS_FIXED && shape != LLEM_LENGTHS_UNIFORM && first == 0.0) {
        return "its mean is 0";
    }
    if (shape == LLEM_LENGTHS_PARETO && second <= 1.0) {
        return llem_format("its shape %g is not above 1", second);
    }
    if (shape == LLEM_LENGTHS_UNIFORM && first > second) {
        return llem_format("%g is above %g", first, second);
    }
    if (lengths->minimum > lengths->maximum) {
        return llem_format("there is no length from %u to %u", lengths->minimum, lengths->maximum);
    }
    return NULL;
}

static double draw_number(const llem_lengths *lengths, llem_uniform_source uniform) {
    double first = lengths->first, second = lengths->second;
    switch (lengths->shape) {
    case LLEM_LENGTHS_UNIFORM:
        return first + floor(uniform.next(uniform.self) * (second - first + 1.0));
    case LLEM_LENGTHS_NORMAL:
        return first + second * llem_normal_variate(uniform);
    case LLEM_LENGTHS_EXPONENTIAL:
        return first * llem_exponential_variate(uniform);
    case LLEM_LENGTHS_PARETO:
        return first * (second - 1.0) / second * exp(llem_exponential_variate(uniform) / second);
    case LLEM_LENGTHS_LOGNORMAL: {
        // The variance of the logarithm.
        double variance = log1p((second / first) * (second / first));
        return first * exp(sqrt(variance) * llem_normal_variate(uniform) - variance / 2.0);
    }
    default:
        return first;
    }
}

llem_result llem_lengths_draw(const llem_lengths *lengths, size_t count, llem_uniform_source uniform,
                              llem_tokens *drawn) {
    static const char *const names[] = {"fixed", "uniform", "normal", "exponential", "pareto", "lognormal"};
    const char *problem = problem_of(lengths);
    if (problem != NULL) {
        return llem_fail(LLEM_INVALID_ARGUMENT, "the distribution of lengths '%s': %s", names[lengths->shape], problem);
    }
    llem_tokens list = {0};
    for (size_t index = 0; index < count; index++) {
        double number = fmin(fmax(draw_number(lengths, uniform), lengths->minimum), lengths->maximum);
        llem_push(&list, (uint32_t)floor(number + 0.5));
    }
    *drawn = list;
    return LLEM_OK;
}
