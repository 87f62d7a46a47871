"""Contract 1.0: energies of time windows, from timestamped readings that are interpolated at the edges.

power   o-----o-----o-----o-----o-----o-----o
window           |-- prefill --|---- decode ----|
                 interpolated  interpolated
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from power_trace import PowerTrace, Readings

SHORTEST_GPU_WINDOW = 1.0
"""In s. NVML's power is an average over this time on many cards."""

SHORTEST_CPU_WINDOW = 0.5
"""In s: the tool's interval between two readings of RAPL."""

NO_IPMI = "the host does not read IPMI"


@dataclass(frozen=True, slots=True)
class Integral:
    """The energy of a window in J, or why there is none."""

    energy: float | None
    samples: int
    """Readings inside the window, its ends included."""
    reason: str | None = None


def integrate_power(readings: Sequence[tuple[float, float]], start: float, end: float) -> Integral:
    """Integrates power by the trapezoidal rule. Nothing is extrapolated, and two readings must be inside."""

    def between(first: tuple[float, float], second: tuple[float, float], low: float, high: float) -> float:
        slope = (second[1] - first[1]) / (second[0] - first[0])
        return (first[1] + slope * (low - first[0]) + first[1] + slope * (high - first[0])) * 0.5 * (high - low)

    few = "fewer than two samples within the window; sensor cannot resolve this phase"
    return _integrate(readings, start, end, between, "samples do not cover the complete measurement window", few)


def integrate_counter(readings: Sequence[tuple[float, float]], start: float, end: float) -> Integral:
    """Interpolates an energy counter at both ends of the window and returns the difference."""

    def between(first: tuple[float, float], second: tuple[float, float], low: float, high: float) -> float:
        return (second[1] - first[1]) * (high - low) / (second[0] - first[0])

    few = "insufficient RAPL sampling resolution for this window"
    found = _integrate(readings, start, end, between, "RAPL samples do not cover the complete measurement window", few)
    if found.energy is not None and end - start < SHORTEST_CPU_WINDOW:
        return Integral(None, found.samples, few)
    return found


def _integrate(
    readings: Sequence[tuple[float, float]],
    start: float,
    end: float,
    between: Callable[[tuple[float, float], tuple[float, float], float, float], float],
    uncovered: str,
    few: str,
) -> Integral:
    inside = sum(start <= at <= end for at, _ in readings)
    if len(readings) < 2 or readings[0][0] > start or readings[-1][0] < end:
        return Integral(None, inside, uncovered)
    if inside < 2:
        return Integral(None, inside, few)
    energy = 0.0
    for first, second in pairwise(readings):
        low, high = max(first[0], start), min(second[0], end)
        if high > low:
            energy += between(first, second, low, high)
    return Integral(energy, inside)


@dataclass(slots=True)
class EnergyMetrics:
    """The energies of a window under the tool's names. `None` is not measured."""

    start_time: float
    end_time: float
    total_output_tokens: int
    num_responses: int
    gpu_energy_j: float | None = None
    cpu_energy_j: float | None = None
    dram_energy_j: float | None = None
    per_gpu_energy_j: dict[int, float | None] = field(default_factory=dict)
    sample_counts: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, trace: PowerTrace, start: float, end: float, tokens: int, responses: int) -> EnergyMetrics:
        """Integrates the readings of all devices from `start` to `end`, in s since the run began."""
        metrics = cls(start, end, tokens, responses)
        for index, readings in trace.gpus.items():
            found = integrate_power(readings, start, end)
            if end - start < SHORTEST_GPU_WINDOW:
                reason = "window shorter than conservative 1-second NVML averaging resolution"
                found = Integral(None, found.samples, reason)
            metrics.per_gpu_energy_j[index] = found.energy
            metrics._note(f"gpu:{index}", f"GPU {index}", found)
        metrics.gpu_energy_j = _sum(list(metrics.per_gpu_energy_j.values()))
        metrics.cpu_energy_j = metrics._counters("CPU", trace.cpu)
        metrics.dram_energy_j = metrics._counters("DRAM", trace.dram)
        if not trace.gpus:
            metrics.warnings.append("GPU: no power of a GPU was read")
        metrics.warnings.append(f"IPMI: {NO_IPMI}")
        return metrics

    @property
    def duration(self) -> float:
        return self.end_time - self.start_time

    @property
    def components_energy_j(self) -> float | None:
        """The sum of what is available. It is not the energy of the node."""
        present = [one for one in (self.gpu_energy_j, self.cpu_energy_j, self.dram_energy_j) if one is not None]
        return sum(present) if present else None

    @property
    def gpu_mj_per_token(self) -> float | None:
        if self.gpu_energy_j is None or self.total_output_tokens <= 0:
            return None
        return self.gpu_energy_j / self.total_output_tokens * 1000

    @property
    def energy_scope(self) -> str:
        if self.cpu_energy_j is not None or self.dram_energy_j is not None:
            return "available_components"
        return "unavailable" if self.gpu_energy_j is None else "selected_gpus"

    def as_report(self) -> dict[str, object]:
        """Returns the fields of the tool. Those of the whole node are null, because they are IPMI's."""
        duration = self.duration
        power = {index: _over(energy, duration) for index, energy in self.per_gpu_energy_j.items()}
        return {
            "duration": duration,
            "total_output_tokens": self.total_output_tokens,
            "num_responses": self.num_responses,
            "gpu_avg_power_w": _over(self.gpu_energy_j, duration),
            "gpu_energy_j": self.gpu_energy_j,
            "per_gpu_power_w": power,
            "cpu_avg_power_w": _over(self.cpu_energy_j, duration),
            "cpu_energy_j": self.cpu_energy_j,
            "dram_avg_power_w": _over(self.dram_energy_j, duration),
            "dram_energy_j": self.dram_energy_j,
            "system_avg_power_w": None,
            "system_energy_j": None,
            "energy_scope": self.energy_scope,
            "start_time": self.start_time,
            "end_time": self.end_time,
            "warnings": self.warnings,
            "sample_counts": self.sample_counts,
            "per_gpu_energy_j": self.per_gpu_energy_j,
            "total_energy_j": None,
            "components_energy_j": self.components_energy_j,
            "energy_per_token_j": None,
            "gpu_mj_per_token": self.gpu_mj_per_token,
            "total_mj_per_token": None,
        }

    def _note(self, key: str, name: str, found: Integral) -> None:
        self.sample_counts[key] = found.samples
        if found.reason is not None:
            self.warnings.append(f"{name}: {found.reason}")

    def _counters(self, name: str, by_domain: dict[str, Readings]) -> float | None:
        """Adds the counters of a kind. One that cannot be resolved makes the sum unknown."""
        if not by_domain:
            self.warnings.append(f"{name}: no RAPL counter can be read")
        energies = []
        for domain, readings in by_domain.items():
            found = integrate_counter(readings, self.start_time, self.end_time)
            self._note(domain, f"RAPL {domain}", found)
            energies.append(found.energy)
        return _sum(energies)


def _sum(energies: list[float | None]) -> float | None:
    known = [energy for energy in energies if energy is not None]
    return sum(known) if known and len(known) == len(energies) else None


def _over(energy: float | None, duration: float) -> float | None:
    return None if energy is None else energy / duration
