"""Seeded random numbers that are the same on every machine."""

from __future__ import annotations

from collections.abc import MutableSequence, Sequence
from typing import Any, TypeVar

from . import _host, _shuffle
from ._host import call

Item = TypeVar("Item")


class Random:
    """A named stream of random numbers (ChaCha8) from the run's seed.

    The same name and seed give the same numbers on every machine and in every language.
    """

    def __init__(self, name: str) -> None:
        """Opens the stream of this name at its beginning."""
        self._random: Any = _host.inputs.Random(name)

    def next_u64(self) -> int:
        """Returns the next number, uniform over all whole numbers from 0 to 2^64 - 1."""
        number: int = self._random.next_u64()
        return number

    def next_f64(self) -> float:
        """Returns the next number, uniform in [0, 1), with 53 random bits."""
        number: float = self._random.next_f64()
        return number

    def many_u64(self, count: int) -> list[int]:
        """Returns the results of `count` calls of `next_u64`, in one call of the host."""
        numbers: list[int] = call(self._random.many_u64, count)
        return numbers

    def many_f64(self, count: int) -> list[float]:
        """Returns the results of `count` calls of `next_f64`, in one call of the host."""
        numbers: list[float] = call(self._random.many_f64, count)
        return numbers

    def tokens(self, count: int, vocabulary: int) -> list[int]:
        """Returns `count` token ids below `vocabulary`, each with the same probability."""
        tokens: list[int] = call(self._random.tokens, count, vocabulary)
        return tokens

    def pick(self, count: int, items: Sequence[Item]) -> list[Item]:
        """Returns `count` of the items, each drawn from all of them with the same probability.

        Fails with `INVALID_ARGUMENT` if there are no items.
        """
        return _shuffle.pick(count, items, iter(self.many_f64(count)).__next__)

    def sample(self, count: int, population: int) -> list[int]:
        """Returns `count` different whole numbers below `population`, in random order: drawn without replacement.

        Fails with `INVALID_ARGUMENT` if `population` is smaller than `count`.
        """
        return _shuffle.sample(count, population, iter(self.many_f64(count)).__next__)

    def shuffle(self, items: MutableSequence[Any]) -> None:
        """Puts the items into random order. Each order has the same probability."""
        _shuffle.shuffle(items, self.next_f64)
