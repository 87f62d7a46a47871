"""Results and messages of a script. Each is written to the run's journal at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Any, Self

from . import _host
from ._host import call
from .quantity import Metric

__all__ = [
    "Level",
    "Metric",
    "Phase",
    "Series",
    "Table",
    "add_metric",
    "add_series",
    "add_table",
    "log",
    "show_progress",
    "warn",
    "write_artifact",
]


class Level(Enum):
    """The importance of a log line."""

    DEBUG = "debug"
    """Details for the author of the script."""
    INFO = "info"
    """Normal progress of the run."""
    WARN = "warn"
    """A fact that a reader of the results should know."""
    ERROR = "error"
    """Something went wrong."""


@dataclass(frozen=True, slots=True)
class Series:
    """A curve: y over x."""

    name: str
    """The name in snake case."""
    x: tuple[str, str]
    """The name and unit of x."""
    y: tuple[str, str]
    """The name and unit of y."""
    points: Sequence[tuple[float, float]]
    """The points (x, y), in order."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text cells."""

    name: str
    """The name in snake case."""
    columns: Sequence[str]
    """The column heads."""
    rows: Sequence[Sequence[str]]
    """The rows. Each has the length of `columns`."""


def show_progress(done: int, total: int, label: str) -> None:
    """Shows the progress of the script to the user. A `total` of 0 means that the total is not known."""
    _host.report.show_progress(done, total, label)


def log(level: Level, message: str) -> None:
    """Writes a log line. `print` writes one too, of the level `stdout`."""
    _host.report.log(_host.report.Level[level.name], message)


def warn(message: str) -> None:
    """Adds a warning to the results, which a reader must know before trusting them."""
    _host.report.warn(message)


def add_metric(metric: Metric) -> None:
    """Reports a metric.

    Fails with `INVALID_ARGUMENT` if the name is empty, if the value or uncertainty is not finite, if the uncertainty is
    negative, if this llem does not know the source, or if the unit has more than 64 bytes or contains control
    characters.
    """
    call(_host.report.add_metric, metric_to_host(metric))


def add_series(series: Series) -> None:
    """Reports a curve.

    Fails with `INVALID_ARGUMENT` if the name is empty, if a coordinate is not finite, or if a unit has more than 64
    bytes or contains control characters.
    """
    call(_host.report.add_series, _host.report.Series(series.name, series.x, series.y, list(series.points)))


def add_table(table: Table) -> None:
    """Reports a table. Fails with `INVALID_ARGUMENT` if a row and the column heads differ in length."""
    rows = [list(row) for row in table.rows]
    call(_host.report.add_table, _host.report.Table(table.name, list(table.columns), rows))


def write_artifact(name: str, content: bytes) -> None:
    """Writes a file into the run's folder.

    Fails with `INVALID_ARGUMENT` if the name is not a single path component, or if an artifact of this name exists.
    """
    call(_host.report.write_artifact, name, content)


class Phase:
    """A named part of the run. It ends with its `with` block. Phases nest.

    with Phase("cooldown"):
        sleep_for(10.0)
    """

    def __init__(self, name: str) -> None:
        """Begins a phase inside the open one."""
        self._phase: Any = call(_host.report.Phase.begin, name)

    def end(self) -> None:
        """Ends the phase, and with it all phases that are still open inside. Does nothing if it has ended."""
        if self._phase is not None:
            phase, self._phase = self._phase, None
            call(_host.report.Phase.end, phase)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()


def metric_to_host(metric: Metric) -> Any:
    """Converts a metric to the bindings."""
    return _host.report.Metric(metric.name, metric.quantity.to_host(), list(metric.labels))
