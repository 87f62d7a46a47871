"""The checks by name, the most valuable first."""
import dataclasses
import typing

from . import correct, peers, rates
from .context import Context


@dataclasses.dataclass(frozen=True)
class Check:
    """A function of a Context that returns whether it passed."""

    function: typing.Callable[[Context], bool]
    # Seconds on an H100. A check is skipped if less time is left.
    expected_s: int
    # Seconds after which the check is killed.
    longest_s: int


CHECKS = {
    "doctor": Check(correct.doctor, 2, 20),
    "kernels": Check(correct.kernels, 30, 100),
    "parity": Check(correct.parity, 20, 60),
    "families": Check(correct.families, 15, 60),
    "adapters": Check(correct.adapters, 15, 60),
    "peaks": Check(rates.peaks, 30, 60),
    "speed": Check(rates.speed, 85, 130),
    "transformers": Check(peers.transformers, 60, 90),
    "energy": Check(rates.energy, 30, 60),
    "ranks": Check(correct.ranks, 5, 30),
    "small": Check(rates.small, 15, 40),
    "adapter-cost": Check(rates.adapter_cost, 20, 40),
}


def described() -> str:
    """Returns a paragraph for each check: name, time and description."""
    lines = []
    for name, check in CHECKS.items():
        first, *others = check.function.__doc__.strip().splitlines()
        lines.append(f"{name:13}{check.expected_s:3} s  {first}")
        lines.extend(f"{'':20}{line.strip()}" for line in others)
    return "\n".join(lines)
