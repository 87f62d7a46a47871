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

llem_interval llem_interval_of(const llem_numbers *values, double confidence) {
    double mean = llem_mean(values), error = llem_standard_error(values);
    if (values->count < 2 || !(confidence > 0.0 && confidence < 1.0)) {
        return (llem_interval){NAN, NAN, NAN};
    }
    // The lower tail has more digits than the upper one if the confidence is close to 1.
    double half = -llem_t_quantile((1.0 - confidence) / 2.0, (double)(values->count - 1)) * error;
    return (llem_interval){mean, mean - half, mean + half};
}
