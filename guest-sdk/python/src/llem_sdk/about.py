"""The description of an experiment or a policy."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Self

from . import _host

Value = str | int | float | bool
"""The value of a parameter, or of a field of a dataset row."""


class Clocks(Enum):
    """The behaviour of WASI's clocks, which `time` and `datetime` read."""

    SEEDED = "seeded"
    """The clock begins at 1970-01-01 and advances by one microsecond with each reading. It is the same in every run."""
    MONOTONIC = "monotonic"
    """The clock begins at 1970-01-01 and follows the host's monotonic clock."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter that can be set with `-p name=value`."""

    name: str
    """The name in kebab case."""
    summary: str
    """One line of help for the user."""
    default: Value
    """The value if the parameter is not set. Its type is the type of the parameter."""


@dataclass(frozen=True, slots=True)
class DatasetInput:
    """A dataset that can be granted with `--dataset name=file`."""

    name: str
    """The name in kebab case."""
    summary: str
    """One line of help for the user."""
    required: bool
    """Whether the host refuses the run without the dataset."""


@dataclass(slots=True)
class About:
    """The description of an experiment or a policy: its name, parameters and datasets.

    >>> about = (
    ...     About("hello", "0.1.0", "Generates once.")
    ...     .integer("rounds", 3, "how often each prompt is measured")
    ...     .dataset("prompts", "rows with a text each")
    ... )
    >>> about.parameters[0].name, about.datasets[0].required
    ('rounds', False)
    """

    name: str
    """The name in kebab case."""
    version: str
    """The version of the script."""
    summary: str
    """One line that says what the script is for."""
    parameters: list[Parameter] = field(default_factory=list)
    """The parameters that the user can set with `-p name=value`."""
    datasets: list[DatasetInput] = field(default_factory=list)
    """The datasets that the user can grant with `--dataset name=file`."""
    clocks: Clocks = Clocks.SEEDED
    """The behaviour of WASI's clocks."""

    def integer(self, name: str, default: int, summary: str) -> Self:
        """Adds a parameter that holds a whole number."""
        self.parameters.append(Parameter(name, summary, default))
        return self

    def number(self, name: str, default: float, summary: str) -> Self:
        """Adds a parameter that holds a number."""
        self.parameters.append(Parameter(name, summary, float(default)))
        return self

    def text(self, name: str, default: str, summary: str) -> Self:
        """Adds a parameter that holds text."""
        self.parameters.append(Parameter(name, summary, default))
        return self

    def boolean(self, name: str, default: bool, summary: str) -> Self:
        """Adds a parameter that is true or false."""
        self.parameters.append(Parameter(name, summary, default))
        return self

    def dataset(self, name: str, summary: str) -> Self:
        """Adds an optional dataset."""
        self.datasets.append(DatasetInput(name, summary, required=False))
        return self

    def required_dataset(self, name: str, summary: str) -> Self:
        """Adds a required dataset. The host refuses to run the experiment without it."""
        self.datasets.append(DatasetInput(name, summary, required=True))
        return self

    def monotonic_clocks(self) -> Self:
        """Makes WASI's clocks follow the host's monotonic clock. By default they are seeded: the same in every run."""
        self.clocks = Clocks.MONOTONIC
        return self

    def to_host(self) -> Any:
        """Converts the description to the bindings."""
        host = _host.description
        about = host.About(self.name, self.version, self.summary)
        for parameter in self.parameters:
            default = value_to_host(parameter.default)
            about.add_parameter(host.Parameter(parameter.name, parameter.summary, default))
        for dataset in self.datasets:
            about.add_dataset(host.DatasetInput(dataset.name, dataset.summary, dataset.required))
        about.set_clocks(host.Clocks[self.clocks.name])
        return about


def value_to_host(value: Value) -> Any:
    """Converts a value to the bindings."""
    if isinstance(value, str):
        return _host.types.Value_Text(value)
    if isinstance(value, bool):
        return _host.types.Value_Boolean(value)
    if isinstance(value, int):
        return _host.types.Value_Integer(value)
    return _host.types.Value_Number(value)


def value_from_host(value: Any) -> Value:
    """Converts a value of the bindings."""
    converted: Value = value.value
    return converted
