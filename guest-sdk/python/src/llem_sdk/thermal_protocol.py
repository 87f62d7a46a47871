"""Measures trials that all begin at the same temperature, as `zeus.profile` does.

Leakage power follows temperature, so trials without a pause would each take more energy than the previous one until the
chip has settled.

    |<-- cooldown -->|        |<------- window ------->|
    +----- idle -----+-warmup-+ run, run, ..., run     +      one trial; repeated to see the spread

The necessary lengths of cooldown and window depend on chip and cooling. `ThermalProtocol.sweep` finds the shortest ones
whose trials agree.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from . import meter, statistics
from .error import Error
from .quantity import Metric, Quantity, Reading, Unavailable
from .report import Phase
from .wait import NS, nanoseconds, sleep_for
from .window import Window


@dataclass(frozen=True, slots=True)
class ThermalTrial:
    """The result of one trial."""

    energy_per_run: Reading
    """The energy of a run, in J, or the reason why it is not known."""
    runs: int
    """The number of runs in the window."""
    seconds: float
    """The length of the window, in s."""
    temperatures: tuple[tuple[str, float, float], ...]
    """Each device that reports its temperature, with the temperatures at the beginning and end of the window, in Cel.
    """


@dataclass(frozen=True, slots=True)
class ThermalSweep:
    """The result of a sweep over windows and cooldowns."""

    protocol: ThermalProtocol
    """The protocol with the shortest window and cooldown whose trials were steady."""
    is_steady: bool
    """Whether any trials were steady. If not, `protocol` has the longest window and cooldown."""
    tried: tuple[tuple[float, float, float], ...]
    """Every tried setting: cooldown in s, window in s, and the relative standard deviation of its trials."""


@dataclass(frozen=True, slots=True)
class ThermalProtocol:
    """The lengths and counts by which trials are run.

    The defaults are zeus.profile's longest cooldown and window, and its ten trials. The threshold is 1 %, whereas
    zeus.profile has one in joules.
    """

    cooldown: float = 10.0
    """The idle time before each trial, in seconds."""
    warmup_runs: int = 10
    """The number of runs before the window of each trial."""
    window: float = 10.0
    """The minimum length of the window, in seconds."""
    trials: int = 10
    """The number of trials."""
    threshold: float = 0.01
    """The standard deviation of the trials' energies, as a share of their mean, below which they count as steady."""

    def run(self, work: Callable[[], object]) -> list[ThermalTrial]:
        """Runs the trials. `work` is one run. Cooldown, warm-up and window of each trial are phases of the record."""
        return [self._trial(work) for _ in range(self.trials)]

    def _trial(self, work: Callable[[], object]) -> ThermalTrial:
        with Phase("cooldown"):
            if self.cooldown > 0.0:
                sleep_for(self.cooldown)
        with Phase("warmup"):
            for _ in range(self.warmup_runs):
                work()
        runs = 0
        with Phase("trial"), Window("trial") as window:
            began = meter.now()
            while runs == 0 or meter.now() - began < nanoseconds(self.window):
                work()
                runs += 1
        measurement = window.measurement
        energy = measurement.energy_total
        return ThermalTrial(
            energy_per_run=(energy.per(runs, "J") or Unavailable("nothing ran")) if energy else energy,
            runs=runs,
            seconds=measurement.wall_time * NS,
            temperatures=tuple((one.device, one.first, one.last) for one in measurement.temperatures()),
        )

    def sweep(self, windows: Sequence[float], cooldowns: Sequence[float], work: Callable[[], object]) -> ThermalSweep:
        """Finds the shortest steady window and cooldown, both in seconds.

        Tries windows with the longest cooldown first, then cooldowns with the window that was found, each from the
        shortest. Fails if `windows` or `cooldowns` is empty.
        """
        if not windows or not cooldowns:
            raise Error.failed("nothing to sweep over")
        protocol = replace(self, window=max(windows), cooldown=max(cooldowns))
        tried: list[tuple[float, float, float]] = []

        def is_steady(candidate: ThermalProtocol) -> bool:
            deviation = _relative_deviation(candidate.run(work))
            tried.append((candidate.cooldown, candidate.window, deviation))
            return deviation < candidate.threshold

        has_steady_window = False
        for window in sorted(windows):
            candidate = replace(protocol, window=window)
            if is_steady(candidate):
                protocol, has_steady_window = candidate, True
                break
        for cooldown in sorted(cooldowns) if has_steady_window else ():
            candidate = replace(protocol, cooldown=cooldown)
            if cooldown == protocol.cooldown or is_steady(candidate):
                protocol = candidate
                break
        return ThermalSweep(protocol, has_steady_window, tuple(tried))


def joules_per_run(trials: Sequence[ThermalTrial]) -> list[Metric]:
    """Returns the mean energy of a run as the metric `joules_per_run`.

    Fails with the reason if the energy of a trial is not known.
    """
    mean = Quantity.mean_of(_energies(trials))
    return [] if mean is None else [mean.into_metric("joules_per_run")]


def _energies(trials: Sequence[ThermalTrial]) -> list[Quantity]:
    energies = []
    for trial in trials:
        if not trial.energy_per_run:
            raise Error.failed(trial.energy_per_run.reason)
        energies.append(trial.energy_per_run)
    return energies


def _relative_deviation(trials: Sequence[ThermalTrial]) -> float:
    """Returns the standard deviation of the trials' energies divided by their mean."""
    energies = [energy.value for energy in _energies(trials)]
    if not energies:
        raise Error.failed("no trial was run")
    if len(energies) == 1:
        return 0.0
    deviation = statistics.coefficient_of_variation(energies)
    return math.inf if deviation is None else deviation
