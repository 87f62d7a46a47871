"""Runs every case of guest-sdk/numbers.json, whose results are numpy's, scipy's and mpmath's."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from llem_sdk import Arrivals, Error, Lengths, Quantity, Reading, Source, Unavailable, reading, statistics, wait
from llem_sdk import _shuffle as draws

CASES = json.loads(Path(__file__).parents[2].joinpath("numbers.json").read_text())["cases"]
ARRIVALS = 6
"""The number of arrival times in a case."""


def number(given: Any) -> Any:
    """Converts the texts of numbers that JSON has no spelling for, at any depth."""
    if isinstance(given, str) and given in ("NaN", "Infinity", "-Infinity"):
        return float(given)
    if isinstance(given, list):
        return [number(one) for one in given]
    return given


def quantity(given: dict[str, Any]) -> Quantity:
    return Quantity(given["value"], given["uncertainty"], given["unit"], Source(given["source"]))


def reading_of(given: dict[str, Any]) -> Reading:
    return Unavailable(given["unavailable"]) if "unavailable" in given else quantity(given)


def of_readings(function: Callable[..., Reading], first: Any, second: Any, *unit: str) -> Reading:
    return function(reading_of(first), reading_of(second), *unit)


def drawn(draw: Callable[..., list[Any]], uniforms: list[float]) -> list[Any] | None:
    """Calls `draw` with the uniform numbers, which are all taken. Returns `None` if it fails."""
    remaining = iter(uniforms)
    try:
        result = draw(remaining.__next__)
    except Error:
        result = None
    assert list(remaining) == [], "a case has as many uniform numbers as are taken"
    return result


def lengths(name: str) -> Callable[..., list[int] | None]:
    def draw(uniforms: list[float], minimum: int = -1, maximum: int = -1, **parameters: float) -> list[int] | None:
        distribution: Lengths = getattr(Lengths, name)(**parameters)
        if minimum >= 0:
            distribution = distribution.within(minimum, maximum)
        return drawn(lambda uniform: distribution.draw(6, uniform), uniforms)

    return draw


def shuffled(items: list[int], uniforms: list[float]) -> list[int] | None:
    def shuffle(uniform: Callable[[], float]) -> list[int]:
        copy = list(items)
        draws.shuffle(copy, uniform)
        return copy

    return drawn(shuffle, uniforms)


def times(arrivals: Arrivals, uniforms: list[float]) -> list[float | None]:
    remaining = iter(uniforms)
    drawn = list(islice(arrivals.times(remaining.__next__), ARRIVALS))
    assert list(remaining) == [], "a case has as many uniform numbers as are taken"
    return drawn


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "mean": statistics.mean,
    "median": statistics.median,
    "standard_deviation": statistics.standard_deviation,
    "standard_error": statistics.standard_error,
    "coefficient_of_variation": statistics.coefficient_of_variation,
    "population_standard_deviation": statistics.population_standard_deviation,
    "percentile": statistics.percentile,
    "weighted_mean": statistics.weighted_mean,
    "weighted_percentile": statistics.weighted_percentile,
    "interval": statistics.interval,
    "t_quantile": statistics.t_quantile,
    "arrivals.poisson": lambda rate, uniforms: times(Arrivals.poisson(rate), uniforms),
    "arrivals.constant": lambda rate, uniforms: times(Arrivals.constant(rate), uniforms),
    "arrivals.gamma": lambda rate, burstiness, uniforms: times(Arrivals.gamma(rate, burstiness), uniforms),
    "arrivals.linear_ramp": lambda uniforms, **ramp: times(Arrivals.linear_ramp(**renamed(ramp)), uniforms),
    "arrivals.exponential_ramp": lambda uniforms, **ramp: times(Arrivals.exponential_ramp(**renamed(ramp)), uniforms),
    "arrivals.nanoseconds": lambda seconds: wait.nanoseconds(seconds),
    "quantity.plus": lambda first, second: quantity(first).plus(quantity(second)),
    "quantity.minus": lambda first, second: quantity(first).minus(quantity(second)),
    "quantity.times": lambda first, second, unit: quantity(first).times(quantity(second), unit),
    "quantity.over": lambda first, second, unit: quantity(first).over(quantity(second), unit),
    "quantity.per": lambda first, divisor, unit: quantity(first).per(divisor, unit),
    "quantity.mean": Quantity.mean,
    "quantity.mean_of": lambda quantities: Quantity.mean_of(map(quantity, quantities)),
    "reading.plus": lambda first, second: of_readings(reading.plus, first, second),
    "reading.minus": lambda first, second: of_readings(reading.minus, first, second),
    "reading.times": lambda first, second, unit: of_readings(reading.times, first, second, unit),
    "reading.over": lambda first, second, unit: of_readings(reading.over, first, second, unit),
    "reading.per": lambda first, divisor, unit: reading.per(reading_of(first), divisor, unit),
    "reading.scaled": lambda first, factor, unit: reading.scaled(reading_of(first), factor, unit),
    "reading.total": lambda readings, otherwise: reading.total(map(reading_of, readings), otherwise),
    "reading.mean": lambda readings, otherwise: reading.mean(map(reading_of, readings), otherwise),
    **{
        f"lengths.{name}": lengths(name)
        for name in ("fixed", "uniform", "normal", "exponential", "pareto", "lognormal")
    },
    "random.shuffle": shuffled,
    "random.sample": lambda count, population, uniforms: drawn(
        lambda uniform: draws.sample(count, population, uniform), uniforms
    ),
    "random.pick": lambda count, items, uniforms: drawn(lambda uniform: draws.pick(count, items, uniform), uniforms),
}


def renamed(ramp: dict[str, Any]) -> dict[str, Any]:
    """`from` is a word of Python's own."""
    return {"start": ramp["from"], "end": ramp["to"], "requests": ramp["requests"]}


def assert_equal(found: Any, expected: Any) -> None:
    """Compares to 1e-12 of the value. Integers, texts and `None` must be equal."""
    if isinstance(expected, dict):
        fields = {"unavailable": found.reason} if isinstance(found, Unavailable) else asdict(found)
        assert fields.keys() == expected.keys()
        for name, value in expected.items():
            assert_equal(fields[name], number(value))
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_equal(one, other)
    elif isinstance(expected, float):
        assert isinstance(found, float)
        if math.isnan(expected):
            assert math.isnan(found)
        else:
            assert found == pytest.approx(expected, rel=1e-12, abs=0.0)
    else:
        assert found == expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["function"])
def test_a_function_gives_the_number_of_its_case(case: dict[str, Any]) -> None:
    arguments = {name: number(value) for name, value in case["arguments"].items()}
    assert_equal(FUNCTIONS[case["function"]](**arguments), number(case["result"]))
