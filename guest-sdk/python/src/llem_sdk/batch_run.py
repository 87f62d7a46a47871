"""Measures a workload in a continuous batch, in one window.

    workload ──next──► at most 64 ahead of their arrival ──► pending ──► ended ──► workload, metrics

The host admits requests at their arrivals by itself. The code here does not delay them, provided that requests are
submitted early enough.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from . import report
from .batch import Batch
from .completion import Completion
from .error import Error
from .meter import now
from .policy import MetricsPolicy, WorkloadPolicy
from .request import Request
from .schedule import Schedule, Session
from .trial import Trial
from .wait import nanoseconds
from .window import Window

_MAX_SCHEDULED = 64
"""The maximum number of sequences that are submitted before their arrival. More would cost the host little, but a
workload that adapts to ended trials would react later."""

_LEAD = 0.05
"""The time from the first submission to the moment that arrivals count from, in seconds. Without it the first requests
would be due while later ones are still being tokenized."""


@dataclass(slots=True)
class _PendingRequest:
    """A submitted request with at least one sequence that has not ended."""

    index: int
    request: Request
    sequences: list[int]
    completions: dict[int, Completion] = field(default_factory=dict)


class BatchRun:
    """The state of a run in a continuous batch."""

    def __init__(
        self, batch: Batch, schedule: Schedule, workload: WorkloadPolicy, metrics: MetricsPolicy | None
    ) -> None:
        self._batch, self._schedule, self._workload, self._metrics = batch, schedule, workload, metrics
        # The moment that arrivals count from, in ns since the run began.
        self._began = 0
        self._submitted = 0
        self._pending: dict[int, _PendingRequest] = {}
        # The submitted request that each running sequence belongs to.
        self._requests_of_sequences: dict[int, _PendingRequest] = {}
        # Ended trials that the workload has not received yet.
        self._ended: deque[Trial] = deque()
        self._has_more = True
        # The workload's first request, until it is submitted.
        self._first: Request | None = None

    def run(self, first: Request) -> Session:
        """Runs all requests of the workload, of which `first` was already asked for."""
        if self._schedule.concurrency == 0:
            raise Error.invalid_argument("the workload's schedule has a concurrency of 0: it is at least 1")
        total = self._workload.total() or 0
        with Window("session") as window:
            self._began = now() + (0 if first.arrival is None else nanoseconds(_LEAD))
            self._first = first
            while True:
                while self._has_capacity():
                    self._submit(self._next_request(self._ended.popleft() if self._ended else None))
                if not self._pending:
                    break
                self._advance()
                report.show_progress(self._submitted - len(self._pending), total, "requests")
            while self._ended:
                self._next_request(self._ended.popleft())
        return Session(window.measurement)

    def _advance(self) -> None:
        """Runs the batch until sequences end, and records these."""
        progress = self._batch.run_until_end()
        if not progress.ended and progress.steps == 0:
            raise Error.failed(
                "requests of the workload wait for a script that chooses their tokens, which no workload can"
            )
        for completion in progress.ended:
            self._complete(completion)

    def _next_request(self, ended: Trial | None) -> Request | None:
        """Asks the workload for its next request.

        If a trial has ended, the workload and then the metrics receive it.
        """
        if self._first is not None:
            first, self._first = self._first, None
            return first
        request = self._workload.next(ended)
        if self._metrics is not None and ended is not None:
            self._metrics.observe(ended)
        return request

    def _has_capacity(self) -> bool:
        """Returns true if another request can be submitted now."""
        length, concurrency = self._schedule.length, self._schedule.concurrency
        if length is not None and now() >= self._began + nanoseconds(length):
            self._has_more = False
        return (
            self._has_more
            and (concurrency is None or len(self._pending) < concurrency)
            and self._batch.resource.scheduled() < _MAX_SCHEDULED
        )

    def _submit(self, request: Request | None) -> None:
        """Submits the workload's next request.

        If there is none, or if it arrives after the schedule's length, no more are requested.
        """
        length = self._schedule.length
        if request is None or (length is not None and request.arrival is not None and request.arrival >= length):
            self._has_more = False
            return
        arrival = None if request.arrival is None else self._began + nanoseconds(request.arrival)
        pending = _PendingRequest(self._submitted, request, self._batch.submit(request, arrival))
        self._pending[self._submitted] = pending
        self._requests_of_sequences |= dict.fromkeys(pending.sequences, pending)
        self._submitted += 1

    def _complete(self, completion: Completion) -> None:
        """Records an ended sequence, and the trial of its request if all sequences of the request have ended."""
        pending = self._requests_of_sequences.pop(completion.sequence, None)
        if pending is None:
            return
        pending.completions[completion.sequence] = completion
        if len(pending.completions) == len(pending.sequences):
            del self._pending[pending.index]
            completions = [pending.completions[sequence] for sequence in pending.sequences]
            self._ended.append(Trial.from_completions(pending.index, pending.request, completions))
