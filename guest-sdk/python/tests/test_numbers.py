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
from llem_sdk import Arrivals, Quantity, Source, statistics, wait

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
    "percentile": statistics.percentile,
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
}


def renamed(ramp: dict[str, Any]) -> dict[str, Any]:
    """`from` is a word of Python's own."""
    return {"start": ramp["from"], "end": ramp["to"], "requests": ramp["requests"]}


def assert_equal(found: Any, expected: Any) -> None:
    """Compares to 1e-12 of the value. Integers, texts and `None` must be equal."""
    if isinstance(expected, dict):
        fields = asdict(found)
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
