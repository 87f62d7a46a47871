"""Draws with and without replacement, from uniform random numbers."""

from __future__ import annotations

from collections.abc import MutableSequence, Sequence
from typing import Any, TypeVar

from ._gaps import Uniform
from .error import Error

Item = TypeVar("Item")


def below(count: int, uniform: Uniform) -> int:
    """Draws a whole number below `count`. The probabilities differ by less than `count` / 2^53."""
    return int(uniform() * count)


def pick(count: int, items: Sequence[Item], uniform: Uniform) -> list[Item]:
    """Draws `count` items with replacement."""
    if count > 0 and not items:
        raise Error.invalid_argument("there are no items to pick from")
    return [items[below(len(items), uniform)] for _ in range(count)]


def sample(count: int, population: int, uniform: Uniform) -> list[int]:
    """Draws `count` different whole numbers below `population`: the first places of a shuffle from the front."""
    if count > population:
        raise Error.invalid_argument(f"{count} different numbers cannot be drawn from {population}")
    # Only the places that differ from their index, so that a small sample of many takes little memory.
    moved: dict[int, int] = {}
    drawn = []
    for index in range(count):
        place = index + below(population - index, uniform)
        drawn.append(moved.get(place, place))
        moved[place] = moved.get(index, index)
    return drawn


def shuffle(items: MutableSequence[Any], uniform: Uniform) -> None:
    """Shuffles from the end (Durstenfeld, "Algorithm 235: Random permutation", CACM 7(7), 1964)."""
    for last in range(len(items) - 1, 0, -1):
        place = below(last + 1, uniform)
        items[last], items[place] = items[place], items[last]
