"""Energy, efficiency and memory under optimum-benchmark's names (`trackers/energy.py`, `trackers/memory.py`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from llem_sdk import Measurement, Quantity, Reading, Unavailable

JOULES_PER_KWH = 3.6e6
BYTES_PER_MB = 1e6


@dataclass(frozen=True, slots=True)
class Energy:
    """The energy of a piece of work, in kWh. A part without a counter is unavailable, with the reason."""

    cpu: Reading
    """Of the CPU's packages."""
    ram: Reading
    """Of the CPU's memory."""
    gpu: Reading
    """Of the accelerators that held the model."""
    total: Reading
    """Of all parts that are measured. Unavailable if a device that did work is not measured."""

    @classmethod
    def of(cls, measurement: Measurement) -> Energy:
        """Takes the energies of a window."""
        covered = {(domain.device, domain.domain) for domain in measurement.energy_covers}
        parts: dict[str, list[Reading]] = {"cpu": [], "ram": [], "gpu": []}
        for one in measurement.energy:
            if (one.device, one.domain) in covered:
                of_cpu = "ram" if one.domain.startswith("dram") else "cpu"
                parts[of_cpu if one.device == "cpu" else "gpu"].append(one.energy)
        return cls(
            cpu=_kwh(_sum(parts["cpu"], "no counter of the CPU's packages can be read")),
            ram=_kwh(_sum(parts["ram"], "no counter of the CPU's memory can be read")),
            gpu=_kwh(_sum(parts["gpu"], "no accelerator held the model")),
            total=_kwh(measurement.energy_total),
        )

    def __truediv__(self, count: int) -> Energy:
        """Divides every part."""
        return Energy(*(_over(part, float(count), "kWh") for part in self._parts()))

    def __sub__(self, other: Energy) -> Energy:
        """Subtracts part by part."""
        return Energy(*(_minus(one, two) for one, two in zip(self._parts(), other._parts(), strict=True)))

    def _parts(self) -> tuple[Reading, Reading, Reading, Reading]:
        return (self.cpu, self.ram, self.gpu, self.total)

    def as_report(self) -> dict[str, object]:
        """Returns the energies as the tool's report has them. A part that is unavailable is null."""
        return {"unit": "kWh"} | {name: _value(getattr(self, name)) for name in ("cpu", "ram", "gpu", "total")}


@dataclass(frozen=True, slots=True)
class Efficiency:
    """A volume of samples or tokens over the total energy."""

    unit: str
    quantity: Reading

    @classmethod
    def from_energy(cls, energy: Energy, volume: int, unit: str) -> Efficiency:
        """Divides the volume by the total energy."""
        if not energy.total:
            return cls(unit, energy.total)
        if energy.total.value <= 0.0:
            return cls(unit, Unavailable("the energy is not above zero: it is the difference of two series"))
        volume_quantity = Quantity.exact(volume, unit, energy.total.source)
        return cls(unit, volume_quantity.over(energy.total, unit) or Unavailable("the energy is zero"))

    def as_report(self) -> dict[str, object]:
        """Returns the efficiency as the tool's report has it. It is null if it is unavailable, where the tool has 0."""
        return {"unit": self.unit, "value": _value(self.quantity)}


@dataclass(frozen=True, slots=True)
class Memory:
    """The highest memory use of a piece of work, in MB (1e6 bytes)."""

    max_ram: Reading
    """Of this process, in the machine's memory."""
    max_global_vram: Reading
    """Of all processes, on the accelerators."""
    max_process_vram: Reading
    """Of this process, on the accelerators."""

    @classmethod
    def of(cls, measurement: Measurement) -> Memory:
        """Takes the peaks of a window."""

        def peak(kind: str, *, is_accelerator: bool, otherwise: str) -> Reading:
            peaks = measurement.memory_peaks
            of_kind = [one.peak for one in peaks if one.kind == kind and (one.device != "cpu") == is_accelerator]
            return _over(_sum(of_kind, otherwise), BYTES_PER_MB, "MB")

        none = "no accelerator is in use"
        return cls(
            max_ram=peak("process-resident", is_accelerator=False, otherwise="the process' memory is not read"),
            max_global_vram=peak("device", is_accelerator=True, otherwise=none),
            max_process_vram=peak("process-device", is_accelerator=True, otherwise=none),
        )

    def as_report(self) -> dict[str, object]:
        """Returns the peaks as the tool's report has them. PyTorch's allocator is not there to be asked."""
        names = ("max_ram", "max_global_vram", "max_process_vram")
        peaks: dict[str, object] = {name: _value(getattr(self, name)) for name in names}
        return {"unit": "MB"} | peaks | {"max_reserved": None, "max_allocated": None}


def _sum(readings: Iterable[Reading], otherwise: str) -> Reading:
    """Adds readings. The first that is unavailable makes the sum unavailable; without readings `otherwise` says why."""
    total: Reading = Unavailable(otherwise)
    for reading in readings:
        if not reading:
            return reading
        total = (total.plus(reading) if total else reading) or Unavailable("the units differ")
    return total


def _minus(one: Reading, other: Reading) -> Reading:
    if not one:
        return one
    return (one.minus(other) or Unavailable("the units differ")) if other else other


def _over(reading: Reading, divisor: float, unit: str) -> Reading:
    return (reading.per(divisor, unit) or Unavailable("the divisor is zero")) if reading else reading


def _kwh(joules: Reading) -> Reading:
    return _over(joules, JOULES_PER_KWH, "kWh")


def _value(reading: Reading) -> float | None:
    return reading.value if reading else None
