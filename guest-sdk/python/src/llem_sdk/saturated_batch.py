"""Measures a continuous batch while it is full, which is how ML.ENERGY defines steady state.

arXiv 2505.06371, section 3.2. The time in which the batch fills or drains is not included.

    running  ┌───── max_sequences ─────┐
          ╱  │                         │╲
        ╱    │<------- window -------->│  ╲      each ended sequence is replaced by a new one
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .batch import Batch, BatchOptions
from .error import Error
from .measurement import Measurement
from .model import Model
from .request import Request
from .wait import nanoseconds
from .window import Window


@dataclass(frozen=True, slots=True)
class SteadyState:
    """The measurement of a full batch."""

    measurement: Measurement
    """The time, energy and tokens of the window."""
    steps: int
    """The number of steps in the window."""
    ran_out: bool
    """Whether there were no more requests before the window reached its length."""


@dataclass(frozen=True, slots=True)
class SaturatedBatch:
    """Options for measuring a full continuous batch."""

    options: BatchOptions
    """The options of the batch. It is full when `max_sequences` sequences run."""
    length: float
    """How long the window is open, in seconds."""
    settle_steps: int
    """The number of steps with a full batch before the window opens, so that sequences then end at different times."""

    def measure(self, model: Model, label: str, requests: Iterable[Request]) -> SteadyState:
        """Runs the requests, with one prompt each, until the window reaches its length or there are no more.

        Fails if there are too few requests to fill the batch.
        """
        remaining = iter(requests)
        with model.open_batch(self.options) as batch:
            for _ in range(self.settle_steps + 1):
                if not self._fill(batch, remaining):
                    raise Error.failed("the requests run out before the batch has been full")
                batch.step()
            elapsed, steps, is_full = 0, 0, True
            with Window(label) as window:
                while elapsed < nanoseconds(self.length):
                    is_full = self._fill(batch, remaining)
                    if not is_full:
                        break
                    step = batch.step()
                    elapsed += step.finished - step.started
                    steps += 1
        return SteadyState(window.measurement, steps, ran_out=not is_full)

    def _fill(self, batch: Batch, remaining: Iterator[Request]) -> bool:
        """Submits requests until the batch is full. Returns false if there are too few."""
        status = batch.status()
        for _ in range(status.running + status.waiting, self.options.max_sequences):
            request = next(remaining, None)
            if request is None:
                return False
            batch.submit(request)
        return True
