"""Shares of a device's peak rates. `efficiency` explains them."""

from __future__ import annotations

from collections.abc import Iterable

from .quantity import Quantity, Source
from .wait import NS


def mfu(flops: float, time: int, peak: Quantity, ranks: int) -> Quantity | None:
    """Returns the share of the peak rate of `ranks` devices that these operations in `time` ns reached.

    `peak` is the rate of one device in FLOP/s. Returns `None` if there were no operations.
    """
    rate = _analytic(flops, "FLOP").per(time * NS, "FLOP/s")
    if rate is None or rate.value <= 0.0:
        return None
    return rate.over(peak.times(_analytic(ranks, "1"), "FLOP/s"), "1")


def mbu(read: float, time: int, bandwidth: Quantity, ranks: int) -> Quantity | None:
    """Returns the share of the peak bandwidth of `ranks` devices that reading these bytes in `time` ns reached.

    `bandwidth` is the peak of one device in By/s.
    """
    rate = _analytic(read, "By").per(time * NS, "By/s")
    if rate is None:
        return None
    return rate.over(bandwidth.times(_analytic(max(ranks, 1), "1"), "By/s"), "1")


def cached_positions(sequences: Iterable[tuple[int, int]]) -> float:
    """Returns the cached positions that the decode steps of sequences read.

    A sequence is its number of prompt tokens and of decode steps. Each step reads the keys and values of all tokens
    before it.
    """
    return sum(steps * (prompt + (steps + 1.0) / 2.0) for prompt, steps in sequences)


def _analytic(value: float, unit: str) -> Quantity:
    return Quantity.exact(value, unit, Source.ANALYTIC)
