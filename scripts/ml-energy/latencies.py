"""Latencies of requests and their statistics, as the benchmark computes them (`calculate_metrics`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from llem_sdk import Completion
from llem_sdk.statistics import mean, percentile, population_standard_deviation
from llem_sdk.wait import NS

NAMES = ("ttft", "tpot", "itl", "e2el")
PERCENTILES = (50, 90, 95, 99)


@dataclass(frozen=True, slots=True)
class RequestTimes:
    """The times of a request, in s."""

    ttft: float
    latency: float
    """From the arrival to the last token."""
    itl: tuple[float, ...]
    """A 0 for the first token, then the gap before each other token."""

    @classmethod
    def of(cls, completion: Completion) -> RequestTimes:
        """Takes the times of a completion that has a token."""
        times = completion.token_times
        gaps = tuple((after - before) * NS for before, after in pairwise(times))
        return cls((times[0] - completion.submitted) * NS, (times[-1] - completion.submitted) * NS, (0.0, *gaps))

    @property
    def tpot(self) -> float | None:
        """The mean time of an output token after the first. There is none with a single token."""
        following = len(self.itl) - 1
        return (self.latency - self.ttft) / following if following > 0 else None


def latency_metrics(requests: Sequence[RequestTimes]) -> Iterator[tuple[str, float]]:
    """Returns the statistics of each latency over all requests, in ms, by name: `mean_ttft_ms`, `p99_itl_ms`."""
    values = {
        "ttft": [one.ttft for one in requests],
        "tpot": [one.tpot for one in requests if one.tpot is not None],
        "itl": [gap for one in requests for gap in one.itl],
        "e2el": [one.latency for one in requests],
    }
    for name in NAMES:
        yield from _statistics(name, values[name])


def mean_gap_ms(requests: Iterable[RequestTimes]) -> float | None:
    """Returns the mean gap between two tokens, in ms, without the zeros that `itl` has for first tokens."""
    average = mean([gap for one in requests for gap in one.itl[1:]])
    return None if average is None else average * 1e3


def _statistics(name: str, seconds: Sequence[float]) -> Iterator[tuple[str, float]]:
    found = {"mean": mean(seconds), "median": percentile(seconds, 50.0), "std": population_standard_deviation(seconds)}
    found |= {f"p{p}": percentile(seconds, float(p)) for p in PERCENTILES}
    for statistic, value in found.items():
        if value is not None:
            yield f"{statistic}_{name}_ms", value * 1e3
