"""Windows: spans of a run whose time and energy are measured."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from . import _host
from ._host import call
from .error import Error
from .measurement import Measurement
from .quantity import Quantity


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading of the power of a device's power domain."""

    at: int
    """When the power was read, in ns since the run began."""
    device: str
    """The device's id."""
    domain: str
    """The power domain within it."""
    power: Quantity
    """The power in W: the sensor's reading or, without a sensor, the counter's increase since the previous sample
    divided by the time."""


class Window:
    """An open window, which measures time and energy until `close`. Windows may nest and overlap.

    A `with` block closes it. If the block raises, the window is discarded.

        with Window("ten requests") as window:
            for _ in range(10):
                model.generate(request)
        energy = window.measurement.energy_total
    """

    def __init__(self, label: str) -> None:
        """Opens a window. The host waits until all device work has ended, then reads clock and counters."""
        self._window: Any = call(_host.meter.Window.open, label)
        self._measurement: Measurement | None = None

    def mark(self, label: str) -> None:
        """Begins a new segment of the measurement. The host does not wait for device work.

        Fails with `LIMIT_REACHED` after 1,000 marks.
        """
        call(self._open().mark, label)

    def close(self) -> Measurement:
        """Closes the window and writes the measurement to the record under the open phase.

        The host waits until all device work has ended, then reads counters and clock. Fails if a device has failed. The
        window is recorded in that case too.
        """
        measurement = Measurement.from_host(self.close_as_resource())
        self._measurement = measurement
        return measurement

    def close_as_resource(self) -> Any:
        """Closes the window and returns the host's resource of its measurement."""
        window, self._window = self._open(), None
        return call(_host.meter.Window.close, window)

    @property
    def measurement(self) -> Measurement:
        """The measurement of the closed window. Raises `Error` if the window is open."""
        if self._measurement is None:
            raise Error.failed("the window has no measurement before it is closed")
        return self._measurement

    def timeline(self, since: int = 0) -> list[Sample]:
        """Returns the power samples since a time in ns since the run began, the oldest first.

        0 means since the window opened. At most the newest 65,536 samples of each power domain are returned.
        """
        samples = self._open().timeline(since)
        return [Sample(one.at, one.device, one.domain, Quantity.from_host(one.power)) for one in samples]

    def _open(self) -> Any:
        if self._window is None:
            raise Error.failed("the window is closed")
        return self._window

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._window is None:
            return
        if error is None:
            self.close()
        else:
            self._window = None
