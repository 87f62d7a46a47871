"""Prints numbers.json, one case a line."""

import json
import math

from . import arrivals, draws, quantities, readings, statistics, students_t

ABOUT = [
    "Cases that the unit tests of every SDK run. guest-sdk/make-numbers writes this file.",
    "A result must be equal to 1e-12 of its absolute value. Integers, units, sources and null must be equal.",
    "null is no result: None in Rust and Python, undefined in JavaScript, NaN or false in C.",
    "The texts NaN, Infinity and -Infinity are these numbers, which JSON has no spelling for.",
    "statistics: sums are made from left to right. NaN among the values gives NaN.",
    "arrivals: the result is the offsets in seconds before they are rounded to nanoseconds, one for each request.",
    "arrivals: 'uniforms' are what the source of uniform numbers returns, in order. A case has as many as are taken.",
    "arrivals.nanoseconds: floor(seconds * 1e9 + 0.5).",
    "reading: an object with 'unavailable' is a reading without a number, and its text the reason.",
    "lengths, random: 'uniforms' as above. null is an error, for which no uniform number is taken.",
]


def spelled(value):
    """Replaces numbers that JSON cannot hold by their names."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: spelled(item) for key, item in value.items()}
    if isinstance(value, list):
        return [spelled(item) for item in value]
    return value


cases = [
    case
    for module in (statistics, students_t, arrivals, quantities, readings, draws)
    for case in module.cases()
]
about = ",\n".join("    " + json.dumps(line) for line in ABOUT)
lines = ",\n".join("    " + json.dumps(spelled(case), allow_nan=False) for case in cases)
print(f'{{\n  "about": [\n{about}\n  ],\n  "cases": [\n{lines}\n  ]\n}}')
