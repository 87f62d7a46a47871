"""Latencies and throughputs under optimum-benchmark's names and definitions (`trackers/latency.py`).

    submitted   first token                                     last token
    |-- prefill --|-- per_token --|-- per_token --|-- per_token --|
                  |------------------ decode -------------------|
    |------------------------ generate -------------------------|

A step gives a token to each sequence of the batch, and its time counts once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from llem_sdk import Generation, Quantity, Source
from llem_sdk.wait import NS

MAX_VALUES = 100_000
"""The most repeated values that the report lists. It keeps the report of a long run below some megabytes."""


@dataclass(frozen=True, slots=True)
class Latency:
    """The latencies of one target and their statistics, in s. `stdev_` is in percent of the mean."""

    unit: str
    values: list[float]
    count: int
    total: float
    mean: float
    p50: float
    p90: float
    p95: float
    p99: float
    stdev: float
    stdev_: float

    @classmethod
    def from_values(cls, values: Sequence[float]) -> Latency:
        """Computes the statistics of latencies. There is at least one."""
        return replace(cls.from_repeated((value, 1) for value in values), values=list(values))

    @classmethod
    def from_repeated(cls, repeated: Iterable[tuple[float, int]]) -> Latency:
        """Computes the statistics of latencies that are each counted a number of times. There is at least one.

        `values` is empty if it would have more than `MAX_VALUES`. The standard deviation is the
        population's, and percentiles are interpolated linearly (numpy's defaults).
        """
        pairs = list(repeated)
        count = sum(times for _, times in pairs)
        total = math.fsum(value * times for value, times in pairs)
        mean = total / count
        stdev = math.sqrt(math.fsum((value - mean) ** 2 * times for value, times in pairs) / count)
        ordered = sorted(pairs)
        p50, p90, p95, p99 = (_percentile(ordered, count, p) for p in (50, 90, 95, 99))
        return cls(
            unit="s",
            values=[value for value, times in pairs for _ in range(times)] if count <= MAX_VALUES else [],
            count=count,
            total=total,
            mean=mean,
            p50=p50,
            p90=p90,
            p95=p95,
            p99=p99,
            stdev=stdev,
            stdev_=stdev / abs(mean) * 100 if mean else 0.0,
        )

    def __sub__(self, other: Latency) -> Latency:
        """Subtracts the mean of another latency from each value."""
        return Latency.from_values([value - other.mean for value in self.values])

    def mean_quantity(self) -> Quantity:
        """Returns the mean with the standard deviation of the mean as its uncertainty."""
        # stdev is the population's; the sample's is larger by the root of n / (n - 1).
        uncertainty = self.stdev / math.sqrt(self.count - 1) if self.count > 1 else 0.0
        return Quantity(self.mean, uncertainty, "s", Source.DERIVED)


def _percentile(ordered: Sequence[tuple[float, int]], count: int, p: int) -> float:
    """Interpolates a percentile of ordered values that are each counted a number of times."""
    position = p / 100.0 * (count - 1)
    below = math.floor(position)
    low = _at(ordered, below)
    high = _at(ordered, min(below + 1, count - 1))
    return low + (high - low) * (position - below)


def _at(ordered: Sequence[tuple[float, int]], index: int) -> float:
    """Returns the value of this index among ordered values that are each counted a number of times."""
    for value, times in ordered:
        if index < times:
            return value
        index -= times
    return ordered[-1][0]


@dataclass(frozen=True, slots=True)
class Throughput:
    """A volume of samples or tokens over a mean latency."""

    unit: str
    value: float

    @classmethod
    def from_latency(cls, latency: Latency, volume: int, unit: str) -> Throughput:
        """Divides the volume by the mean latency. A mean of 0 gives 0, as in the tool."""
        return cls(unit=unit, value=volume / latency.mean if latency.mean > 0 else 0.0)


@dataclass(frozen=True, slots=True)
class GenerationTimes:
    """When a generation of a whole batch was submitted, and when each of its steps had its tokens, in ns."""

    submitted: int
    steps: tuple[int, ...]

    @classmethod
    def of(cls, generation: Generation) -> GenerationTimes:
        """Takes the times of a generation. A step is over when every sequence has its token."""
        submitted, *steps = generation.step_times()
        return cls(submitted, tuple(steps))

    @property
    def prefill(self) -> float:
        """The time to the first tokens, in s."""
        return (self.steps[0] - self.submitted) * NS

    @property
    def decode(self) -> float:
        """The time from the first to the last tokens, in s."""
        return (self.steps[-1] - self.steps[0]) * NS

    @property
    def generate(self) -> float:
        """The time to the last tokens, in s."""
        return (self.steps[-1] - self.submitted) * NS

    @property
    def gaps(self) -> list[float]:
        """The times between consecutive steps, in s."""
        return _gaps(self.steps)


def per_token(generations: Sequence[GenerationTimes]) -> Latency | None:
    """Returns the latency `per_token` as the tool pools it, or `None` if there are fewer than two steps.

    `PerTokenLatencySessionTrackerLogitsProcessor.track` appends the gaps of all steps since the session began, after
    each generation. So a gap of the first of K generations counts K times, one of the last counts once, and the time
    between two generations counts as the latency of a token.
    """
    steps: list[int] = []
    times: list[int] = []
    for index, generation in enumerate(generations):
        steps += generation.steps
        times += [len(generations) - index] * len(generation.steps)
    if len(steps) < 2:
        return None
    return Latency.from_repeated(zip(_gaps(steps), times[1:], strict=True))


def _gaps(steps: Sequence[int]) -> list[float]:
    return [(after - before) * NS for before, after in pairwise(steps)]
