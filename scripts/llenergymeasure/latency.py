"""Latencies under LLenergyMeasure's names and definitions (`domain/metrics.py`, `engines/transformers/plugin.py`).

    submitted  token 1   token 2   token 3   token 4
    |-- TTFT --|-- gap --|-- gap --|-- gap --|
    |  dropped |         trimmed   | dropped |

The tool's list of times begins with the submission, so the first interval that it drops is the TTFT.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from llem_sdk.statistics import mean, median, percentile


def intervals(times_ms: Sequence[Sequence[float]]) -> tuple[list[float], list[float], int]:
    """Returns all intervals of all requests, the trimmed ones, and how many were dropped (`collect_itl_measurements`).

    A request of three intervals or more loses its first and its last one. A shorter one loses all.
    """
    full, trimmed, excluded = [], [], 0
    for times in times_ms:
        gaps = [after - before for before, after in pairwise(times)]
        full += gaps
        inner = gaps[1:-1]
        trimmed += inner
        excluded += len(gaps) - len(inner)
    return full, trimmed, excluded


@dataclass(frozen=True, slots=True)
class TokenTimes:
    """The times of a sequence, in ms: when it was submitted, and when each of its tokens was on the host."""

    submitted: float
    tokens: tuple[float, ...]

    @property
    def gaps(self) -> list[float]:
        """The times between consecutive tokens, without the time to the first."""
        return [after - before for before, after in pairwise(self.tokens)]


def latency_stats(sequences: Sequence[TokenTimes]) -> dict[str, object] | None:
    """Returns `latency_stats`, or `None` if no sequence has a token (`compute_latency_statistics`).

    The `itl_full` fields have all gaps between tokens; the tool has these fields and leaves them empty.
    """
    ttft = [one.tokens[0] - one.submitted for one in sequences if one.tokens]
    if not ttft:
        return None
    _, trimmed, _ = intervals([(one.submitted, *one.tokens) for one in sequences])
    full = [gap for one in sequences for gap in one.gaps]
    return {
        **_statistics("ttft", ttft, ("mean", "median", "p95", "p99", "min", "max")),
        "ttft_samples": len(ttft),
        **_statistics("itl", trimmed, ("mean", "median", "p95", "p99")),
        "itl_samples": len(trimmed),
        **_statistics("itl_full", full, ("mean", "p99")),
        "measurement_mode": "true_streaming",
    }


def request_latency(batches: Sequence[tuple[float, int]]) -> dict[str, object]:
    """Returns `request_latency` of batches, each with its time in ms and its number of requests.

    A request counts the time of its batch divided by the number of requests in it, as in the tool: in a batch of 8 that
    is an eighth of the time that it waited.
    """
    shares = [time / count for time, count in batches for _ in range(count)]
    samples = {"e2e_latency_samples": len(shares)}
    return {**_statistics("e2e_latency", shares, ("mean", "median", "p95", "p99")), **samples}


def cv(values: Sequence[float]) -> float:
    """Returns the population's standard deviation over the mean, or 0 if the mean is not above 0 (`compute_cv`)."""
    average = math.fsum(values) / len(values)
    if average <= 0.0:
        return 0.0
    return math.sqrt(math.fsum((value - average) ** 2 for value in values) / len(values)) / average


def _statistics(name: str, values: Sequence[float], wanted: Sequence[str]) -> dict[str, object]:
    functions = {
        "mean": mean,
        "median": median,
        "p95": lambda values: percentile(values, 95.0),
        "p99": lambda values: percentile(values, 99.0),
        "min": lambda values: min(values, default=None),
        "max": lambda values: max(values, default=None),
    }
    return {f"{name}_{statistic}_ms": functions[statistic](values) for statistic in wanted}
