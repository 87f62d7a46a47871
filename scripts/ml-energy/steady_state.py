"""The load of a batch, and the two counters that its steady state is measured between (`RequestTracker`)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from llem_sdk import Batch, Completion, Error, Measurement, Progress, Request, Window
from llem_sdk import meter, report
from llem_sdk.wait import nanoseconds
from power_timeline import PowerTimeline


@dataclass(slots=True)
class RequestTracker:
    """Counts first tokens, tokens and ends.

    The steady state begins when `max_num_seqs` requests have their first token. It ends when all requests but
    `max_num_seqs + 1` have finished, so that no place in the batch is empty yet.
    """

    max_num_seqs: int
    num_requests: int
    num_started: int = 0
    """Requests that have a first token."""
    num_finished: int = 0
    """Requests that have ended, whether they failed or not."""
    num_generated_tokens: int = 0
    """Tokens of all requests, the first ones included."""

    @property
    def has_begun(self) -> bool:
        """Whether the steady state has begun. If so many requests end first, it begins in the moment it ends."""
        return self.num_started >= self.max_num_seqs or self.has_ended

    @property
    def has_ended(self) -> bool:
        """Whether the steady state has ended. It is looked at when a request ends, so that needs one."""
        return self.num_finished >= max(1, self.num_requests - self.max_num_seqs - 1)


@dataclass(slots=True)
class Occupancy:
    """Means over time of what vLLM's server reports as gauges."""

    time: float = 0.0
    running: float = 0.0
    kv_used: float = 0.0

    def add(self, time: int, running: int, kv_share: float) -> None:
        self.time += time
        self.running += time * running
        self.kv_used += time * kv_share

    def means(self) -> dict[str, float]:
        """Returns the means under vLLM's names, or nothing if no time has passed."""
        if self.time == 0.0:
            return {}
        return {
            "vllm:num_requests_running": self.running / self.time,
            "vllm:kv_cache_usage_perc": self.kv_used / self.time,
        }


@dataclass(slots=True)
class Served:
    """What a load measured."""

    completions: list[Completion | str]
    """Each request's completion, in order, or why it was refused."""
    entire: Measurement
    steady: Measurement
    steady_tokens: int
    """Tokens that were generated between the two moments."""
    generated_tokens: int
    occupancy: Occupancy
    power: PowerTimeline


@dataclass(slots=True)
class Load:
    """Sends requests to a batch and opens the windows `entire_benchmark` and `steady_state`."""

    batch: Batch
    requests: Sequence[Request]
    delays: Sequence[float]
    """When each request arrives, in s from the beginning."""
    tracker: RequestTracker
    max_concurrency: int | None
    _waiting: deque[int] = field(default_factory=deque)
    _sent: dict[int, int] = field(default_factory=dict)
    _results: dict[int, Completion | str] = field(default_factory=dict)
    _with_token: set[int] = field(default_factory=set)
    _is_blocked: bool = False

    def serve(self) -> Served:
        """Runs until every request has ended."""
        self._waiting.extend(range(len(self.requests)))
        tracker, occupancy = self.tracker, Occupancy()
        entire = Window("entire_benchmark")
        power = PowerTimeline(entire)
        began = last = meter.now()
        steady: Window | None = None
        measured: Measurement | None = None
        tokens_before = tokens_after = 0
        while tracker.num_finished < len(self.requests):
            self._send(began)
            # Nothing is running between two calls, so a window that opens here cuts no step in two.
            progress = self.batch.run_until_token()
            self._count(progress)
            if steady is not None and measured is None:
                status = self.batch.status()
                ended = [one for one in progress.ended if one.tokens]
                held = status.kv_used + sum(one.prompt_tokens + len(one.tokens) for one in ended)
                share = held / status.kv_capacity if status.kv_capacity else 0.0
                occupancy.add(progress.finished - last, status.running + len(ended), share)
            last = progress.finished
            if steady is None and tracker.has_begun:
                steady, tokens_before = Window("steady_state"), tracker.num_generated_tokens
            if steady is not None and measured is None and tracker.has_ended:
                measured, tokens_after = steady.close(), tracker.num_generated_tokens
            power.read(meter.now())
            report.show_progress(tracker.num_finished, len(self.requests), "requests")
        power.read_rest()
        whole = entire.close()
        if measured is None:
            raise Error.failed("the steady state has not ended although all requests have")
        results = [self._results[index] for index in range(len(self.requests))]
        generated = tracker.num_generated_tokens
        return Served(results, whole, measured, tokens_after - tokens_before, generated, occupancy, power)

    def _send(self, began: int) -> None:
        """Submits requests. Those beyond the concurrency wait on the client's side, where no clock runs for them."""
        while self._waiting:
            if self.max_concurrency is not None and len(self._sent) >= self.max_concurrency:
                self._is_blocked = True
                return
            index = self._waiting.popleft()
            arrival = began + nanoseconds(self.delays[index])
            if self._is_blocked:
                arrival, self._is_blocked = max(arrival, meter.now()), False
            try:
                [sequence] = self.batch.submit(self.requests[index], arrival)
            except Error as error:
                self._results[index] = error.message
                self.tracker.num_finished += 1
                continue
            self._sent[sequence] = index

    def _count(self, progress: Progress) -> None:
        first = {token.sequence for token in progress.tokens} - self._with_token
        self._with_token |= first
        self.tracker.num_started += len(first)
        self.tracker.num_generated_tokens += len(progress.tokens)
        for completion in progress.ended:
            self._results[self._sent.pop(completion.sequence)] = completion
            self.tracker.num_finished += 1
