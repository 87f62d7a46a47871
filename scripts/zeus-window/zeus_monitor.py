"""Measurement windows under the names of Zeus' `ZeusMonitor` (`zeus/monitor/energy.py`)."""

from __future__ import annotations

from dataclasses import dataclass

from llem_sdk import Error, Reading, Window, reading
from llem_sdk import Measurement as HostMeasurement
from llem_sdk.wait import NS

ACCELERATOR = "cuda:"
"""What the ids of GPUs begin with. Their index follows: `cuda:0`."""

NOT_COVERED = "no counter covers it"


@dataclass(frozen=True, slots=True)
class Measurement:
    """The result of one window. Energies are in J, by the index of the GPU or of the CPU package."""

    start_time: float
    """When the window began, in s since the run began."""
    time: float
    """The length of the window, in s."""
    gpu_energy: dict[int, Reading]
    """The energy of every GPU of the machine."""
    cpu_energy: dict[int, Reading]
    """The energy of every CPU package with a counter."""
    dram_energy: dict[int, Reading]
    """The energy of the memory of every CPU package, where it has a counter of its own."""
    total_cpu_energy: Reading
    """The energy of all CPU packages, in J, or the reason why it is not known. Zeus has no such sum."""

    @classmethod
    def of(cls, measurement: HostMeasurement) -> Measurement:
        """Takes the time and the energies of a window."""
        gpu: dict[int, Reading] = {}
        cpu: dict[int, Reading] = {}
        dram: dict[int, Reading] = {}
        for one in measurement.energy:
            if one.device.startswith(ACCELERATOR):
                index = int(one.device.removeprefix(ACCELERATOR))
                gpu[index] = reading.plus(gpu[index], one.energy) if index in gpu else one.energy
            elif one.device == "cpu":
                kind, _, package = one.domain.rpartition("-")
                if package.isdecimal():
                    (dram if kind == "dram" else cpu)[int(package)] = one.energy
        # A declared power model has one energy for the whole processor.
        total = reading.total(cpu.values(), NOT_COVERED) if cpu else measurement.energy_cpu
        return cls(measurement.started * NS, measurement.wall_time * NS, gpu, cpu, dram, total)

    @property
    def total_energy(self) -> Reading:
        """The energy of all GPUs, in J. As in Zeus, the CPU is not part of it."""
        return reading.total(self.gpu_energy.values(), NOT_COVERED)

    def as_report(self, name: str) -> dict[str, object]:
        """Returns the measurement with Zeus' fields. An energy that is not known is null."""

        def values(by_index: dict[int, Reading]) -> dict[int, float | None]:
            return {index: reading.value(energy) for index, energy in by_index.items()}

        return {
            "window_name": name,
            "start_time": self.start_time,
            "time": self.time,
            "gpu_energy": values(self.gpu_energy),
            "cpu_energy": values(self.cpu_energy) or None,
            "dram_energy": values(self.dram_energy) or None,
            "soc_energy": None,
            "total_energy": reading.value(self.total_energy),
        }


class ZeusMonitor:
    """Opens and closes windows by their keys. Windows of different keys may nest and overlap."""

    def __init__(self) -> None:
        self.measured: list[tuple[str, Measurement]] = []
        """The key and the result of each window that has ended, in the order in which they ended."""
        self._windows: dict[str, Window] = {}

    def begin_window(self, key: str, *, restart: bool = False) -> None:
        """Begins a window. With `restart` an open window of this key is discarded, otherwise it is an error."""
        if key in self._windows and not restart:
            raise Error.invalid_argument(f"Measurement window '{key}' already exists: end it first, or restart it")
        self._windows[key] = Window(key)

    def end_window(self, key: str, *, cancel: bool = False) -> Measurement | None:
        """Ends a window and returns its measurement. With `cancel` the window is discarded, and there is none."""
        if key not in self._windows:
            raise Error.invalid_argument(f"Measurement window '{key}' does not exist: begin it first")
        window = self._windows.pop(key)
        if cancel:
            return None
        measurement = Measurement.of(window.close())
        self.measured.append((key, measurement))
        return measurement

    def log(self) -> str:
        """Returns the windows as Zeus' log file has them. `start_time` is in s since the run began."""
        gpus = sorted({index for _, one in self.measured for index in one.gpu_energy})
        lines = ["start_time,window_name,elapsed_time," + ",".join(f"gpu{index}_energy" for index in gpus)]
        for key, one in self.measured:
            energies = [reading.value(one.gpu_energy[index]) for index in gpus]
            cells = ["" if energy is None else str(energy) for energy in energies]
            lines.append(",".join([str(one.start_time), key, str(one.time), *cells]))
        return "\n".join(lines) + "\n"
