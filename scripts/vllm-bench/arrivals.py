"""When the requests of `vllm bench serve` arrive (`get_request` in `benchmarks/serve.py`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from llem_sdk import Arrivals
from options import RampUp


@dataclass(frozen=True, slots=True)
class ArrivalPlan:
    """The arrivals of all requests, in their order."""

    delays: tuple[float, ...]
    """The arrival of each request, in s since the benchmark began."""
    rates: tuple[float, ...]
    """The rate at each request, in requests per second."""

    @classmethod
    def draw(
        cls, count: int, rate: float, burstiness: float, ramp_up: RampUp | None, uniform: Callable[[], float]
    ) -> ArrivalPlan:
        """Adds up gamma-distributed gaps, so that the first request waits for its own gap.

        Without a ramp all times are then stretched so that the last request arrives at `count / rate`. With a ramp they
        stay as drawn.
        """
        rates = tuple(ramp_up.rate(index, count) if ramp_up else rate for index in range(count))
        if ramp_up is None and rate == math.inf:
            return cls((0.0,) * count, rates)
        process = _process(count, rate, ramp_up).with_burstiness(burstiness)
        times = [time for time in islice(process.times(uniform), count) if time is not None]
        if ramp_up is None:
            factor = count / rate / times[-1]
            times = [time * factor for time in times]
        return cls(tuple(times), rates)


def _process(count: int, rate: float, ramp_up: RampUp | None) -> Arrivals:
    if ramp_up is None:
        return Arrivals.poisson(rate)
    ramp = Arrivals.linear_ramp if ramp_up.strategy == "linear" else Arrivals.exponential_ramp
    return ramp(ramp_up.start_rps, ramp_up.end_rps, count)


def rate_changes(rates: Sequence[float], start: int) -> list[tuple[int, int]]:
    """Returns each whole rate that a ramp reaches, with the index of the request that reaches it."""
    changes, reached = [], start
    for index, rate in enumerate(rates):
        changes += [(rps, index) for rps in range(reached + 1, int(rate) + 1)]
        reached = max(reached, int(rate))
    return changes
