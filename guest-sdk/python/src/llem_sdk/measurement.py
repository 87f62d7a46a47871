"""The measurement of a closed window: time, energy, tokens, operations and the state of devices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, final

from . import reading as readings
from ._utilisation import mfu
from .quantity import Quantity, Reading, Unavailable, reading_from_host

_NOT_MEASURED = Unavailable("it was not measured")


@dataclass(frozen=True, slots=True)
class Activity:
    """The work of the engine while a window was open, summed over all models.

    A mixed step is a step of a continuous batch that runs prompts and decode together.
    """

    requests: int = 0
    """The number of requests (sequences) that began."""
    prompt_tokens: int = 0
    """The number of prompt tokens that were processed."""
    output_tokens: int = 0
    """The number of generated tokens."""
    prefill_time: int = 0
    """The time spent in prefill, in ns."""
    decode_time: int = 0
    """The time spent in decode, in ns."""
    mixed_time: int = 0
    """The time spent in mixed steps, in ns."""
    mixed_prompt_tokens: int = 0
    """The number of prompt tokens in mixed steps. They are included in `prompt_tokens`."""
    mixed_output_tokens: int = 0
    """The number of tokens generated in mixed steps. They are included in `output_tokens`."""
    flops_prefill: float = 0.0
    """The operations that prefill needed, estimated from the model's shape, in FLOP."""
    flops_decode: float = 0.0
    """The operations that decode needed, estimated from the model's shape, in FLOP."""
    flops_mixed: float = 0.0
    """The operations that mixed steps needed, estimated from the model's shape, in FLOP."""


@dataclass(frozen=True, slots=True)
class Domain:
    """A power domain of a device."""

    device: str
    """The device's id: `cpu`, `cuda:0`."""
    domain: str
    """The power domain within the device: `package-0`, `dram`, `gpu`."""


@dataclass(frozen=True, slots=True)
class DeviceEnergy:
    """The energy of one power domain of a device over a window."""

    device: str
    """The device's id."""
    domain: str
    """The power domain within it."""
    energy: Reading
    """The energy in J. The uncertainty comes from the time between the counter's ticks and the ends of the window."""


@dataclass(frozen=True, slots=True)
class Segment:
    """The part of a window from one mark to the next."""

    label: str
    """The label of the mark that the segment begins with. It is empty for the segment before the first mark."""
    started: int
    """When the segment began, in ns since the run began."""
    wall_time: int
    """The length of the segment, in ns."""
    energy: Reading
    """The segment's part of `energy_total`, in J. The parts of all segments add up to it."""


@dataclass(frozen=True, slots=True)
class RankActivity:
    """The communication time of one rank of a split model in a window."""

    device: str
    """The id of the rank's device."""
    communication: Reading
    """The time that the rank spent in communication with other ranks, including waiting for them, in s."""


@dataclass(frozen=True, slots=True)
class Course:
    """The first, last, lowest, highest and mean value of a device reading over a window."""

    device: str
    """The device's id."""
    reading: str
    """What is read: `temperature` (Cel), `core-clock` (MHz), `utilisation` (%), `memory-used` (By)."""
    unit: str
    """The unit of all values."""
    first: float
    """The value at the beginning of the window."""
    last: float
    """The value at the end of the window."""
    min: float
    """The lowest value."""
    max: float
    """The highest value."""
    mean: float
    """The mean of the readings."""


@dataclass(frozen=True, slots=True)
class Throttling:
    """The reasons why the clocks of a device were throttled."""

    device: str
    """The device's id."""
    reasons: tuple[str, ...]
    """The reasons in NVML's words."""


@dataclass(frozen=True, slots=True)
class MemoryPeak:
    """The peak memory use of a device in a window."""

    device: str
    """The device's id."""
    kind: str
    """The kind of memory use: `process-resident` (of this process, in the host's memory), `process-device` (of this
    process, on an accelerator), `device` (of all processes on the device)."""
    peak: Reading
    """The highest memory use at any moment of the window, in By."""


