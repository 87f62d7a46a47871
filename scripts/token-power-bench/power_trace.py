"""The power of each device while a run was measured, from the host's timeline."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from llem_sdk import Sample, Source
from llem_sdk.wait import NS

Readings = list[tuple[float, float]]
"""Times in s since the run began, which increase, and values."""


@dataclass(slots=True)
class PowerTrace:
    """Readings of the GPUs' power in W, and of the CPU's energy counters in J since the first reading."""

    gpus: dict[int, Readings] = field(default_factory=dict)
    """By the index of the GPU."""
    cpu: dict[str, Readings] = field(default_factory=dict)
    """By package domain: `package-0`."""
    dram: dict[str, Readings] = field(default_factory=dict)
    """By memory domain: `dram-0`."""
    source: Source = Source.DERIVED
    """The source of energies that are made of the readings: derived, or what was not measured."""

    @classmethod
    def of(cls, samples: Iterable[Sample], gpu_interval: float, cpu_interval: float) -> PowerTrace:
        """Takes the samples of devices that can be measured.

        Of the readings of a GPU and of a counter, those are kept that are at least an interval apart, and the last. An
        interval of 0 keeps all.
        """
        powers: dict[tuple[str, str], Readings] = {}
        trace = cls()
        for sample in samples:
            if sample.power.source in (Source.SIMULATED, Source.MODELLED):
                trace.source = sample.power.source
            readings = powers.setdefault((sample.device, sample.domain), [])
            if not readings or sample.at * NS > readings[-1][0]:
                readings.append((sample.at * NS, sample.power.value))
        for (device, domain), readings in sorted(powers.items()):
            if device.startswith("cuda:"):
                trace.gpus[int(device.removeprefix("cuda:"))] = apart(readings, gpu_interval)
            elif device == "cpu":
                # A sample of a counter is its mean power since the sample before.
                kind = trace.dram if domain.startswith("dram") else trace.cpu
                kind[domain] = apart(cumulative(readings), cpu_interval)
        return trace

    def as_report(self) -> dict[str, object]:
        """Returns the readings under the tool's names. Counters are in µJ and begin at 0."""
        gpu: list[dict[str, object]] = []
        for index, readings in self.gpus.items():
            gpu += [{"timestamp_s": at, "gpu": index, "power_w": power} for at, power in readings]
        rapl: list[dict[str, object]] = []
        for domain, readings in (*self.cpu.items(), *self.dram.items()):
            rapl += [{"timestamp_s": at, "energy_uj": {domain: joules * 1e6}} for at, joules in readings]
        return {"gpu": gpu, "rapl": rapl, "ipmi": []}


def cumulative(powers: Readings) -> Readings:
    """Returns energies from mean powers since the reading before. The first is 0."""
    joules, before, energies = 0.0, powers[0][0], []
    for at, power in powers:
        joules += power * (at - before)
        energies.append((at, joules))
        before = at
    return energies


def apart(readings: Readings, interval: float) -> Readings:
    """Returns readings that are at least `interval` seconds apart, and the last one."""
    kept: Readings = []
    for reading in readings:
        # Readings come at about a multiple of the host's period.
        if not kept or reading[0] - kept[-1][0] >= interval * 0.999:
            kept.append(reading)
    if readings and kept[-1] != readings[-1]:
        kept.append(readings[-1])
    return kept
