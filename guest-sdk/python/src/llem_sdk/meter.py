"""The host's clock, the resolution of energy counters, and idle power."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import _host
from ._host import call
from .quantity import Reading, Source, Unavailable, reading_from_host
from .wait import nanoseconds


def now() -> int:
    """Returns the current time on the host's monotonic clock, in ns since the run began."""
    time: int = _host.meter.now()
    return time


def sleep_until(time: int) -> None:
    """Waits until this time, in ns since the run began. Returns at once if it has passed."""
    _host.meter.sleep_until(time)


@dataclass(frozen=True, slots=True)
class Resolution:
    """The time resolution of a power domain's energy counter."""

    device: str
    """The device's id."""
    domain: str
    """The power domain within it."""
    source: Source | Unavailable
    """The source of the energy, or the reason why it is not measured."""
    update_period: Reading
    """The time between two updates of the counter, in s."""


def counter_resolution() -> list[Resolution]:
    """Returns the time resolution of each power domain of this machine."""

    def source(given: Any) -> Source | Unavailable:
        # A failure inside a record is a value, not a raised exception.
        return Unavailable(given.value) if isinstance(given, _host.Err) else Source(given.value)

    return [
        Resolution(one.device, one.domain, source(one.source), reading_from_host(one.update_period))
        for one in _host.meter.counter_resolution()
    ]


@dataclass(frozen=True, slots=True)
class IdlePower:
    """The idle power of one power domain of a device."""

    device: str
    """The device's id."""
    domain: str
    """The power domain within it."""
    power: Reading
    """The mean power, in W. The uncertainty includes the scatter of the readings."""
    unsteady: str | None
    """The reason why the power was not steady: it rose, fell or scattered by more than 5 %. `None` if it was steady."""
    holds_model: bool
    """Whether a model was on the device. A loaded model keeps a GPU from its deepest idle state."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """The idle power of the machine: a separate measurement with a date."""

    measured_at: int
    """When the baseline was measured, in seconds since 1970-01-01 UTC."""
    wall_time: int
    """How long the measurement took, in ns."""
    from_earlier_run: bool
    """Whether an earlier run measured the baseline."""
    power: tuple[IdlePower, ...]
    """The idle power of each power domain of each device."""

    @classmethod
    def measure(cls, length: float) -> Baseline:
        """Measures idle power for `length` seconds, between 0.1 and 600, and stores it for later runs.

        From then on `Measurement.energy_above_idle` uses it. An idle GPU that holds a model takes more power than one
        that holds none. A baseline that was measured with a model on a GPU is therefore used only for windows with a
        model on it, and the reverse.
        """
        return cls._from_host(call(_host.meter.Baseline.measure, nanoseconds(length)))

    @classmethod
    def recall_or_measure(cls, length: float, lifetime: float) -> Baseline:
        """Returns the baseline that an earlier run measured at most `lifetime` seconds ago on these devices.

        It is used only if models are on the same devices as now. Otherwise one is measured (see `measure`).
        """
        recall = _host.meter.Baseline.recall_or_measure
        return cls._from_host(call(recall, nanoseconds(length), nanoseconds(lifetime)))

    @classmethod
    def _from_host(cls, host: Any) -> Baseline:
        power = tuple(
            IdlePower(one.device, one.domain, reading_from_host(one.power), one.unsteady, one.holds_model)
            for one in host.power()
        )
        return cls(host.measured_at(), host.wall_time(), host.from_earlier_run(), power)
