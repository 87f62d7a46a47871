"""How a workload is run, and the measurement of all its requests together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import _host
from .batch import BatchOptions
from .measurement import Measurement
from .wait import nanoseconds


@dataclass(frozen=True, slots=True)
class Schedule:
    """How the runner runs the requests of a workload: one after another, or in a continuous batch."""

    batch: BatchOptions | None = None
    """The options of the continuous batch that all requests run in. `None` means that each request runs alone, in
    order. The other fields then have no effect."""
    concurrency: int | None = None
    """The maximum number of submitted requests that have not ended, at least 1 (a closed loop). `None` means that every
    request is submitted at its arrival, or at once."""
    length: float | None = None
    """How long requests are sent, in seconds. `None` means until the workload ends."""

    def to_host(self) -> Any:
        """Converts the schedule to the bindings."""
        schedule = _host.trials.Schedule()
        schedule.set_batch(None if self.batch is None else self.batch.to_host())
        schedule.set_concurrency(self.concurrency)
        schedule.set_length(None if self.length is None else nanoseconds(self.length))
        return schedule


@dataclass(frozen=True, slots=True)
class Session:
    """The measurement of all requests of a workload together."""

    measurement: Measurement | None = None
    """The time and energy of all measured requests and of the time between them. `None` if each request ran alone."""

    @classmethod
    def from_host(cls, session: Any) -> Session:
        """Converts a session of the bindings."""
        measurement = session.measurement()
        return cls(None if measurement is None else Measurement.from_host(measurement))
