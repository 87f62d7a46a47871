/// Runs every case of guest-sdk/numbers.json, which all SDKs share. Its results come from numpy, scipy, mpmath and
/// uncertainties.

#include "check.h"
#include "json.h"
#include "llem/arrivals.h"
#include "llem/lengths.h"
#include "llem/quantity.h"
#include "llem/statistics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/// How far a number may be from the expected one, relative to it.
static const double TOLERANCE = 1e-12;

static double number(const llem_json *arguments, const char *name) {
    return llem_json_number(llem_json_at(arguments, name));
}

static llem_numbers numbers(const llem_json *arguments, const char *name) {
    const llem_json *list = llem_json_at(arguments, name);
    llem_numbers values = {0};
    for (size_t index = 0; index < list->items.count; index++) {
        llem_push(&values, llem_json_number(&list->items.items[index]));
    }
    return values;
}

static llem_quantity quantity(const llem_json *from) {
    return llem_quantity_new(number(from, "value"), number(from, "uncertainty"), llem_json_text(llem_json_at(from, "unit")),
                             llem_json_text(llem_json_at(from, "source")));
}

/// Returns whether a number is the expected one. NaN stands for a statistic that is not defined, which is null there.
static bool is_number(double result, const llem_json *expected) {
    if (expected->kind == LLEM_JSON_NULL || isnan(llem_json_number(expected))) {
        return isnan(result);
    }
    double value = llem_json_number(expected);
    return result == value || fabs(result - value) <= TOLERANCE * fabs(value);
}

static bool is_quantity(llem_reading result, const llem_json *expected) {
    if (!result.is_known || expected->kind == LLEM_JSON_NULL) {
        return !result.is_known && expected->kind == LLEM_JSON_NULL;
    }
    return is_number(result.quantity.value, llem_json_at(expected, "value")) &&
           is_number(result.quantity.uncertainty, llem_json_at(expected, "uncertainty")) &&
           strcmp(result.quantity.unit, llem_json_text(llem_json_at(expected, "unit"))) == 0 &&
           strcmp(result.quantity.source, llem_json_text(llem_json_at(expected, "source"))) == 0;
}

/// The given uniform numbers, in order.
typedef struct given {
    llem_numbers numbers;
    size_t taken;
} given;

static double next_given(void *self) {
    given *source = self;
    llem_check(source->taken < source->numbers.count);
    return source->numbers.items[source->taken++];
}

/// Draws the offsets of a case. Its uniform numbers must be used up.
static bool are_offsets(llem_arrivals arrivals, const llem_json *arguments, const llem_json *expected) {
    given source = {.numbers = numbers(arguments, "uniforms")};
    llem_arrival_times times;
    bool are_equal = llem_arrivals_times(&arrivals, &times) == LLEM_OK && expected->items.count > 0;
    for (size_t index = 0; are_equal && index < expected->items.count; index++) {
        double seconds = llem_arrival_times_draw_seconds(&times, (llem_uniform_source){next_given, &source});
        are_equal = is_number(seconds, &expected->items.items[index]);
    }
    return are_equal && source.taken == source.numbers.count;
}

static llem_reading reading(const llem_json *from) {
    const llem_json *reason = llem_json_at(from, "unavailable");
    return reason->kind != LLEM_JSON_NULL ? llem_unavailable(llem_json_text(reason)) : llem_known(quantity(from));
}

static bool is_reading(llem_reading result, const llem_json *expected) {
    const llem_json *reason = llem_json_at(expected, "unavailable");
    if (reason->kind == LLEM_JSON_NULL) {
        return is_quantity(result, expected);
    }
    return !result.is_known && strcmp(result.reason, llem_json_text(reason)) == 0;
}

/// Returns whether a function of readings gives the expected result.
static bool is_reading_case(const char *function, const llem_json *arguments, const llem_json *expected) {
    const llem_json *list = llem_json_at(arguments, "readings");
    const char *unit = llem_json_text(llem_json_at(arguments, "unit"));
    const char *otherwise = llem_json_text(llem_json_at(arguments, "otherwise"));
    if (strcmp(function, "total") == 0 || strcmp(function, "mean") == 0) {
        llem_readings readings = {0};
        for (size_t index = 0; index < list->items.count; index++) {
            llem_push(&readings, reading(&list->items.items[index]));
        }
        return is_reading(strcmp(function, "mean") == 0 ? llem_reading_mean(&readings, otherwise)
                                                         : llem_reading_total(&readings, otherwise),
                          expected);
    }
    llem_reading first = reading(llem_json_at(arguments, "first"));
    if (strcmp(function, "per") == 0) {
        return is_reading(llem_reading_per(first, number(arguments, "divisor"), unit), expected);
    }
    if (strcmp(function, "scaled") == 0) {
        return is_reading(llem_reading_scaled(first, number(arguments, "factor"), unit), expected);
    }
    llem_reading second = reading(llem_json_at(arguments, "second"));
    if (strcmp(function, "plus") == 0) {
        return is_reading(llem_reading_plus(first, second), expected);
    }
    if (strcmp(function, "minus") == 0) {
        return is_reading(llem_reading_minus(first, second), expected);
    }
    if (strcmp(function, "times") == 0) {
        return is_reading(llem_reading_times(first, second, unit), expected);
    }
    llem_check(strcmp(function, "over") == 0);
    return is_reading(llem_reading_over(first, second, unit), expected);
}

