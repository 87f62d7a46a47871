"""The metrics of `vllm bench serve` (`calculate_metrics` in `benchmarks/serve.py`), computed from times of tokens.

    due          sent                first token             last token
     |-- queue ---|------ ttft ------|-- itl --|-- itl --|-- itl --|
                  |------------------ latency (e2el) --------------|

Nothing here calls the host.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from llem_sdk import Completion
from llem_sdk.statistics import percentile, population_standard_deviation
from llem_sdk.wait import NS

HEADERS = {
    "ttft": ("TTFT", "Time to First Token"),
    "tpot": ("TPOT", "Time per Output Token (excl. 1st token)"),
    "itl": ("ITL", "Inter-token Latency"),
    "e2el": ("E2EL", "End-to-end Latency"),
    "client_queue_time": ("Client Queue Time", "Client-side Queueing"),
    "e2el_including_client_queue": ("E2EL incl. Client Queue", "Queue-inclusive End-to-end Latency"),
}
"""The latencies in the tool's order, with the names and heads that it prints."""

GOODPUT_NAMES = ("ttft", "tpot", "e2el")
"""The latencies that may have a service level."""


@dataclass(frozen=True, slots=True)
class RequestOutput:
    """What a request gave, under the tool's names. Times are in s."""

    success: bool
    """Whether a token arrived."""
    prompt_len: int
    """The tokens of the prompt, with special tokens and those that were found in the prefix cache."""
    output_tokens: int
    start_time: float
    """When the request was sent, since the run began."""
    ttft: float
    itl: tuple[float, ...]
    latency: float
    client_queue_time: float
    """The time from the arrival until the request was sent."""
    generated_text: str = ""
    error: str = ""

    @classmethod
    def of(cls, completion: Completion, due: int) -> RequestOutput:
        """Takes the times of a completion whose arrival was at `due`, in ns since the run began."""
        sent, times = completion.submitted, completion.token_times
        return cls(
            success=bool(times),
            prompt_len=completion.prompt_tokens + completion.cached_tokens,
            output_tokens=len(times),
            start_time=sent * NS,
            ttft=(times[0] - sent) * NS if times else 0.0,
            itl=tuple((after - before) * NS for before, after in pairwise(times)),
            latency=(times[-1] - sent) * NS if times else 0.0,
            client_queue_time=(sent - due) * NS,
            generated_text=completion.text or "",
            error="" if times else f"no token was generated: {completion.finish}",
        )

    def tpot(self) -> float | None:
        """Returns the time per output token after the first, or `None` below two tokens."""
        return (self.latency - self.ttft) / (self.output_tokens - 1) if self.output_tokens > 1 else None


@dataclass(frozen=True, slots=True)
class LatencyStatistics:
    """The statistics of a latency, in ms. All are 0 without values, as in the tool."""

    values: tuple[float, ...]
    """The values, in s."""
    mean: float
    median: float
    std: float
    """The standard deviation of the population."""
    percentiles: tuple[tuple[str, float], ...]
    """Percentiles by their names: `p99`."""

    @classmethod
    def of(cls, values: Sequence[float], percentiles: Sequence[float]) -> LatencyStatistics:
        known = list(values) or [0.0]
        mean = math.fsum(known) / len(known)
        return cls(
            values=tuple(values),
            mean=1e3 * mean,
            median=1e3 * (percentile(known, 50.0) or 0.0),
            std=1e3 * (population_standard_deviation(known) or 0.0),
            percentiles=tuple((percentile_name(p), 1e3 * (percentile(known, p) or 0.0)) for p in percentiles),
        )

    def fields(self, latency: str) -> Iterator[tuple[str, float]]:
        """Returns the statistics under the tool's names, such as `mean_ttft_ms`."""
        yield f"mean_{latency}_ms", self.mean
        yield f"median_{latency}_ms", self.median
        yield f"std_{latency}_ms", self.std
        for name, value in self.percentiles:
            yield f"{name}_{latency}_ms", value


def percentile_name(p: float) -> str:
    """Returns `p99` for 99.0 and `p99.9` for 99.9."""
    return f"p{int(p) if int(p) == p else p}"


