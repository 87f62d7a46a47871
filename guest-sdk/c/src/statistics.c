#include "llem/statistics.h"

#include <math.h>
#include <stdlib.h>

double llem_mean(const llem_numbers *values) {
    double sum = 0.0;
    for (size_t index = 0; index < values->count; index++) {
        sum += values->items[index];
    }
    return values->count > 0 ? sum / (double)values->count : NAN;
}

double llem_standard_deviation(const llem_numbers *values) {
    if (values->count < 2) {
        return NAN;
    }
    double mean = llem_mean(values), squares = 0.0;
    for (size_t index = 0; index < values->count; index++) {
        double difference = values->items[index] - mean;
        squares += difference * difference;
    }
    return sqrt(squares / (double)(values->count - 1));
}

double llem_population_standard_deviation(const llem_numbers *values) {
    double mean = llem_mean(values), squares = 0.0;
    for (size_t index = 0; index < values->count; index++) {
        double difference = values->items[index] - mean;
        squares += difference * difference;
    }
    return values->count > 0 ? sqrt(squares / (double)values->count) : NAN;
}

double llem_standard_error(const llem_numbers *values) {
    return llem_standard_deviation(values) / sqrt((double)values->count);
}

double llem_coefficient_of_variation(const llem_numbers *values) {
    double mean = llem_mean(values);
    return mean > 0.0 ? llem_standard_deviation(values) / mean : NAN;
}

static int ascending(const void *one, const void *other) {
    double first = *(const double *)one, second = *(const double *)other;
    return (first > second) - (first < second);
}

double llem_percentile(const llem_numbers *values, double p) {
    if (values->count == 0 || !(p >= 0.0 && p <= 100.0)) {
        return NAN;
    }
    for (size_t index = 0; index < values->count; index++) {
        if (isnan(values->items[index])) {
            return NAN;
        }
    }
    double *sorted = llem_copy(values->items, values->count * sizeof *sorted);
    qsort(sorted, values->count, sizeof *sorted, ascending);
    size_t last = values->count - 1;
    double position = p / 100.0 * (double)last;
    // Rounding may put the position of a percentile below 100 on the last value.
    size_t below = position >= (double)last ? last : (size_t)position;
    double low = sorted[below], high = sorted[below < last ? below + 1 : last];
    double share = position - (double)below;
    if (share == 0.0) {
        return low;
    }
    // Interpolates from the closer value, as numpy does, so that the percentile 100 is the largest value itself.
    return share < 0.5 ? low + (high - low) * share : high - (high - low) * (1.0 - share);
}

double llem_median(const llem_numbers *values) {
    return llem_percentile(values, 50.0);
}

/// Returns the sum of the weights of `count` values, or NaN if they are no weights.
static double sum_of_weights(const llem_numbers *weights, size_t count) {
    double sum = 0.0;
    for (size_t index = 0; index < weights->count; index++) {
        double weight = weights->items[index];
        if (!(weight >= 0.0 && isfinite(weight))) {
            return NAN;
        }
        sum += weight;
    }
    return weights->count == count && sum > 0.0 ? sum : NAN;
}

double llem_weighted_mean(const llem_numbers *values, const llem_numbers *weights) {
    double total = sum_of_weights(weights, values->count), sum = 0.0;
    if (isnan(total)) {
        return NAN;
    }
    for (size_t index = 0; index < values->count; index++) {
        sum += values->items[index] * weights->items[index];
    }
    return sum / total;
}

typedef struct weighted {
    double value;
    double weight;
} weighted;

static int by_value(const void *one, const void *other) {
    const weighted *first = one, *second = other;
    int order = ascending(&first->value, &second->value);
    return order != 0 ? order : ascending(&first->weight, &second->weight);
}

double llem_weighted_percentile(const llem_numbers *values, const llem_numbers *weights, double p) {
    if (isnan(sum_of_weights(weights, values->count)) || !(p >= 0.0 && p <= 100.0)) {
        return NAN;
    }
    weighted *ordered = llem_alloc(values->count * sizeof *ordered);
    size_t count = 0;
    for (size_t index = 0; index < values->count; index++) {
        if (isnan(values->items[index])) {
            return NAN;
        }
        if (weights->items[index] > 0.0) {
            ordered[count++] = (weighted){values->items[index], weights->items[index]};
        }
    }
    qsort(ordered, count, sizeof *ordered, by_value);
    double total = 0.0, reached = 0.0;
    for (size_t index = 0; index < count; index++) {
        total += ordered[index].weight;
    }
    for (size_t index = 0; index < count; index++) {
        reached += ordered[index].weight;
        if (reached / total >= p / 100.0) {
            return ordered[index].value;
        }
    }
    return ordered[count - 1].value;
}

llem_interval llem_interval_of(const llem_numbers *values, double confidence) {
    double mean = llem_mean(values), error = llem_standard_error(values);
    if (values->count < 2 || !(confidence > 0.0 && confidence < 1.0)) {
        return (llem_interval){NAN, NAN, NAN};
    }
    // The lower tail has more digits than the upper one if the confidence is close to 1.
    double half = -llem_t_quantile((1.0 - confidence) / 2.0, (double)(values->count - 1)) * error;
    return (llem_interval){mean, mean - half, mean + half};
}
