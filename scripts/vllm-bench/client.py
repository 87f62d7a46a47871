"""Sends requests to a continuous batch, as the tool's client sends them to a server.

    arrivals in order ──► slots (max_concurrency) ──► batch ──► last token: the slot is free for the next request

A request is sent at its arrival, or as soon as a slot is free. Its latencies count from then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from llem_sdk import (
    Batch,
    BatchOptions,
    Completion,
    Error,
    Measurement,
    Model,
    Reading,
    Request,
    Unavailable,
    Window,
    meter,
    parameter_within,
    report,
)
from llem_sdk.wait import NS, nanoseconds
from options import caches_prefixes
from serving_metrics import RequestOutput
from workload import Workload

_LEAD = 0.05
_LEAD_PER_REQUEST = 0.5e-3
"""Requests are submitted this long before the benchmark begins, in s, so that none is late because others were still
being handed to the host."""


@dataclass(frozen=True, slots=True)
class BenchmarkRun:
    """The measured part of a benchmark."""

    outputs: list[RequestOutput]
    """One for each request, in their order."""
    began: int
    """The moment that arrivals count from, in ns since the run began."""
    duration: float
    """From then to the last token, in s."""
    energy: Reading
    """The energy from then until the window was closed, in J."""

    def due(self, delay: float) -> int:
        """Returns the time of an arrival, in ns since the run began."""
        return self.began + nanoseconds(delay)


def open_batch(model: Model, workload: Workload, at_once: int, *, budget: int, caches: bool) -> Batch:
    """Opens the batch that stands for the server.

    KV memory is reserved for the longest request, as many times as sequences can run at a time: `max-num-seqs`, or
    `at_once` if there are never more. `budget` and `caches` are vLLM's defaults of the tokens of a step and of prefix
    caching.
    """
    longest, context = workload.longest(), model.info().context_length
    if longest > context:
        raise Error.invalid_argument(
            f"a request has {longest} tokens with its output, and the model's context {context}"
        )
    rows = parameter_within("max-num-batched-tokens", int, 0) or budget
    sequences = min(parameter_within("max-num-seqs", int, 1), at_once, len(workload.requests))
    if rows < sequences:
        raise Error.invalid_argument(f"max-num-batched-tokens is {rows}, below max-num-seqs: raise it")
    options = BatchOptions(
        sequences, max_tokens=longest, prefill_chunk=rows, max_rows=rows, prefix_cache=caches_prefixes(caches)
    )
    return model.open_batch(options)


class Client:
    """Sends requests to a batch and takes what they give."""

    def __init__(self, batch: Batch, requests: Sequence[Request], max_concurrency: int | None) -> None:
        self._batch, self._requests = batch, requests
        self._limit = max_concurrency or len(requests)

    def warm_up(self, times: int) -> None:
        """Sends the first request several times, with the limit of concurrency."""
        request = replace(self._requests[0], label="warmup")
        client = Client(self._batch, [request] * times, min(self._limit, times))
        client._send([meter.now()] * times)

    def run(self, delays: Sequence[float], label: str) -> BenchmarkRun:
        """Sends each request at its delay, in s since the benchmark begins, and measures until the last one ended."""
        first = min(self._limit, len(self._requests))
        with Window(label) as window:
            began = meter.now() + nanoseconds(_LEAD + _LEAD_PER_REQUEST * first)
            due = [began + nanoseconds(delay) for delay in delays]
            completions = self._send(due, lambda: _begin(began, window))
        outputs = [RequestOutput.of(completion, arrival) for completion, arrival in zip(completions, due, strict=True)]
        ended = max(max((*completion.token_times, completion.submitted)) for completion in completions)
        return BenchmarkRun(outputs, began, (ended - began) * NS, _energy_of(window.measurement))

    def _send(self, due: Sequence[int], on_submitted: Callable[[], None] = lambda: None) -> list[Completion]:
        """Sends all requests and returns their completions, in the order of the requests.

        `on_submitted` is called when all requests that have a slot are submitted, before the batch runs.
        """
        batch, number = self._batch, len(self._requests)
        waiting = iter(range(number))
        sent: dict[int, int] = {}
        completions: dict[int, Completion] = {}

        def send(index: int, arrival: int | None) -> None:
            [sequence] = batch.submit(self._requests[index], arrival)
            sent[sequence] = index

        for index in islice(waiting, self._limit):
            send(index, due[index])
        on_submitted()
        while sent:
            # Without a limit no code of the script runs between two steps.
            ended = batch.drain() if self._limit >= number else batch.run_until_end().ended
            for completion in ended:
                completions[sent.pop(completion.sequence)] = completion
                for index in islice(waiting, 1):
                    freed = max((*completion.token_times, completion.submitted))
                    # A request that had to wait for a slot is sent now, and its clock starts now.
                    send(index, due[index] if due[index] > freed else None)
            report.show_progress(len(completions), number, "requests")
        return [completions[index] for index in range(number)]


def _begin(began: int, window: Window) -> None:
    """Waits until the benchmark begins, and marks that in the window."""
    late = meter.now() - began
    if late > 0:
        report.warn(f"the benchmark began {late * NS:.3f} s before all requests were submitted")
    meter.sleep_until(began)
    window.mark("benchmark")


def _energy_of(measurement: Measurement) -> Reading:
    for segment in measurement.segments:
        if segment.label == "benchmark":
            return segment.energy
    return Unavailable("the window has no segment of the benchmark")
