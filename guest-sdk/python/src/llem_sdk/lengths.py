"""Lengths of prompts and outputs, in tokens, drawn from distributions."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from ._gaps import Uniform, exponential, normal
from .error import Error

LONGEST = 2**32 - 1
"""The longest length, which a request can hold."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """A distribution of lengths, in tokens.

    A drawn number is limited to the bounds and then rounded. Numbers beyond a bound become the bound itself, so the
    mean of the lengths differs from that of the distribution if the bounds cut much of it off. Bounds are 1 and 2^32 -
    1 unless `within` sets others.

        prompts = Lengths.normal(512.0, 128.0).within(16, 1024).draw(100, Random("prompts").next_f64)

    >>> Lengths.fixed(128).draw(3, lambda: 0.5)
    [128, 128, 128]
    """

    shape: Literal["fixed", "uniform", "normal", "exponential", "pareto", "lognormal"]
    """The distribution."""
    first: float
    """The mean or, of a uniform distribution, the lower end."""
    second: float = 0.0
    """The standard deviation, the shape of a Pareto distribution, or the upper end of a uniform one."""
    minimum: int = 1
    """The smallest length."""
    maximum: int = LONGEST
    """The largest length."""

    @classmethod
    def fixed(cls, length: int) -> Lengths:
        """Makes all lengths equal. No random number is drawn. The length may be 0."""
        return cls("fixed", length, minimum=min(length, 1))

    @classmethod
    def uniform(cls, low: int, high: int) -> Lengths:
        """Draws each length from `low` to `high`, both included, with the same probability."""
        return cls("uniform", low, high, minimum=min(low, 1))

    @classmethod
    def normal(cls, mean: float, deviation: float) -> Lengths:
        """Draws lengths from a normal distribution of this mean and standard deviation."""
        return cls("normal", mean, deviation)

    @classmethod
    def exponential(cls, mean: float) -> Lengths:
        """Draws lengths from an exponential distribution of this mean."""
        return cls("exponential", mean)

    @classmethod
    def pareto(cls, mean: float, shape: float) -> Lengths:
        """Draws lengths from a Pareto distribution of this mean and shape (exponent), which is above 1.

        The smallest number of the distribution is `mean * (shape - 1) / shape`.
        """
        return cls("pareto", mean, shape)

    @classmethod
    def lognormal(cls, mean: float, deviation: float) -> Lengths:
        """Draws lengths from a log-normal distribution of this mean and standard deviation (not of the logarithm)."""
        return cls("lognormal", mean, deviation)

    def within(self, minimum: int, maximum: int) -> Lengths:
        """Limits the lengths."""
        return replace(self, minimum=minimum, maximum=maximum)

    def draw(self, count: int, uniform: Uniform) -> list[int]:
        """Draws `count` lengths. `uniform` is a stream's `Random.next_f64`.

        Fails with `INVALID_ARGUMENT` if the distribution does not exist, such as one of a mean of zero.
        """
        self._check()
        return [self._draw(uniform) for _ in range(count)]

    def _check(self) -> None:
        mean, second = self.first, self.second
        problem = None
        if not (math.isfinite(mean) and math.isfinite(second) and mean >= 0.0 and second >= 0.0):
            problem = f"{mean:g} and {second:g} are not both numbers from 0"
        elif self.shape not in ("fixed", "uniform") and mean == 0.0:
            problem = "its mean is 0"
        elif self.shape == "pareto" and second <= 1.0:
            problem = f"its shape {second:g} is not above 1"
        elif self.shape == "uniform" and mean > second:
            problem = f"{mean:g} is above {second:g}"
        elif not 0 <= self.minimum <= self.maximum <= LONGEST:
            problem = f"there is no length from {self.minimum} to {self.maximum}"
        if problem is not None:
            raise Error.invalid_argument(f"the distribution of lengths '{self.shape}': {problem}")

    def _draw(self, uniform: Uniform) -> int:
        number = min(max(self._number(uniform), float(self.minimum)), float(self.maximum))
        return math.floor(number + 0.5)

    def _number(self, uniform: Uniform) -> float:
        mean, second = self.first, self.second
        if self.shape == "uniform":
            return mean + math.floor(uniform() * (second - mean + 1.0))
        if self.shape == "normal":
            return mean + second * normal(uniform)
        if self.shape == "exponential":
            return mean * exponential(uniform)
        if self.shape == "pareto":
            return mean * (second - 1.0) / second * math.exp(exponential(uniform) / second)
        if self.shape == "lognormal":
            # The variance of the logarithm.
            variance = math.log1p((second / mean) ** 2)
            return mean * math.exp(math.sqrt(variance) * normal(uniform) - variance / 2.0)
        return mean
