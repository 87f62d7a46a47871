"""Numbers with uncertainty, unit and source.

Uncertainties of independent quantities are propagated to first order (JCGM 100:2008, GUM, 5.1.2). Quantities from a
power model are different: its error is the same in each of them, so their uncertainties are fully correlated and add up
linearly (GUM 5.2.2, note 1).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, final

from . import _host, statistics
from .open_enum import OpenEnum


class Source(OpenEnum):
    """The source of a number."""

    CLOCK = "clock"
    """A monotonic clock of the host."""
    COUNTED = "counted"
    """An exact count of tokens, bytes or requests."""
    NVML_COUNTER = "nvml-counter"
    """NVML's cumulative energy counter of a GPU."""
    NVML_POWER = "nvml-power"
    """NVML's power field, integrated over time by the host."""
    RAPL = "rapl"
    """RAPL's cumulative energy counter of a CPU package or its DRAM."""
    SENSOR = "sensor"
    """An instantaneous reading of a device."""
    ANALYTIC = "analytic"
    """A computation from the model's shape, not an observation."""
    DERIVED = "derived"
    """A computation from other quantities."""
    MODELLED = "modelled"
    """A power model that the user declared, or a property that is known for a kind of device."""
    DATASHEET = "datasheet"
    """A vendor's datasheet."""
    SIMULATED = "simulated"
    """A simulation of the hardware, not a reading of a machine."""
    SCRIPT = "script"
    """A statement of a script."""


@final
@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its standard uncertainty, unit and source.

    >>> energy = Quantity(50.0, 1.0, "J", Source.NVML_COUNTER)
    >>> energy.per(20.0, "J/{token}")
    Quantity(value=2.5, uncertainty=0.05, unit='J/{token}', source=<Source.DERIVED: 'derived'>)
    """

    value: float
    """The value, in `unit`."""
    uncertainty: float
    """The standard uncertainty (one standard deviation, GUM 4.2.3) in `unit`. It is 0 for an exact number."""
    unit: str
    """The unit, in UCUM's spelling if UCUM has it: `J`, `W`, `s`, `Cel`, `MHz`, `FLOP`, `{token}/s`."""
    source: Source
    """The source of the value."""

    @classmethod
    def exact(cls, value: float, unit: str, source: Source) -> Quantity:
        """Creates a quantity without uncertainty."""
        return cls(value, 0.0, unit, source)

    @classmethod
    def mean(cls, values: Sequence[float], unit: str) -> Quantity | None:
        """Computes the mean of repeated values, with the standard deviation of the mean as its uncertainty (GUM 4.2.3).

        Returns `None` if there are no values. A single value has no known spread and gets an uncertainty of 0.
        """
        mean = statistics.mean(values)
        if mean is None:
            return None
        return cls(mean, statistics.standard_error(values) or 0.0, unit, Source.DERIVED)

    @classmethod
    def mean_of(cls, quantities: Iterable[Quantity]) -> Quantity | None:
        """Computes the mean of repeated quantities.

        The uncertainty is the standard deviation of the mean, or the mean's uncertainty propagated from the quantities
        if that is larger. Returns `None` if there are no quantities or if their units differ.
        """
        all_quantities = list(quantities)
        if len({quantity.unit for quantity in all_quantities}) != 1:
            return None
        mean = cls.mean([quantity.value for quantity in all_quantities], all_quantities[0].unit)
        if mean is None:
            return None
        is_modelled = any(quantity.source == Source.MODELLED for quantity in all_quantities)
        own, source = 0.0, mean.source
        for quantity in all_quantities:
            own = own + quantity.uncertainty if is_modelled else math.hypot(own, quantity.uncertainty)
            source = _derived(source, quantity.source)
        return replace(mean, uncertainty=max(mean.uncertainty, own / len(all_quantities)), source=source)

    def plus(self, other: Quantity) -> Quantity | None:
        """Adds a quantity. Returns `None` if the units differ."""
        if self.unit != other.unit:
            return None
        if self.source == other.source == Source.MODELLED:
            uncertainty = self.uncertainty + other.uncertainty
        else:
            uncertainty = math.hypot(self.uncertainty, other.uncertainty)
        source = self.source if self.source == other.source else _derived(self.source, other.source)
        return Quantity(self.value + other.value, uncertainty, self.unit, source)

    def minus(self, other: Quantity) -> Quantity | None:
        """Subtracts a quantity. Returns `None` if the units differ."""
        return self.plus(replace(other, value=-other.value))

    def times(self, other: Quantity, unit: str) -> Quantity:
        """Multiplies by a quantity. `unit` is the unit of the product."""
        uncertainty = math.hypot(self.uncertainty * other.value, other.uncertainty * self.value)
        return Quantity(self.value * other.value, uncertainty, unit, _derived(self.source, other.source))

    def over(self, divisor: Quantity, unit: str) -> Quantity | None:
        """Divides by a quantity. `unit` is the unit of the ratio. Returns `None` if the divisor is zero."""
        if divisor.value == 0.0:
            return None
        value = self.value / divisor.value
        # u(a/b) = sqrt(u(a)^2 + (a/b)^2 u(b)^2) / |b|, which also holds at a = 0.
        uncertainty = math.hypot(self.uncertainty, value * divisor.uncertainty) / abs(divisor.value)
        return Quantity(value, uncertainty, unit, _derived(self.source, divisor.source))

    def per(self, divisor: float, unit: str) -> Quantity | None:
        """Divides by an exact number. `unit` is the unit of the ratio. Returns `None` if the divisor is zero."""
        return self.over(Quantity.exact(divisor, unit, Source.COUNTED), unit)

    def in_two_digits(self) -> str:
        """Formats the value and its uncertainty with two digits of the uncertainty: `12.34 ± 0.56`."""
        decimals = 1
        if self.uncertainty > 0.0:
            decimals = min(max(1 - math.floor(math.log10(self.uncertainty)), 0), 9)
        return f"{self.value:.{decimals}f} ± {self.uncertainty:.{decimals}f}"

    def into_metric(self, name: str, **labels: str) -> Metric:
        """Turns the quantity into a metric of this name. The keywords are its labels."""
        return Metric(name, self, tuple(labels.items()))

    @classmethod
    def from_host(cls, quantity: Any) -> Quantity:
        """Converts a quantity of the bindings."""
        return cls(quantity.value, quantity.uncertainty, quantity.unit, Source(quantity.source))

    def to_host(self) -> Any:
        """Converts the quantity to the bindings."""
        return _host.types.Quantity(self.value, self.uncertainty, self.unit, str(self.source))


