"""Warm-up policies: by count, by time, or until latency or temperature is steady."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from . import statistics
from .completion import Generation
from .policy import Done, Run, WarmupPolicy, WarmupStep
from .trial import Trial
from .wait import NS, nanoseconds


@dataclass(slots=True)
class FixedCount(WarmupPolicy):
    """Warms up with a fixed number of runs of the workload's first request, with a shortened output.

    Two tokens exercise both prefill and decode.

    >>> FixedCount(runs=1).next([])
    Run(request=None, max_new_tokens=2)
    """

    runs: int = 5
    """The number of runs."""
    max_new_tokens: int | None = 2
    """The maximum number of tokens that each run generates. `None` leaves the request as it is."""

    def next(self, history: Sequence[Trial]) -> WarmupStep:
        if len(history) < self.runs:
            return Run(max_new_tokens=self.max_new_tokens)
        return Done(f"{self.runs} runs")


@dataclass(slots=True)
class ColdStart(WarmupPolicy):
    """Does not warm up, for experiments that measure the cost of a first request."""

    def next(self, history: Sequence[Trial]) -> WarmupStep:
        return Done("cold start, as asked")


@dataclass(slots=True)
class TimeFloor(WarmupPolicy):
    """Warms up with the workload's first request until a minimum time has passed since the first run began."""

    floor: float = 30.0
    """The minimum time, in seconds. Energy counters and clocks settle within about half a minute."""
    max_new_tokens: int | None = None
    """The maximum number of tokens that each run generates. `None` leaves the request as it is."""

    def next(self, history: Sequence[Trial]) -> WarmupStep:
        elapsed = _elapsed(history)
        if elapsed < nanoseconds(self.floor):
            return Run(max_new_tokens=self.max_new_tokens)
        return Done(f"{elapsed * NS:.1f} s in {len(history)} runs")


@dataclass(slots=True)
class CountThenFloor(WarmupPolicy):
    """Warms up with a fixed number of runs first, and then until a minimum time has passed since the first of them."""

    count: FixedCount = field(default_factory=FixedCount)
    """The policy that is applied first."""
    floor: TimeFloor = field(default_factory=TimeFloor)
    """The policy that is applied after it."""

    def next(self, history: Sequence[Trial]) -> WarmupStep:
        step = self.count.next(history)
        return self.floor.next(history) if isinstance(step, Done) else step


@dataclass(slots=True)
class CvConvergence(WarmupPolicy):
    """Warms up until the coefficient of variation (CV) of the last latencies falls below a threshold."""

    window: int = 5
    """The number of last latencies that the coefficient is computed of."""
    threshold: float = 0.05
    """The coefficient of variation (standard deviation divided by mean) below which latencies count as steady."""
    max_runs: int = 50
    """The maximum number of runs. After them the warm-up ends, and the record says that the latency was not steady."""
    max_new_tokens: int | None = None
    """The maximum number of tokens that each run generates. `None` leaves the request as it is."""

    def next(self, history: Sequence[Trial]) -> WarmupStep:
        if len(history) >= self.window:
            latencies = [trial.seconds() for trial in history[len(history) - self.window :]]
            cv = statistics.coefficient_of_variation(latencies)
            if cv is not None and cv < self.threshold:
                return Done(f"CV of latency {cv:.4f} after {len(history)} runs")
            if len(history) >= self.max_runs:
                shown = "unknown" if cv is None else f"still {cv:.4f}"
                return Done(f"not steady: CV of latency {shown} after {len(history)} runs")
        return Run(max_new_tokens=self.max_new_tokens)


@dataclass(slots=True)
class TemperaturePlateau(WarmupPolicy):
    """Warms up with the workload's first request until no device's temperature has changed for some time.

    Leakage, and with it power, follows temperature.
    """

    kelvin: float = 1.0
    """The maximum change of a temperature that counts as steady, in K. Sensors report whole degrees."""
    period: float = 30.0
    """The time over which the change is taken, in seconds."""
    max_time: float = 600.0
    """The maximum length of the warm-up, in seconds. After it the warm-up ends, and the record says that the
    temperature was not steady."""
    max_new_tokens: int | None = None
    """The maximum number of tokens that each run generates. `None` leaves the request as it is."""

    def next(self, history: Sequence[Trial]) -> WarmupStep:
        elapsed, period = _elapsed(history), nanoseconds(self.period)
        if not history or elapsed < period:
            return Run(max_new_tokens=self.max_new_tokens)
        seconds, since = elapsed * NS, history[-1].ended() - period
        spread = _largest_spread(trial for trial in history if trial.ended() > since)
        if spread is None:
            return Done(f"{seconds:.1f} s; no device tells its temperature")
        if spread <= self.kelvin:
            return Done(f"temperature moved by {spread:.0f} K in the last of {seconds:.1f} s")
        if elapsed >= nanoseconds(self.max_time):
            return Done(f"not steady: temperature still moved by {spread:.0f} K after {seconds:.1f} s")
        return Run(max_new_tokens=self.max_new_tokens)


def _elapsed(history: Sequence[Trial]) -> int:
    """Returns the time from the beginning of the first trial to the end of the last one, in ns."""
    return history[-1].ended() - history[0].began() if history else 0


def _largest_spread(trials: Iterable[Trial]) -> float | None:
    """Returns the largest change of a device's temperature over these trials, in K.

    Returns `None` if no device reports its temperature.
    """
    extremes: dict[str, tuple[float, float]] = {}
    for trial in trials:
        if not isinstance(trial.outcome, Generation):
            continue
        for course in trial.outcome.measurement.temperatures():
            low, high = extremes.get(course.device, (course.min, course.max))
            extremes[course.device] = (min(low, course.min), max(high, course.max))
    return max((high - low for low, high in extremes.values()), default=None)
