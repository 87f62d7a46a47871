"""Arithmetic on readings: on numbers any of which may be unavailable.

A result is unavailable if an input is, with the reason of the first such input. Otherwise the uncertainty is propagated
as in the functions of `Quantity` with the same names.

>>> from llem_sdk import Quantity, Source, Unavailable, reading
>>> energy, none = Quantity(50.0, 1.0, "J", Source.RAPL), Unavailable("no counter can be read")
>>> reading.plus(energy, none)
Unavailable(reason='no counter can be read')
>>> reading.value(reading.per(energy, 20.0, "J/{token}")), reading.value(none)
(2.5, None)
"""

from __future__ import annotations

from collections.abc import Iterable

from .quantity import Quantity, Reading, Source, Unavailable

__all__ = ["mean", "minus", "over", "per", "plus", "scaled", "times", "total", "value"]

_ZERO = Unavailable("the divisor is zero")


def value(reading: Reading) -> float | None:
    """Returns the value of a reading, or `None` if it is unavailable."""
    return reading.value if reading else None


def plus(one: Reading, other: Reading) -> Reading:
    """Adds two readings. The sum is unavailable if their units differ."""
    if not one or not other:
        return other if one else one
    return one.plus(other) or Unavailable(f"{one.unit} and {other.unit} cannot be added")


def minus(one: Reading, other: Reading) -> Reading:
    """Subtracts a reading. The difference is unavailable if the units differ."""
    if not one or not other:
        return other if one else one
    return one.minus(other) or Unavailable(f"{other.unit} cannot be subtracted from {one.unit}")


def times(one: Reading, other: Reading, unit: str) -> Reading:
    """Multiplies two readings. `unit` is the unit of the product."""
    if not one or not other:
        return other if one else one
    return one.times(other, unit)


def scaled(one: Reading, factor: float, unit: str) -> Reading:
    """Multiplies by an exact number. `unit` is the unit of the product."""
    return times(one, Quantity.exact(factor, unit, Source.COUNTED), unit)


def over(one: Reading, divisor: Reading, unit: str) -> Reading:
    """Divides by a reading. `unit` is the unit of the ratio. The ratio is unavailable if the divisor is zero."""
    if not one or not divisor:
        return divisor if one else one
    return one.over(divisor, unit) or _ZERO


def per(one: Reading, divisor: float, unit: str) -> Reading:
    """Divides by an exact number. `unit` is the unit of the ratio. The ratio is unavailable if the divisor is zero."""
    return one and (one.per(divisor, unit) or _ZERO)


def total(readings: Iterable[Reading], otherwise: str) -> Reading:
    """Adds all readings. `otherwise` is the reason if there are none."""
    found: Reading | None = None
    for reading in readings:
        found = reading if found is None else plus(found, reading)
    return Unavailable(otherwise) if found is None else found


def mean(readings: Iterable[Reading], otherwise: str) -> Reading:
    """Computes the mean of repeated readings (`Quantity.mean_of`). `otherwise` is the reason if there are none."""
    quantities: list[Quantity] = []
    for reading in readings:
        if not reading:
            return reading
        quantities.append(reading)
    if not quantities:
        return Unavailable(otherwise)
    units = list(dict.fromkeys(quantity.unit for quantity in quantities))
    return Quantity.mean_of(quantities) or Unavailable(f"{units[0]} and {units[-1]} cannot be averaged")
