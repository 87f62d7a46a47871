"""Waiting for a time, or until the power or temperature of a device is steady."""

from __future__ import annotations

import math

from . import _host
from ._host import call

NS = 1e-9
"""One nanosecond, in seconds."""


def sleep_for(seconds: float) -> None:
    """Waits for this long, in seconds."""
    _host.meter.sleep_until(_host.meter.now() + nanoseconds(seconds))


def wait_until_power_steady(device: str | None, watts: float, timeout: float) -> float:
    """Waits until a device's power changes by less than `watts` within one second. Returns how long that took, in s.

    `device` is a device's id. `None` means the device that the run measures. Fails with `FAILED` after `timeout`
    seconds, and with `UNSUPPORTED` if nothing meters the device.
    """
    waited: int = call(_host.meter.wait_until_power_steady, device, watts, nanoseconds(timeout))
    return waited * NS


def wait_until_temperature_steady(device: str | None, kelvin: float, timeout: float) -> float:
    """Waits until a device's temperature changes by less than `kelvin` within ten seconds. Returns how long that took.

    The result is in seconds. `device` is a device's id. `None` means the device that the run measures. Fails with
    `FAILED` after `timeout` seconds, and with `UNSUPPORTED` if nothing reads the temperature.
    """
    waited: int = call(_host.meter.wait_until_temperature_steady, device, kelvin, nanoseconds(timeout))
    return waited * NS


def nanoseconds(seconds: float) -> int:
    """Converts seconds to the nanoseconds that host calls take. Lengths beyond their range become the longest one."""
    scaled = seconds * 1e9 + 0.5
    return math.floor(scaled) if scaled < 2.0**64 else 2**64 - 1
