"""Energy, efficiency and memory under optimum-benchmark's names (`trackers/energy.py`, `trackers/memory.py`)."""

from __future__ import annotations

from dataclasses import dataclass

from llem_sdk import Measurement, Quantity, Reading, Unavailable, reading

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
        # A declared power model has one domain for the whole processor.
        is_declared = any(one.device == "cpu" and one.domain == "declared" for one in measurement.energy_covers)
        return cls(
            cpu=_kwh(measurement.energy_of("cpu", "declared" if is_declared else "package")),
            ram=_kwh(measurement.energy_of("cpu", "dram")),
            gpu=_kwh(measurement.energy_of("cuda")),
            total=_kwh(measurement.energy_total),
        )

    def __truediv__(self, count: int) -> Energy:
        """Divides every part."""
        return Energy(*(reading.per(part, float(count), "kWh") for part in self._parts()))

    def __sub__(self, other: Energy) -> Energy:
        """Subtracts part by part."""
        return Energy(*(reading.minus(one, two) for one, two in zip(self._parts(), other._parts(), strict=True)))

    def _parts(self) -> tuple[Reading, Reading, Reading, Reading]:
        return (self.cpu, self.ram, self.gpu, self.total)

    def as_report(self) -> dict[str, object]:
        """Returns the energies as the tool's report has them. A part that is unavailable is null."""
        return {"unit": "kWh"} | {name: reading.value(getattr(self, name)) for name in ("cpu", "ram", "gpu", "total")}


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
        return cls(unit, reading.over(Quantity.exact(volume, unit, energy.total.source), energy.total, unit))

    def as_report(self) -> dict[str, object]:
        """Returns the efficiency as the tool's report has it. It is null if it is unavailable, where the tool has 0."""
        return {"unit": self.unit, "value": reading.value(self.quantity)}


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
        return cls(
            max_ram=_megabytes(measurement.memory_peak("process-resident", "cpu")),
            max_global_vram=_megabytes(measurement.memory_peak("device", "cuda")),
            max_process_vram=_megabytes(measurement.memory_peak("process-device", "cuda")),
        )

    def as_report(self) -> dict[str, object]:
        """Returns the peaks as the tool's report has them. PyTorch's allocator is not there to be asked."""
        names = ("max_ram", "max_global_vram", "max_process_vram")
        peaks: dict[str, object] = {name: reading.value(getattr(self, name)) for name in names}
        return {"unit": "MB"} | peaks | {"max_reserved": None, "max_allocated": None}


def _kwh(joules: Reading) -> Reading:
    return reading.per(joules, JOULES_PER_KWH, "kWh")


def _megabytes(peak: Reading) -> Reading:
    return reading.per(peak, BYTES_PER_MB, "MB")