static llem_tokens whole_numbers(const llem_json *list) {
    llem_tokens numbers = {0};
    for (size_t index = 0; index < list->items.count; index++) {
        llem_push(&numbers, (uint32_t)llem_json_whole(&list->items.items[index]));
    }
    return numbers;
}

/// Returns whether drawn numbers are the expected ones, of which there are none if the draw failed.
static bool are_drawn(llem_result result, llem_tokens drawn, const given *source, const llem_json *expected) {
    if (result != LLEM_OK || expected->kind == LLEM_JSON_NULL) {
        return result != LLEM_OK && expected->kind == LLEM_JSON_NULL;
    }
    llem_tokens wanted = whole_numbers(expected);
    return source->taken == source->numbers.count && drawn.count == wanted.count &&
           (wanted.count == 0 || memcmp(drawn.items, wanted.items, wanted.count * sizeof *wanted.items) == 0);
}

static bool are_lengths(const char *shape, const llem_json *arguments, const llem_json *expected) {
    double mean = number(arguments, "mean"), deviation = number(arguments, "deviation");
    llem_lengths lengths = llem_lengths_exponential(mean);
    if (strcmp(shape, "fixed") == 0) {
        lengths = llem_lengths_fixed((uint32_t)number(arguments, "length"));
    } else if (strcmp(shape, "uniform") == 0) {
        lengths = llem_lengths_uniform((uint32_t)number(arguments, "low"), (uint32_t)number(arguments, "high"));
    } else if (strcmp(shape, "normal") == 0) {
        lengths = llem_lengths_normal(mean, deviation);
    } else if (strcmp(shape, "pareto") == 0) {
        lengths = llem_lengths_pareto(mean, number(arguments, "shape"));
    } else if (strcmp(shape, "lognormal") == 0) {
        lengths = llem_lengths_lognormal(mean, deviation);
    } else {
        llem_check(strcmp(shape, "exponential") == 0);
    }
    if (llem_json_at(arguments, "minimum")->kind != LLEM_JSON_NULL) {
        uint32_t minimum = (uint32_t)number(arguments, "minimum"), maximum = (uint32_t)number(arguments, "maximum");
        lengths = llem_lengths_within(lengths, minimum, maximum);
    }
    given source = {.numbers = numbers(arguments, "uniforms")};
    llem_tokens drawn = {0};
    llem_result result = llem_lengths_draw(&lengths, 6, (llem_uniform_source){next_given, &source}, &drawn);
    return are_drawn(result, drawn, &source, expected);
}

static bool is_random_case(const char *function, const llem_json *arguments, const llem_json *expected) {
    given source = {.numbers = numbers(arguments, "uniforms")};
    llem_uniform_source uniform = {next_given, &source};
    llem_tokens items = whole_numbers(llem_json_at(arguments, "items")), drawn = {0};
    uint32_t count = (uint32_t)llem_json_whole(llem_json_at(arguments, "count"));
    if (strcmp(function, "shuffle") == 0) {
        llem_draw_shuffle(items.items, items.count, sizeof *items.items, uniform);
        return are_drawn(LLEM_OK, items, &source, expected);
    }
    if (strcmp(function, "pick") == 0) {
        llem_result result = llem_draw_pick(count, &items, uniform, &drawn);
        return are_drawn(result, drawn, &source, expected);
    }
    llem_check(strcmp(function, "sample") == 0);
    uint32_t population = (uint32_t)llem_json_whole(llem_json_at(arguments, "population"));
    llem_result result = llem_draw_sample(count, population, uniform, &drawn);
    return are_drawn(result, drawn, &source, expected);
}

static bool is_interval(llem_interval result, const llem_json *expected) {
    if (expected->kind == LLEM_JSON_NULL) {
        return isnan(result.mean) && isnan(result.low) && isnan(result.high);
    }
    return is_number(result.mean, llem_json_at(expected, "mean")) && is_number(result.low, llem_json_at(expected, "low")) &&
           is_number(result.high, llem_json_at(expected, "high"));
}

/// Returns whether a quantity function of two quantities gives the expected result.
static bool is_arithmetic(const char *function, const llem_json *arguments, const llem_json *expected) {
    llem_quantity first = quantity(llem_json_at(arguments, "first"));
    llem_quantity second = quantity(llem_json_at(arguments, "second"));
    const char *unit = llem_json_text(llem_json_at(arguments, "unit"));
    if (strcmp(function, "plus") == 0) {
        return is_quantity(llem_quantity_plus(first, second), expected);
    }
    if (strcmp(function, "minus") == 0) {
        return is_quantity(llem_quantity_minus(first, second), expected);
    }
    if (strcmp(function, "times") == 0) {
        return is_quantity(llem_known(llem_quantity_times(first, second, unit)), expected);
    }
    if (strcmp(function, "over") == 0) {
        return is_quantity(llem_quantity_over(first, second, unit), expected);
    }
    if (strcmp(function, "per") == 0) {
        return is_quantity(llem_quantity_per(first, number(arguments, "divisor"), unit), expected);
    }
    llem_abort("no function quantity.%s", function);
}

