"""Arrival processes: open loops of several kinds, a closed loop, or all requests at once.

    workload = Arrivals.poisson(20.0).apply_to(requests, BatchOptions(64))
    Experiment(Model.load_granted(), workload=workload).run()

Arrival times are drawn in advance, and the host submits each request at its time. The load of the model therefore does
not change when requests arrive.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from ._gaps import Uniform, gap
from .batch import BatchOptions
from .error import Error
from .inputs import rows
from .model_info import ModelInfo
from .policy import WorkloadPolicy
from .random import Random
from .request import Request
from .schedule import Schedule
from .trial import Trial


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Gaps between requests are drawn at random."""

    rate: Callable[[int], float]
    """Returns the rate at the request of this index, in requests a second."""
    ends: tuple[float, float]
    """The first and the last rate."""
    burstiness: float
    """The shape of the gamma distribution of the gaps. Infinity makes every gap equal to the mean."""


@dataclass(frozen=True, slots=True)
class _Trace:
    """The times are given, in seconds."""

    offsets: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Arrivals:
    """When the requests of a workload arrive. The class methods create the processes.

    A host draws the random numbers during a run. The times can also be drawn without one:

    >>> from itertools import islice
    >>> list(islice(Arrivals.constant(4.0).times(lambda: 0.5), 2))
    [0.25, 0.5]
    >>> first = next(Arrivals.poisson(2.0).times(lambda: 0.5))
    >>> math.isclose(first, math.log(2.0) / 2.0)
    True
    """

    process: _Drawn | _Trace | None = None
    """The rule by which requests arrive. `None` means a closed loop, which has no fixed times."""
    concurrency: int | None = None
    """The maximum number of submitted requests that have not ended. Other requests wait, and their latencies count from
    their arrival. `None` means no limit."""
    length: float | None = None
    """How long requests are sent, in seconds. `None` means until the workload ends."""
    stream: str = "arrivals"
    """The name of the random stream that gaps are drawn from."""

    @classmethod
    def poisson(cls, rate: float) -> Arrivals:
        """Creates a Poisson process of `rate` requests a second: exponential gaps with a mean of `1 / rate` seconds."""
        return cls.gamma(rate, 1.0)

    @classmethod
    def gamma(cls, rate: float, burstiness: float) -> Arrivals:
        """Creates gamma-distributed gaps of shape `burstiness` and scale `1 / (rate * burstiness)`, as vLLM draws them.

        A burstiness of 1 is a Poisson process. A lower one gives bursts, a higher one more even gaps. `vllm bench
        serve` stretches all times so that the last one equals the number of requests over the rate. Here they stay as
        drawn.
        """
        return cls(_Drawn(lambda index: rate, (rate, rate), burstiness))

    @classmethod
    def constant(cls, rate: float) -> Arrivals:
        """Creates a process with equal gaps of `1 / rate` seconds."""
        return cls.gamma(rate, math.inf)

    @classmethod
    def linear_ramp(cls, start: float, end: float, requests: int) -> Arrivals:
        """Creates exponential gaps whose rate changes linearly over the first `requests` requests and then stays.

        The rate is `start + (end - start) * p`, where p is the request's position among them, from 0 to 1. This is
        vLLM's `linear` ramp-up.
        """
        return cls(_Drawn(lambda index: start + (end - start) * _share(index, requests), (start, end), 1.0))

    @classmethod
    def exponential_ramp(cls, start: float, end: float, requests: int) -> Arrivals:
        """Creates exponential gaps whose rate changes by equal ratios over the first `requests` requests.

        The rate is `start * (end / start)^p`, where p is the request's position among them, from 0 to 1. This is vLLM's
        `exponential` ramp-up.
        """
        return cls(_Drawn(lambda index: start * (end / start) ** _share(index, requests), (start, end), 1.0))

    @classmethod
    def trace(cls, offsets: Iterable[float]) -> Arrivals:
        """Uses these times, in seconds from the beginning of the measurement. They must not decrease.

        The workload ends after the last of them.
        """
        return cls(_Trace(tuple(offsets)))

    @classmethod
    def trace_from_dataset(cls, dataset: str, column: str) -> Arrivals:
        """Reads the times from a column of a dataset, in seconds from the beginning of the measurement."""
        offsets = [row.get(column, float) for row in rows(dataset)]
        for seconds in offsets:
            if not 0.0 <= seconds < math.inf:
                raise Error.invalid_argument(f"dataset '{dataset}': '{column}' is {seconds} s, which is no offset")
        return cls.trace(offsets)

    @classmethod
    def at_once(cls) -> Arrivals:
        """Makes all requests arrive at the beginning."""
        return cls(_Drawn(lambda index: math.inf, (1.0, 1.0), math.inf))

    @classmethod
    def closed_loop(cls, concurrency: int) -> Arrivals:
        """Creates a closed loop: a request is sent as soon as fewer than `concurrency` are running or waiting."""
        return cls(None, concurrency=concurrency)

    def with_burstiness(self, burstiness: float) -> Arrivals:
        """Changes the burstiness of drawn gaps (see `gamma`). It has no effect on other processes."""
        if not isinstance(self.process, _Drawn):
            return self
        return replace(self, process=replace(self.process, burstiness=burstiness))

    def with_concurrency(self, requests: int) -> Arrivals:
        """Limits the number of submitted requests that have not ended."""
        return replace(self, concurrency=requests)

    def with_length(self, seconds: float) -> Arrivals:
        """Sets how long requests are sent, in seconds."""
        return replace(self, length=seconds)

    def with_stream(self, name: str) -> Arrivals:
        """Sets the name of the random stream that gaps are drawn from."""
        return replace(self, stream=name)

    def apply_to(self, workload: WorkloadPolicy, options: BatchOptions) -> TimedWorkload:
        """Sends the requests of a workload at these times, in a continuous batch."""
        return TimedWorkload(self, workload, options)

    def times(self, uniform: Uniform) -> Iterator[float | None]:
        """Returns the times, in seconds from the beginning of the measurement, one for each request.

        `uniform` returns numbers in [0, 1): `Random("arrivals").next_f64`. A time is `None` in a closed loop. Fails
        with `INVALID_ARGUMENT` if a rate or the burstiness is not a number above 0, or if a trace decreases.
        """
        process = self.process
        if isinstance(process, _Drawn):
            for rate in process.ends:
                if not 0.0 < rate < math.inf:
                    raise Error.invalid_argument(f"a rate of {rate} arrivals a second is no number above 0")
            if not process.burstiness > 0.0:
                raise Error.invalid_argument(f"a burstiness of {process.burstiness} is no number above 0")
            return _drawn_times(process, uniform)
        if isinstance(process, _Trace):
            for index, (before, after) in enumerate(pairwise(process.offsets)):
                if before > after:
                    raise Error.invalid_argument(
                        f"arrival {index + 1} of the trace is at {after} s, "
                        f"before the one that precedes it at {before} s"
                    )
            return iter(process.offsets)
        return _no_times()


