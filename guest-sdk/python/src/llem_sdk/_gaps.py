"""Random gaps between arrivals."""

from __future__ import annotations

import math
from collections.abc import Callable

Uniform = Callable[[], float]
"""A source of uniform random numbers in [0, 1): `Random.next_f64`, or another one in tests without a host."""


def gap(rate: float, burstiness: float, uniform: Uniform) -> float:
    """Draws the gap before a request, in seconds, from a gamma distribution of shape `burstiness` and mean `1 / rate`.

    The rate is in requests a second. Both are above 0, and an infinite burstiness gives the mean itself.
    """
    if burstiness == math.inf:
        return 1.0 / rate
    if burstiness == 1.0:
        return exponential(uniform) / rate
    return _gamma(burstiness, uniform) / (rate * burstiness)


def exponential(uniform: Uniform) -> float:
    """Draws from the exponential distribution of mean 1 by inverting its distribution function.

    The logarithm is finite because uniform numbers are below 1.
    """
    return -math.log1p(-uniform())


def _gamma(shape: float, uniform: Uniform) -> float:
    """Draws from the gamma distribution of this shape and scale 1.

    Marsaglia and Tsang, "A Simple Method for Generating Gamma Variables", ACM TOMS 26(3), 2000; section 6 for shapes
    below 1.
    """
    if shape < 1.0:
        return _gamma(shape + 1.0, uniform) * math.pow(1.0 - uniform(), 1.0 / shape)
    d = shape - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        x = normal(uniform)
        v = (1.0 + c * x) ** 3
        if v <= 0.0:
            continue
        if math.log(1.0 - uniform()) < 0.5 * x * x + d * (1.0 - v + math.log(v)):
            return d * v


def normal(uniform: Uniform) -> float:
    """Draws from the standard normal distribution (Box and Muller, Annals of Mathematical Statistics 29(2), 1958)."""
    radius = math.sqrt(2.0 * exponential(uniform))
    return radius * math.cos(math.tau * uniform())
