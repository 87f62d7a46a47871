"""The devices of the machine: their properties and their current state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import _host
from ._host import call
from .open_enum import OpenEnum
from .quantity import Reading, Source, Unavailable, reading_from_host


class Dtype(OpenEnum):
    """A number format of weights, activations or cached keys and values."""

    F32 = "f32"
    """IEEE 754 binary32."""
    BF16 = "bf16"
    """bfloat16."""
    F16 = "f16"
    """IEEE 754 binary16."""


@dataclass(frozen=True, slots=True)
class Peak:
    """A device's peak rate of dense matrix products in one number format."""

    dtype: Dtype
    """The number format."""
    rate: Reading
    """The peak rate in FLOP/s. A multiply-add counts as two operations, and sparsity is not used."""


@dataclass(frozen=True, slots=True)
class Peaks:
    """The peak rates of a device."""

    origin: str
    """The origin of the rates: a datasheet, or what was measured and when."""
    products: tuple[Peak, ...]
    """The peak rate of matrix products in each number format."""
    bandwidth: Reading
    """Memory bandwidth, in By/s."""


@dataclass(frozen=True, slots=True)
class Device:
    """One device of this machine."""

    id: str
    """The device's id in load options and measurements: `cpu`, `cuda:0`."""
    kind: str
    """The kind of hardware: `cpu` (the processor and its memory), `cuda` (an NVIDIA GPU)."""
    name: str
    """The vendor's name for the device."""
    uuid: str | None
    """A unique identifier. `None` if the device has none."""
    memory_bytes: int | None
    """The size of the device's memory, in bytes. `None` if it cannot be read."""
    compute_capability: tuple[int, int] | None
    """The CUDA compute capability: major and minor version."""
    datasheet_peaks: Peaks | Unavailable
    """The peaks in the vendor's datasheet, or the reason why they are not known."""
    measured_peaks: Peaks | Unavailable
    """The peaks that `llem doctor --peaks` last measured on this device, or the reason why there are none."""
    energy_source: Source | Unavailable
    """The source of the device's energy, or the reason why its energy is not measured and what to run to change that.
    """
    notes: tuple[str, ...]
    """Remarks that a reader of the device's numbers must know, such as that MIG is on."""


@dataclass(frozen=True, slots=True)
class DeviceState:
    """The state of a device at one moment. A value that the device does not report is `Unavailable`."""

    at: int
    """When the state was read, in ns since the run began."""
    power: Reading
    """Power draw, in W."""
    temperature: Reading
    """Temperature, in Cel."""
    core_clock: Reading
    """Clock of the cores (SM clock on a GPU), in MHz."""
    memory_clock: Reading
    """Clock of the memory, in MHz."""
    utilisation: Reading
    """The share of its last sampling period in which the device was busy, from 0 to 100 %."""
    memory_used: Reading
    """Memory in use by all processes on the device, in By."""
    pcie: Reading
    """The rate of bytes sent and received over PCIe in the last 40 ms, in By/s."""
    throttle_reasons: tuple[str, ...]
    """The reasons why the clocks are throttled now, in NVML's words. Empty if they are not throttled."""


def list_devices() -> list[Device]:
    """Returns every device of this machine, the CPU first."""
    return [_device(host) for host in _host.devices.list_devices()]


def find_device(id: str) -> Device:
    """Returns the device of this id. Fails with `NOT_FOUND` if there is none."""
    return _device(call(_host.devices.find_device, id))


def read_state(id: str) -> DeviceState:
    """Reads the current state of a device, which takes 40 ms on a GPU.

    Fails with `NOT_FOUND` if no device has this id, and with `FAILED` if the device has been lost.
    """
    state = call(call(_host.devices.find_device, id).read)
    return DeviceState(
        at=state.at(),
        power=reading_from_host(state.power()),
        temperature=reading_from_host(state.temperature()),
        core_clock=reading_from_host(state.core_clock()),
        memory_clock=reading_from_host(state.memory_clock()),
        utilisation=reading_from_host(state.utilisation()),
        memory_used=reading_from_host(state.memory_used()),
        pcie=reading_from_host(state.pcie()),
        throttle_reasons=tuple(state.throttle_reasons()),
    )


def _device(host: Any) -> Device:
    return Device(
        id=host.id(),
        kind=host.kind(),
        name=host.name(),
        uuid=host.uuid(),
        memory_bytes=host.memory_bytes(),
        compute_capability=host.compute_capability(),
        datasheet_peaks=_peaks(host.datasheet_peaks),
        measured_peaks=_peaks(host.measured_peaks),
        energy_source=_source(host.energy_source),
        notes=tuple(host.notes()),
    )


def _peaks(read: Callable[[], Any]) -> Peaks | Unavailable:
    try:
        peaks = read()
    except _host.Err as failure:
        return Unavailable(failure.value)
    products = tuple(Peak(Dtype(peak.dtype), reading_from_host(peak.rate)) for peak in peaks.products)
    return Peaks(peaks.origin, products, reading_from_host(peaks.bandwidth))


def _source(read: Callable[[], Any]) -> Source | Unavailable:
    try:
        return Source(read())
    except _host.Err as failure:
        return Unavailable(failure.value)