class TimedWorkload(WorkloadPolicy):
    """A workload whose requests arrive at given times. `Arrivals.apply_to` creates it."""

    def __init__(self, arrivals: Arrivals, workload: WorkloadPolicy, options: BatchOptions) -> None:
        self._arrivals, self._workload, self._options = arrivals, workload, options
        self._times: Iterator[float | None] | None = None

    def begin(self, model: ModelInfo) -> Schedule:
        self._workload.begin(model)
        self._times = self._arrivals.times(Random(self._arrivals.stream).next_f64)
        return Schedule(self._options, self._arrivals.concurrency, self._arrivals.length)

    def next(self, last: Trial | None) -> Request | None:
        request = self._workload.next(last)
        if request is None:
            return None
        if self._times is None:
            raise Error.failed("a workload is asked for requests before it has begun")
        for arrival in self._times:
            return replace(request, arrival=arrival)
        return None

    def total(self) -> int | None:
        return self._workload.total()


def _share(index: int, requests: int) -> float:
    return min(index / max(requests - 1, 1), 1.0)


def _drawn_times(process: _Drawn, uniform: Uniform) -> Iterator[float]:
    seconds, index = 0.0, 0
    while True:
        seconds += gap(process.rate(index), process.burstiness, uniform)
        index += 1
        yield seconds


def _no_times() -> Iterator[None]:
    while True:
        yield None
