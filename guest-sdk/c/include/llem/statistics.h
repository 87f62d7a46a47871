/// Statistics of repeated values: mean, spread, percentiles and confidence intervals. Results are in the unit of the
/// values.
///
/// The functions give the same numbers in the SDK of every language: `guest-sdk/numbers.json` holds cases whose results
/// come from numpy and scipy. Sums are made from left to right. All functions return NaN where a statistic is not
/// defined, and if one of the values is NaN.
#ifndef LLEM_STATISTICS_H
#define LLEM_STATISTICS_H

#include "memory.h"

/// A mean with its confidence interval by Student's t distribution.
typedef struct llem_interval {
    /// The mean of the values.
    double mean;
    /// The lower end of the interval.
    double low;
    /// The upper end of the interval.
    double high;
} llem_interval;

/// Returns the mean. Returns NaN if there are no values.
double llem_mean(const llem_numbers *values);

/// Returns the sample standard deviation, with n - 1 in the denominator. Returns NaN for fewer than two values.
double llem_standard_deviation(const llem_numbers *values);

/// Returns the population standard deviation, with n in the denominator (numpy's default). It describes the values
/// themselves, and `llem_standard_deviation` the spread of what they were drawn from. Returns NaN if there are no values.
double llem_population_standard_deviation(const llem_numbers *values);

/// Returns the standard deviation of the mean (GUM 4.2.3). Returns NaN for fewer than two values.
double llem_standard_error(const llem_numbers *values);

/// Returns the percentile `p`, from 0 to 100, interpolated linearly between the two nearest values as numpy does by
/// default (Hyndman and Fan, The American Statistician 50(4), 1996, definition 7). Returns NaN if there are no values,
/// if one of them is NaN, or if `p` is out of range.
double llem_percentile(const llem_numbers *values, double p);

/// Returns the median. Returns NaN if there are no values.
double llem_median(const llem_numbers *values);

/// Returns the sample standard deviation divided by the mean, without a unit. Returns NaN for fewer than two values, or
/// if the mean is not above zero.
double llem_coefficient_of_variation(const llem_numbers *values);

/// Returns the mean of values that count by their weights (numpy's `average`). Returns NaN if there are not as many weights
/// as values, if a weight is negative or not finite, or if the weights add up to zero.
double llem_weighted_mean(const llem_numbers *values, const llem_numbers *weights);

/// Returns the smallest value such that the values up to it have `p` percent of the weight or more. This is numpy's
/// `percentile` with `weights` and `method="inverted_cdf"`. The result is always one of the values. Values of weight zero
/// are left out. Returns NaN if there are not as many weights as values, if a weight is negative or not finite, if the
/// weights add up to zero, or if `p` is out of range.
double llem_weighted_percentile(const llem_numbers *values, const llem_numbers *weights, double p);

/// Returns the value that a number of Student's t distribution with `freedom` degrees of freedom is below with this
/// probability. `freedom` need not be whole. Returns NaN if `freedom` is not a finite number of at least 1, or if
/// `probability` or its complement is below 1e-100.
double llem_t_quantile(double probability, double freedom);

/// Computes the confidence interval of the mean of independent values. `confidence` is between 0 and 1: 0.95 is usual.
/// All numbers are NaN if there are fewer than two values, because their spread is then not known.
llem_interval llem_interval_of(const llem_numbers *values, double confidence);

#endif