@final
@dataclass(frozen=True, slots=True)
class Measurement:
    """The measurement of a closed `Window`. A number that was not measured is `Unavailable` with the reason."""

    label: str
    """The label that the window was opened with."""
    started: int
    """When the window opened, in ns since the run began."""
    wall_time: int
    """The time from opening to closing on the monotonic clock, in ns. Both are read after all device work has ended."""
    warnings: tuple[str, ...] = ()
    """Warnings for a reader of the numbers: a device was throttled, its clock fell, it got warmer, or two sources
    disagree."""
    energy: tuple[DeviceEnergy, ...] = ()
    """The energy of each power domain of each device, in J."""
    energy_total: Reading = _NOT_MEASURED
    """The total energy of the domains in `energy_covers`, in J: of the CPU, and of the devices that held a model while
    the window was open. It is unavailable if a device that did work is not measured."""
    energy_covers: tuple[Domain, ...] = ()
    """The domains that `energy_total` is the sum of. The CPU is among them if its counters can be read."""
    energy_cpu: Reading = _NOT_MEASURED
    """The energy of the CPU's packages and memory, in J."""
    energy_accelerators: Reading = _NOT_MEASURED
    """The energy of the accelerators that held a model, in J."""
    energy_prefill: Reading = _NOT_MEASURED
    """The part of `energy_total` used by prompt processing, in J. The parts prefill, decode, mixed and outside add up
    to `energy_total`."""
    energy_decode: Reading = _NOT_MEASURED
    """The part of `energy_total` used by steps in which sequences only generated, in J."""
    energy_mixed: Reading = _NOT_MEASURED
    """The part of `energy_total` used by steps of continuous batches that ran prompts and decode together, in J."""
    energy_outside: Reading = _NOT_MEASURED
    """The part of `energy_total` used outside of steps: between them, and by other work of the script, in J."""
    energy_per_output_token: Reading = _NOT_MEASURED
    """`energy_total` divided by the number of generated tokens, in J/{token}."""
    energy_above_idle: Reading = _NOT_MEASURED
    """`energy_total` minus the energy that the machine would have used at rest, in J. It is unavailable if no baseline
    was measured or found."""
    devices_used: int = 0
    """The number of devices that held a model, or a part of one, while the window was open."""
    energy_imbalance: Reading = _NOT_MEASURED
    """The energy imbalance of the devices that held a model: the highest energy of a device minus their mean, as a
    share of the mean. It is unavailable if fewer than two of them are measured."""
    segments: tuple[Segment, ...] = ()
    """The parts of the window between marks. A window without marks has one segment with an empty label."""
    activity: Activity = field(default_factory=Activity)
    """The work of the engine while the window was open."""
    ranks: tuple[RankActivity, ...] = ()
    """The ranks of split models, in order. Empty if no model is split."""
    courses: tuple[Course, ...] = ()
    """The first, last, lowest, highest and mean value of each device reading: temperature, clock, utilisation, memory.
    """
    throttled: tuple[Throttling, ...] = ()
    """The devices whose clocks were throttled, with the reasons."""
    memory_peaks: tuple[MemoryPeak, ...] = ()
    """The peak memory use of each device."""

    def temperatures(self) -> Iterator[Course]:
        """Returns the course of the temperature of each device that reports it, in Cel."""
        return (course for course in self.courses if course.reading == "temperature")

    def energy_of(self, device: str, domain: str = "") -> Reading:
        """Returns the part of `energy_total` that some devices used, in J.

        `device` is an id (`cuda:0`) or a kind (`cpu`, `cuda`). `domain` is a power domain (`package-0`), or what
        several are called before their number (`package`, `dram`). Without it all domains of the devices count. The
        energy is unavailable if `energy_total` has no such domain, or if one of them was not measured.
        """
        covered = {(one.device, one.domain) for one in self.energy_covers}
        found = (
            one.energy
            for one in self.energy
            if (one.device, one.domain) in covered
            and is_of(one.device, device, ":")
            and (not domain or is_of(one.domain, domain, "-"))
        )
        return readings.total(found, f"no energy of {f'{device} {domain}'.strip()} is part of the total")

    def memory_peak(self, kind: str, device: str = "") -> Reading:
        """Returns the peak memory use of a kind in By, summed over devices.

        `kind` is `process-resident`, `process-device` or `device` (see `MemoryPeak`). `device` is an id or a kind of
        device, as in `energy_of`; without it all devices count.
        """
        found = (
            one.peak for one in self.memory_peaks if one.kind == kind and (not device or is_of(one.device, device, ":"))
        )
        return readings.total(found, f"no memory of the kind {f'{kind} {device}'.strip()} was read")

    def prefill_mfu(self, peak: Quantity, ranks: int) -> Quantity | None:
        """Returns the MFU of prefill: the share of the peak rate that steps with prompts only reached.

        `peak` is the rate of one device in FLOP/s, and `ranks` devices took part. Returns `None` if there was no
        prefill.
        """
        return mfu(self.activity.flops_prefill, self.activity.prefill_time, peak, ranks)

    def decode_mfu(self, peak: Quantity, ranks: int) -> Quantity | None:
        """Returns the MFU of decode: the share of the peak rate that steps without prompts reached.

        `peak` is the rate of one device in FLOP/s, and `ranks` devices took part. Returns `None` if there was no
        decode.
        """
        return mfu(self.activity.flops_decode, self.activity.decode_time, peak, ranks)

    def mixed_mfu(self, peak: Quantity, ranks: int) -> Quantity | None:
        """Returns the MFU of mixed steps of continuous batches, which run prompts and decode together.

        `peak` is the rate of one device in FLOP/s, and `ranks` devices took part. Returns `None` if there were no such
        steps.
        """
        return mfu(self.activity.flops_mixed, self.activity.mixed_time, peak, ranks)

    @classmethod
    def from_host(cls, host: Any) -> Measurement:
        """Converts a measurement of the bindings."""
        reading = reading_from_host
        activity = Activity(
            requests=host.requests(),
            prompt_tokens=host.prompt_tokens(),
            output_tokens=host.output_tokens(),
            prefill_time=host.prefill_time(),
            decode_time=host.decode_time(),
            mixed_time=host.mixed_time(),
            mixed_prompt_tokens=host.mixed_prompt_tokens(),
            mixed_output_tokens=host.mixed_output_tokens(),
            flops_prefill=host.flops_prefill(),
            flops_decode=host.flops_decode(),
            flops_mixed=host.flops_mixed(),
        )
        return cls(
            label=host.label(),
            started=host.started(),
            wall_time=host.wall_time(),
            warnings=tuple(host.warnings()),
            energy=tuple(DeviceEnergy(one.device, one.domain, reading(one.energy)) for one in host.energy()),
            energy_total=reading(host.energy_total()),
            energy_covers=tuple(Domain(one.device, one.domain) for one in host.energy_covers()),
            energy_cpu=reading(host.energy_cpu()),
            energy_accelerators=reading(host.energy_accelerators()),
            energy_prefill=reading(host.energy_prefill()),
            energy_decode=reading(host.energy_decode()),
            energy_mixed=reading(host.energy_mixed()),
            energy_outside=reading(host.energy_outside()),
            energy_per_output_token=reading(host.energy_per_output_token()),
            energy_above_idle=reading(host.energy_above_idle()),
            devices_used=host.devices_used(),
            energy_imbalance=reading(host.energy_imbalance()),
            segments=tuple(
                Segment(one.label, one.started, one.wall_time, reading(one.energy)) for one in host.segments()
            ),
            activity=activity,
            ranks=tuple(RankActivity(one.device, reading(one.communication)) for one in host.ranks()),
            courses=tuple(
                Course(one.device, one.reading, one.unit, one.first, one.last, one.min, one.max, one.mean)
                for one in host.courses()
            ),
            throttled=tuple(Throttling(one.device, tuple(one.reasons)) for one in host.throttled()),
            memory_peaks=tuple(MemoryPeak(one.device, one.kind, reading(one.peak)) for one in host.memory_peaks()),
        )


def is_of(name: str, group: str, separator: str) -> bool:
    """Returns whether a name is this one, or this one followed by a separator and a number."""
    return name == group or name.startswith(group + separator)
