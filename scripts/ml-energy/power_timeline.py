"""Power of the GPUs over time, as `zeus.monitor.PowerMonitor` keeps it."""

from __future__ import annotations

from llem_sdk import Window
from llem_sdk.wait import NS

PERIOD = 0.1
"""The shortest time between two kept readings, in s: the benchmark's `update_period`."""

BETWEEN_READS = 5 * 10**9
"""How often the host's samples are taken over, in ns. The host keeps the newest 65,536, which is about ten minutes."""


class PowerTimeline:
    """The power of each GPU while a window is open."""

    def __init__(self, window: Window) -> None:
        self.readings: dict[int, list[tuple[float, float]]] = {}
        """By GPU: times in s since the run began, and powers in W."""
        self._window = window
        self._read_until = 0
        self._next = 0

    def read(self, now: int) -> None:
        """Takes over the host's samples if it is time to."""
        if now >= self._next:
            self._next = now + BETWEEN_READS
            self.read_rest()

    def read_rest(self) -> None:
        """Takes over all of the host's samples since the last time."""
        for sample in self._window.timeline(self._read_until):
            self._read_until = max(self._read_until, sample.at + 1)
            if not sample.device.startswith("cuda:"):
                continue
            readings = self.readings.setdefault(int(sample.device.removeprefix("cuda:")), [])
            if not readings or sample.at * NS - readings[-1][0] >= PERIOD:
                readings.append((sample.at * NS, sample.power.value))