static bool is_process(const char *process, const llem_json *arguments, const llem_json *expected) {
    double rate = number(arguments, "rate"), from = number(arguments, "from"), to = number(arguments, "to");
    uint32_t requests = (uint32_t)llem_json_whole(llem_json_at(arguments, "requests"));
    if (strcmp(process, "poisson") == 0) {
        return are_offsets(llem_arrivals_poisson(rate), arguments, expected);
    }
    if (strcmp(process, "constant") == 0) {
        return are_offsets(llem_arrivals_constant(rate), arguments, expected);
    }
    if (strcmp(process, "gamma") == 0) {
        return are_offsets(llem_arrivals_gamma(rate, number(arguments, "burstiness")), arguments, expected);
    }
    if (strcmp(process, "linear_ramp") == 0) {
        return are_offsets(llem_arrivals_linear_ramp(from, to, requests), arguments, expected);
    }
    if (strcmp(process, "exponential_ramp") == 0) {
        return are_offsets(llem_arrivals_exponential_ramp(from, to, requests), arguments, expected);
    }
    if (strcmp(process, "nanoseconds") == 0) {
        return llem_nanoseconds(number(arguments, "seconds")) == llem_json_whole(expected);
    }
    llem_abort("no function arrivals.%s", process);
}

static bool is_case(const char *function, const llem_json *arguments, const llem_json *expected) {
    static const struct {
        const char *name;
        double (*function)(const llem_numbers *values);
    } statistics[] = {
        {"mean", llem_mean},
        {"median", llem_median},
        {"standard_deviation", llem_standard_deviation},
        {"population_standard_deviation", llem_population_standard_deviation},
        {"standard_error", llem_standard_error},
        {"coefficient_of_variation", llem_coefficient_of_variation},
    };
    llem_numbers values = numbers(arguments, "values");
    for (size_t index = 0; index < sizeof statistics / sizeof *statistics; index++) {
        if (strcmp(function, statistics[index].name) == 0) {
            return is_number(statistics[index].function(&values), expected);
        }
    }
    llem_numbers weights = numbers(arguments, "weights");
    if (strcmp(function, "weighted_mean") == 0) {
        return is_number(llem_weighted_mean(&values, &weights), expected);
    }
    if (strcmp(function, "weighted_percentile") == 0) {
        return is_number(llem_weighted_percentile(&values, &weights, number(arguments, "p")), expected);
    }
    if (strcmp(function, "percentile") == 0) {
        return is_number(llem_percentile(&values, number(arguments, "p")), expected);
    }
    if (strcmp(function, "t_quantile") == 0) {
        return is_number(llem_t_quantile(number(arguments, "probability"), number(arguments, "freedom")), expected);
    }
    if (strcmp(function, "interval") == 0) {
        return is_interval(llem_interval_of(&values, number(arguments, "confidence")), expected);
    }
    if (strcmp(function, "quantity.mean") == 0) {
        const char *unit = llem_json_text(llem_json_at(arguments, "unit"));
        return is_quantity(llem_quantity_mean(&values, unit), expected);
    }
    if (strcmp(function, "quantity.mean_of") == 0) {
        const llem_json *list = llem_json_at(arguments, "quantities");
        llem_quantities quantities = {0};
        for (size_t index = 0; index < list->items.count; index++) {
            llem_push(&quantities, quantity(&list->items.items[index]));
        }
        return is_quantity(llem_quantity_mean_of(&quantities), expected);
    }
    if (strncmp(function, "arrivals.", 9) == 0) {
        return is_process(function + 9, arguments, expected);
    }
    if (strncmp(function, "reading.", 8) == 0) {
        return is_reading_case(function + 8, arguments, expected);
    }
    if (strncmp(function, "lengths.", 8) == 0) {
        return are_lengths(function + 8, arguments, expected);
    }
    if (strncmp(function, "random.", 7) == 0) {
        return is_random_case(function + 7, arguments, expected);
    }
    llem_check(strncmp(function, "quantity.", 9) == 0);
    return is_arithmetic(function + 9, arguments, expected);
}

int main(int count, char **arguments) {
    llem_check(count == 2);
    llem_json table = llem_json_parse(llem_read_file(arguments[1]));
    const llem_json *cases = llem_json_at(&table, "cases");
    CHECK(cases->items.count > 200);
    for (size_t index = 0; index < cases->items.count; index++) {
        const llem_json *one = &cases->items.items[index];
        const char *function = llem_json_text(llem_json_at(one, "function"));
        if (!is_case(function, llem_json_at(one, "arguments"), llem_json_at(one, "result"))) {
            fprintf(stderr, "case %zu (%s) is wrong\n", index, function);
            failures++;
        }
    }
    return end_of_checks();
}