@dataclass(frozen=True, slots=True)
class ServingMetrics:
    """The metrics of one benchmark. Rates are per second."""

    completed: int
    failed: int
    total_input: int
    total_output: int
    request_throughput: float
    request_goodput: float | None
    output_throughput: float
    total_token_throughput: float
    max_output_tokens_per_s: float
    max_concurrent_requests: int
    max_overlapping_requests: int
    """The most requests that were between sending and last token at one moment. The tool has no such number."""
    latencies: Mapping[str, LatencyStatistics]

    @classmethod
    def of(
        cls,
        outputs: Sequence[RequestOutput],
        duration: float,
        percentiles: Sequence[float],
        goodput: Mapping[str, float],
    ) -> ServingMetrics:
        """Computes the metrics of requests that took `duration` seconds together. Levels of goodput are in ms."""
        good = [one for one in outputs if one.success]
        total_input, total_output = sum(one.prompt_len for one in good), sum(one.output_tokens for one in good)
        tokens, concurrent = per_second(good)
        values: dict[str, Sequence[float]] = {
            "ttft": [one.ttft for one in good],
            "tpot": [tpot for one in good if (tpot := one.tpot()) is not None],
            "itl": [gap for one in good for gap in one.itl],
            "e2el": [one.latency for one in good],
            "client_queue_time": [one.client_queue_time for one in good],
            "e2el_including_client_queue": [one.latency + one.client_queue_time for one in good],
        }
        return cls(
            completed=len(good),
            failed=len(outputs) - len(good),
            total_input=total_input,
            total_output=total_output,
            request_throughput=len(good) / duration,
            request_goodput=sum(meets(one, goodput) for one in good) / duration if goodput else None,
            output_throughput=total_output / duration,
            total_token_throughput=(total_input + total_output) / duration,
            max_output_tokens_per_s=float(max(tokens, default=0)),
            max_concurrent_requests=max(concurrent, default=0),
            max_overlapping_requests=peak_overlap(good),
            latencies={name: LatencyStatistics.of(each, percentiles) for name, each in values.items()},
        )


def meets(output: RequestOutput, levels: Mapping[str, float]) -> bool:
    """Returns whether a request meets all levels, in ms. TPOT counts as 0 below two tokens."""
    reached = {"ttft": output.ttft, "tpot": output.tpot() or 0.0, "e2el": output.latency}
    return all(level / 1000 >= reached[name] for name, level in levels.items())


def per_second(outputs: Sequence[RequestOutput]) -> tuple[list[int], list[int]]:
    """Counts tokens, and requests, in each second since the first request was sent.

    A request counts in every second that it touches. Two requests, one after the other within a second, are thus two
    concurrent requests, as in the tool.
    """
    if not outputs:
        return [], []
    began = min(one.start_time for one in outputs)
    seconds = math.ceil(max(one.start_time + one.latency for one in outputs) - began) + 1
    tokens, concurrent = [0] * seconds, [0] * seconds
    for one in outputs:
        # Times are added up in the tool's order, so that a token on the border of two seconds falls into the same one.
        time = one.start_time + one.ttft
        tokens[int(time - began)] += 1
        for gap in one.itl:
            time += gap
            if (second := int(time - began)) < seconds:
                tokens[second] += 1
        for second in range(int(one.start_time - began), int(one.start_time + one.latency - began) + 1):
            concurrent[second] += 1
    return tokens, concurrent


def peak_overlap(outputs: Sequence[RequestOutput]) -> int:
    """Returns the most requests that were under way at one moment."""
    # In whole ns, so that a request that is sent at the last token of another one does not overlap with it.
    changes = [(round(one.start_time / NS), 1) for one in outputs]
    changes += [(round((one.start_time + one.latency) / NS), -1) for one in outputs]
    running = peak = 0
    # An end sorts before a beginning of the same moment.
    for _, change in sorted(changes):
        running += change
        peak = max(peak, running)
    return peak


def parse_goodput(text: str) -> dict[str, float]:
    """Parses levels such as `ttft:500 tpot:50`, in ms. Raises `ValueError` with a message about what is wrong."""
    levels: dict[str, float] = {}
    for pair in text.replace(",", " ").split():
        name, _, value = pair.partition(":")
        if name not in GOODPUT_NAMES:
            raise ValueError(f"'{name}' is none of {', '.join(GOODPUT_NAMES)}")
        levels[name] = float(value)
        if not levels[name] >= 0.0:
            raise ValueError(f"{pair}: a level is 0 or more, in ms")
    return levels
