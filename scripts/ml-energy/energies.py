"""Energies of windows: those of the GPUs, as the benchmark has them, and those of the CPU, which it leaves out."""

from __future__ import annotations

from dataclasses import dataclass

from llem_sdk import Course, Measurement, Quantity, Reading, Unavailable, reading
from llem_sdk.wait import NS

ACCELERATOR = "cuda:"
"""What the ids of GPUs begin with. Their index follows: `cuda:0`."""

NO_GPU = Unavailable("no GPU held the model, and the benchmark's energies are those of GPUs")


@dataclass(frozen=True, slots=True)
class WindowEnergy:
    """The time and energies of a window."""

    time: float
    """The length, in s."""
    gpu: Reading
    """The sum over the GPUs that held the model, in J."""
    cpu: Reading
    """The CPU's packages and memory, in J."""
    gpu_energy: dict[int, Reading]
    """By the index of the GPU, in J."""
    cpu_energy: dict[int, Reading]
    """By the index of the CPU package, in J."""
    dram_energy: dict[int, Reading]
    """Of the memory of each CPU package that has a counter for it, in J."""
    temperatures: dict[int, Course]
    """The course of the temperature of each GPU, in Cel."""

    @classmethod
    def of(cls, measurement: Measurement) -> WindowEnergy:
        """Takes the energies of a closed window."""
        covered = {(domain.device, domain.domain) for domain in measurement.energy_covers}
        gpu: dict[int, Reading] = {}
        cpu: dict[int, Reading] = {}
        dram: dict[int, Reading] = {}
        for one in measurement.energy:
            kind, _, package = one.domain.rpartition("-")
            if one.device.startswith(ACCELERATOR) and (one.device, one.domain) in covered:
                gpu[int(one.device.removeprefix(ACCELERATOR))] = one.energy
            elif one.device == "cpu" and package.isdecimal():
                (dram if kind == "dram" else cpu)[int(package)] = one.energy
        temperatures = {
            int(course.device.removeprefix(ACCELERATOR)): course
            for course in measurement.temperatures()
            if course.device.startswith(ACCELERATOR)
        }
        total = measurement.energy_accelerators if gpu else NO_GPU
        return cls(measurement.wall_time * NS, total, measurement.energy_cpu, gpu, cpu, dram, temperatures)

    def as_zeus(self) -> dict[str, object]:
        """Returns the fields of Zeus' `Measurement`. An energy that is not known is null."""

        def values(by_index: dict[int, Reading]) -> dict[int, float | None]:
            return {index: reading.value(energy) for index, energy in by_index.items()}

        return {
            "time": self.time,
            "gpu_energy": values(self.gpu_energy),
            "cpu_energy": values(self.cpu_energy) or None,
            "dram_energy": values(self.dram_energy) or None,
            "soc_energy": None,
        }


def per_token(energy: Reading, tokens: int) -> Reading:
    """Divides an energy by a number of tokens. The result is in J/{token}."""
    if not energy:
        return energy
    return energy.per(float(tokens), "J/{token}") or Unavailable("no token was generated in the window")


def of_tokens(energy_per_token: Reading, tokens: float) -> Reading:
    """Returns what a number of tokens took, in J, at an energy per token."""
    if not energy_per_token:
        return energy_per_token
    return energy_per_token.times(Quantity.exact(tokens, "{token}", energy_per_token.source), "J")
