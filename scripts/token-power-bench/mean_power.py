"""Contract up to 0.2: mean power of the readings without both edges, times the duration (`power_monitor.py`).

Its tokens are an estimate from words, and its energies per response are over the number of the CPU's readings. Both are
kept, and what they should be stands beside them under other names.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TypeVar

from llem_sdk.statistics import mean
from power_trace import PowerTrace, Readings

T = TypeVar("T")

HIGHEST_DOMAIN_POWER = 500.0
"""A CPU domain's reading above this is taken for an error, in W."""


def estimate_tokens(texts: Iterable[str]) -> int:
    """Estimates tokens as 1.3 for each word, rounded down for each text."""
    return sum(int(len(text.split()) * 1.3) for text in texts)


def without_edges(readings: Sequence[T]) -> Sequence[T]:
    """Drops a tenth of the readings at each end, and at least one, if enough are left."""
    edge = max(1, int(len(readings) * 0.1))
    return readings[edge:-edge] if len(readings) > 2 * edge else readings


def without_outliers(values: Sequence[float]) -> Sequence[float]:
    """Drops values more than three standard deviations from the mean, if there are more than five."""
    average = mean(values)
    if average is None or len(values) <= 5:
        return values
    deviation = math.sqrt(sum((value - average) ** 2 for value in values) / len(values))
    kept = [value for value in values if average - 3 * deviation <= value <= average + 3 * deviation]
    return kept or [average]


def gpu_powers(trace: PowerTrace) -> list[float]:
    """Returns the mean power of each GPU, in W."""
    means = [mean([power for _, power in without_edges(readings)]) for readings in trace.gpus.values()]
    return [power for power in means if power is not None]


def domain_power(counter: Readings) -> float | None:
    """Returns the mean power of a CPU domain from its counter, in W, or `None` if it was not read twice."""
    powers = [(high[1] - low[1]) / (high[0] - low[0]) for low, high in pairwise(counter)]
    return mean(without_outliers([power for power in without_edges(powers) if power <= HIGHEST_DOMAIN_POWER]))


def calculate_metrics(
    trace: PowerTrace, duration: float, estimated_tokens: int | None, tokens: int, responses: int
) -> dict[str, object]:
    """Returns the fields of the tool. What it has as 0 because nothing was read is null."""
    gpus = gpu_powers(trace)
    powers = {
        "gpu": sum(gpus) if gpus else None,
        "cpu": _sum(domain_power(counter) for counter in trace.cpu.values()),
        "dram": _sum(domain_power(counter) for counter in trace.dram.values()),
    }
    energies = {name: _times(power, duration) for name, power in powers.items()}
    # Without IPMI the total is GPU and CPU, and the memory is not in it.
    present = [energy for energy in (energies["gpu"], energies["cpu"]) if energy is not None]
    total = sum(present) if present else None
    result: dict[str, object] = {
        "duration": duration,
        "total_output_tokens": estimated_tokens,
        "responses": responses,
        **{f"{name}_avg_power": power for name, power in powers.items()},
        "total_avg_power": None,
        **{f"{name}_energy": energy for name, energy in energies.items()},
        "total_energy": total,
        "energy_per_token": _over(total, estimated_tokens),
    }
    cpu_readings = max((len(counter) - 1 for counter in trace.cpu.values()), default=0)
    for unit, divisor in (("second", duration), ("token", estimated_tokens), ("response", cpu_readings)):
        result |= {f"{name}_energy_per_{unit}": _over(energy, divisor) for name, energy in energies.items()}
        # The tool divides IPMI's energy alone.
        result[f"total_energy_per_{unit}"] = None
    result |= {f"gpu{index}_power_watts": power for index, power in enumerate(gpus)}
    for unit, count in (("counted_token", tokens), ("counted_response", responses)):
        result |= {f"{name}_energy_per_{unit}": _over(energy, count) for name, energy in energies.items()}
        result[f"total_energy_per_{unit}"] = _over(total, count)
    return result | {"counted_output_tokens": tokens}


def _sum(powers: Iterable[float | None]) -> float | None:
    known = [power for power in powers if power is not None]
    return sum(known) if known else None


def _times(power: float | None, duration: float) -> float | None:
    return None if power is None else power * duration


def _over(energy: float | None, divisor: float | None) -> float | None:
    return energy / divisor if energy is not None and divisor else None