@final
@dataclass(frozen=True, slots=True)
class Unavailable:
    """The reason why a number is not available. It is false in a condition, and a `Quantity` is true.

    >>> reading = Unavailable("no counter can be read")
    >>> reading or None
    """

    reason: str
    """One sentence for people."""

    def __bool__(self) -> Literal[False]:
        return False


Reading = Quantity | Unavailable
"""A quantity, or the reason why it is not available. A quantity of zero was measured as zero."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A named result of the experiment.

    >>> rate = Quantity.exact(12.0, "{token}/s", Source.DERIVED)
    >>> rate.into_metric("decode_rate").label("batch", "8").labels
    (('batch', '8'),)
    """

    name: str
    """The name in snake case: `joules_per_output_token`."""
    quantity: Quantity
    """The value of the metric. The record marks its source as the script's claim."""
    labels: tuple[tuple[str, str], ...] = ()
    """Names and values of labels, which distinguish metrics of one name."""

    def label(self, name: str, value: str) -> Metric:
        """Returns the metric with a further label."""
        return replace(self, labels=(*self.labels, (name, value)))


def reading_from_host(reading: Any) -> Reading:
    """Converts a reading of the bindings."""
    if isinstance(reading, _host.types.Reading_Known):
        return Quantity.from_host(reading.value)
    return Unavailable(reading.value)


def _derived(one: Source, other: Source) -> Source:
    """Returns the source of a result of two quantities.

    A result of an input that was not measured does not count as measured either: it has that input's source.
    """
    for source in (Source.SCRIPT, Source.SIMULATED, Source.MODELLED):
        if source in (one, other):
            return source
    return Source.DERIVED
