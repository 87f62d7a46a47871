"""Cases of the functions of a list of values. The results are numpy's and scipy's."""

import math

import numpy
import scipy.stats

# Every sum of these has the same 12 digits in any order.
LISTS = {
    "one to four": [1.0, 2.0, 3.0, 4.0],
    "unsorted, with ties": [3.0, 1.0, 2.0, 3.0, 1.0, 3.0, 2.5],
    "latencies in s": [0.0123, 0.0119, 0.0131, 0.0125, 0.0240, 0.0118, 0.0122, 0.0127, 0.0121, 0.0126, 0.0301],
    "negative": [-5.5, -1.25, -3.0, -2.75],
    "both signs": [-4.0, 10.0, 2.5, -1.0, 7.75],
    "tiny": [1.5e-300, 2.5e-300, 4.0e-300],
    "huge": [1.5e150, 2.5e150, 9.0e149],
    "close to each other": [1e9 + 1.0, 1e9 + 2.0, 1e9 + 3.0, 1e9 + 5.0],
    "equal": [2.5, 2.5, 2.5],
    "two": [10.0, 13.0],
    "one": [7.5],
    "none": [],
    "with NaN": [1.0, math.nan, 3.0],
}


def case(function, arguments, result):
    return {"function": function, "arguments": arguments, "result": result}


def cases():
    for name, values in LISTS.items():
        several, any_value = len(values) > 1, len(values) > 0
        deviation = float(numpy.std(values, ddof=1)) if several else None
        yield case("mean", {"values": values}, float(numpy.mean(values)) if any_value else None)
        yield case("median", {"values": values}, float(numpy.median(values)) if any_value else None)
        # The squares of tiny deviations are below the range of a double.
        if name != "tiny":
            yield case("standard_deviation", {"values": values}, deviation)
            error = float(scipy.stats.sem(values)) if several else None
            yield case("standard_error", {"values": values}, error)
            population = float(numpy.std(values)) if any_value else None
            yield case("population_standard_deviation", {"values": values}, population)
            # Not defined if the mean is not above zero.
            is_defined = several and not numpy.mean(values) <= 0.0
            variation = float(scipy.stats.variation(values, ddof=1)) if is_defined else None
            yield case("coefficient_of_variation", {"values": values}, variation)
    yield from percentiles()
    yield from weighted()
    yield from intervals()


def weighted():
    """Cases of weighted values. No case depends on how the weights of equal values are ordered."""
    asked = [
        ([1.0, 2.0, 3.0], [8.0, 1.0, 1.0]),
        (LISTS["latencies in s"], [float(1 + index % 3) for index in range(11)]),
        (LISTS["both signs"], [0.25, 0.5, 0.0, 1.25, 2.0]),
        ([3.0, 1.0, 2.0], [1.0, 0.0, 1.0]),
        ([1.0, 2.0], [1e-3, 1e3]),
        ([2.5, 2.5, 7.0], [1.0, 2.0, 3.0]),
        ([7.5], [0.1]),
    ]
    for values, weights in asked:
        arguments = {"values": values, "weights": weights}
        yield case("weighted_mean", arguments, float(numpy.average(values, weights=weights)))
        for p in (0.0, 10.0, 33.3, 50.0, 80.0, 90.0, 99.0, 100.0):
            result = float(numpy.percentile(values, p, weights=weights, method="inverted_cdf"))
            yield case("weighted_percentile", {**arguments, "p": p}, result)
    nan = {"values": [1.0, math.nan], "weights": [1.0, 2.0]}
    yield case("weighted_mean", nan, math.nan)
    yield case("weighted_percentile", {**nan, "p": 10.0}, float(numpy.percentile(
        nan["values"], 10.0, weights=nan["weights"], method="inverted_cdf")))
    # Not defined.
    for values, weights in [([], []), ([1.0], [0.0]), ([1.0, 2.0], [1.0]), ([1.0, 2.0], [2.0, -1.0]),
                            ([1.0, 2.0], [1.0, math.inf]), ([1.0, 2.0], [1.0, math.nan])]:
        yield case("weighted_mean", {"values": values, "weights": weights}, None)
        yield case("weighted_percentile", {"values": values, "weights": weights, "p": 50.0}, None)
    for p in [-0.5, 100.5, math.nan]:
        yield case("weighted_percentile", {"values": [1.0, 2.0], "weights": [1.0, 1.0], "p": p}, None)


def percentiles():
    asked = {
        "one to four": [0.0, 25.0, 50.0, 90.0, 99.9, 100.0],
        "unsorted, with ties": [10.0, 50.0, 75.0],
        "latencies in s": [5.0, 50.0, 90.0, 95.0, 99.0],
        "both signs": [33.3],
        "negative": [12.5],
        "tiny": [40.0],
        "huge": [60.0],
        "one": [0.0, 73.0],
        "none": [50.0],
        "with NaN": [50.0],
    }
    for name, ranks in asked.items():
        values = LISTS[name]
        for p in ranks:
            result = float(numpy.percentile(values, p)) if values else None
            yield case("percentile", {"values": values, "p": p}, result)
    # numpy refuses these.
    for p in [-0.5, 100.5, math.nan]:
        yield case("percentile", {"values": [1.0, 2.0], "p": p}, None)


def intervals():
    asked = [
        ("one to four", 0.95), ("one to four", 0.5), ("one to four", 0.999),
        ("latencies in s", 0.95), ("latencies in s", 0.99), ("unsorted, with ties", 0.9),
        ("huge", 0.95), ("negative", 0.95), ("two", 0.95), ("one", 0.95), ("none", 0.95),
        ("with NaN", 0.95),
    ]
    for name, confidence in asked:
        values, result = LISTS[name], None
        if len(values) > 1:
            mean, error = float(numpy.mean(values)), float(scipy.stats.sem(values))
            low, high = scipy.stats.t.interval(confidence, len(values) - 1, mean, error)
            result = {"mean": mean, "low": float(low), "high": float(high)}
        yield case("interval", {"values": values, "confidence": confidence}, result)
    # An interval of equal values has no width. scipy returns NaN here.
    equal = {"mean": 2.5, "low": 2.5, "high": 2.5}
    yield case("interval", {"values": LISTS["equal"], "confidence": 0.95}, equal)
    for confidence in [0.0, 1.0, -0.5, math.nan]:
        yield case("interval", {"values": [1.0, 2.0], "confidence": confidence}, None)
