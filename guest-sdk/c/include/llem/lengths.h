/// Lengths of prompts and outputs, in tokens, drawn from distributions. Draws with and without replacement.
#ifndef LLEM_LENGTHS_H
#define LLEM_LENGTHS_H

#include "arrivals.h"

/// A distribution of lengths.
typedef enum llem_length_shape {
    LLEM_LENGTHS_FIXED,
    LLEM_LENGTHS_UNIFORM,
    LLEM_LENGTHS_NORMAL,
    LLEM_LENGTHS_EXPONENTIAL,
    LLEM_LENGTHS_PARETO,
    LLEM_LENGTHS_LOGNORMAL,
} llem_length_shape;

/// A distribution of lengths, in tokens.
///
/// A drawn number is limited to the bounds and then rounded. Numbers beyond a bound become the bound itself, so the mean of
/// the lengths differs from that of the distribution if the bounds cut much of it off. Bounds are 1 and 2^32 - 1 unless
/// `llem_lengths_within` sets others.
typedef struct llem_lengths {
    /// The distribution.
    llem_length_shape shape;
    /// The mean or, of a uniform distribution, the lower end.
    double first;
    /// The standard deviation, the shape of a Pareto distribution, or the upper end of a uniform one.
    double second;
    /// The smallest length.
    uint32_t minimum;
    /// The largest length.
    uint32_t maximum;
} llem_lengths;

/// Makes all lengths equal. No random number is drawn. The length may be 0.
llem_lengths llem_lengths_fixed(uint32_t length);

/// Draws each length from `low` to `high`, both included, with the same probability.
llem_lengths llem_lengths_uniform(uint32_t low, uint32_t high);

/// Draws lengths from a normal distribution of this mean and standard deviation.
llem_lengths llem_lengths_normal(double mean, double deviation);

/// Draws lengths from an exponential distribution of this mean.
llem_lengths llem_lengths_exponential(double mean);

/// Draws lengths from a Pareto distribution of this mean and shape (exponent), which is above 1. The smallest number of
/// the distribution is `mean * (shape - 1) / shape`.
llem_lengths llem_lengths_pareto(double mean, double shape);

/// Draws lengths from a log-normal distribution of this mean and standard deviation (not of the logarithm).
llem_lengths llem_lengths_lognormal(double mean, double deviation);

/// Limits the lengths.
llem_lengths llem_lengths_within(llem_lengths lengths, uint32_t minimum, uint32_t maximum);

/// Draws `count` lengths. `uniform` is a `llem_random_source`. Fails with `LLEM_INVALID_ARGUMENT` if the distribution does
/// not exist, such as one of a mean of zero.
llem_result llem_lengths_draw(const llem_lengths *lengths, size_t count, llem_uniform_source uniform,
                              llem_tokens *drawn);

/// Draws `count` of the items, each from all of them with the same probability. Fails with `LLEM_INVALID_ARGUMENT` if there
/// are no items. `llem_random_pick` does so from the host's random numbers.
llem_result llem_draw_pick(size_t count, const llem_tokens *items, llem_uniform_source uniform, llem_tokens *picked);

/// Draws `count` different whole numbers below `population`, in random order. Fails with `LLEM_INVALID_ARGUMENT` if
/// `population` is smaller than `count`. `llem_random_sample` does so from the host's random numbers.
llem_result llem_draw_sample(uint32_t count, uint32_t population, llem_uniform_source uniform, llem_tokens *numbers);

/// Puts `count` items of `size` bytes into random order. `llem_random_shuffle` does so from the host's random numbers.
void llem_draw_shuffle(void *items, size_t count, size_t size, llem_uniform_source uniform);

#endif
