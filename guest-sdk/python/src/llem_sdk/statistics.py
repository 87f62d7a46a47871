"""Statistics of repeated values. All SDKs compute the same numbers (`guest-sdk/numbers.json`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ._students_t import t_quantile

__all__ = [
    "Interval",
    "coefficient_of_variation",
    "interval",
    "mean",
    "median",
    "percentile",
    "population_standard_deviation",
    "standard_deviation",
    "standard_error",
    "t_quantile",
    "weighted_mean",
    "weighted_percentile",
]


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its confidence interval. All numbers are in the unit of the values."""

    mean: float
    """The mean of the values."""
    low: float
    """The lower end of the interval."""
    high: float
    """The upper end of the interval."""


def mean(values: Sequence[float]) -> float | None:
    """Returns the arithmetic mean, or `None` if there are no values."""
    return _sum(values) / len(values) if values else None


def standard_deviation(values: Sequence[float]) -> float | None:
    """Returns the sample standard deviation (divisor n - 1), or `None` if there are fewer than two values."""
    average = mean(values)
    if average is None or len(values) < 2:
        return None
    return math.sqrt(_sum([(value - average) ** 2 for value in values]) / (len(values) - 1))


def population_standard_deviation(values: Sequence[float]) -> float | None:
    """Returns the population standard deviation (divisor n, numpy's default), or `None` if there are no values.

    It describes the values themselves. The spread of what they were drawn from is `standard_deviation`.

    >>> population_standard_deviation([2.0, 4.0])
    1.0
    """
    average = mean(values)
    if average is None:
        return None
    return math.sqrt(_sum([(value - average) ** 2 for value in values]) / len(values))


def standard_error(values: Sequence[float]) -> float | None:
    """Returns the standard deviation of the mean (GUM 4.2.3), or `None` if there are fewer than two values."""
    deviation = standard_deviation(values)
    return None if deviation is None else deviation / math.sqrt(len(values))


def coefficient_of_variation(values: Sequence[float]) -> float | None:
    """Returns the sample standard deviation divided by the mean.

    Returns `None` if there are fewer than two values, or if their mean is not above zero.

    >>> coefficient_of_variation([9.0, 10.0, 11.0])
    0.1
    """
    average, deviation = mean(values), standard_deviation(values)
    if average is None or deviation is None or average <= 0.0:
        return None
    return deviation / average


def median(values: Sequence[float]) -> float | None:
    """Returns the middle value, or the mean of the two middle values. Returns `None` if there are no values."""
    return percentile(values, 50.0)


def percentile(values: Sequence[float], p: float) -> float | None:
    """Returns the value below which `p` percent of the values lie, interpolated linearly (numpy's default method).

    Returns `None` if there are no values, or if `p` is not between 0 and 100.

    >>> percentile([1.0, 2.0, 3.0, 4.0], 90.0)
    3.7
    """
    if not values or not 0.0 <= p <= 100.0:
        return None
    if any(math.isnan(value) for value in values):
        return math.nan
    ordered = sorted(values)
    position = p / 100.0 * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def weighted_mean(values: Sequence[float], weights: Sequence[float]) -> float | None:
    """Returns the mean of values that count by their weights (numpy's `average`).

    Returns `None` if there are not as many weights as values, if a weight is negative or not finite, or if the weights
    add up to zero.

    >>> weighted_mean([1.0, 4.0], [2.0, 1.0])
    2.0
    """
    if not _are_weights(weights, len(values)):
        return None
    return _sum([value * weight for value, weight in zip(values, weights, strict=True)]) / _sum(weights)


def weighted_percentile(values: Sequence[float], weights: Sequence[float], p: float) -> float | None:
    """Returns the smallest value such that the values up to it have `p` percent of the weight or more.

    This is numpy's `percentile` with `weights` and `method="inverted_cdf"`. The result is always one of the values.
    Values of weight zero are left out. Returns `None` if there are not as many weights as values, if a weight is
    negative or not finite, if the weights add up to zero, or if `p` is not between 0 and 100.

    >>> weighted_percentile([1.0, 2.0, 3.0], [8.0, 1.0, 1.0], 90.0)
    2.0
    """
    if not 0.0 <= p <= 100.0 or not _are_weights(weights, len(values)):
        return None
    if any(math.isnan(value) for value in values):
        return math.nan
    ordered = sorted((value, weight) for value, weight in zip(values, weights, strict=True) if weight > 0.0)
    total = _sum([weight for _, weight in ordered])
    share, reached = p / 100.0, 0.0
    for value, weight in ordered:
        reached += weight
        if reached / total >= share:
            return value
    return ordered[-1][0]


def interval(values: Sequence[float], confidence: float = 0.95) -> Interval | None:
    """Returns the mean of repeated, independent values with its confidence interval by Student's t distribution.

    Returns `None` if there are fewer than two values, because their spread is then not known, or if `confidence` is not
    between 0 and 1.
    """
    average, error = mean(values), standard_error(values)
    if average is None or error is None or not 0.0 < confidence < 1.0:
        return None
    quantile = t_quantile((1.0 + confidence) / 2.0, len(values) - 1.0)
    if quantile is None:
        return None
    half = quantile * error
    return Interval(average, average - half, average + half)


def _are_weights(weights: Sequence[float], count: int) -> bool:
    """Returns whether these are weights of `count` values, with a sum above zero."""
    return len(weights) == count and all(0.0 <= weight < math.inf for weight in weights) and _sum(weights) > 0.0


def _sum(values: Sequence[float]) -> float:
    """Adds from left to right, as the other SDKs do. `sum` compensates rounding errors since Python 3.12."""
    total = 0.0
    for value in values:
        total += value
    return total
