"""Arrival processes without random gaps, and values that are refused. Drawn gaps are in numbers.json."""

import math
from itertools import islice, pairwise

import pytest
from llem_sdk import Arrivals, BatchOptions, Error, ErrorCode, Request, RequestList, Trial


def first(arrivals: Arrivals, count: int) -> list[float]:
    times = islice(arrivals.times(lambda: 0.5), count)
    return [-1.0 if time is None else time for time in times]


def test_processes_without_random_gaps_have_exact_times() -> None:
    assert first(Arrivals.constant(4.0), 3) == [0.25, 0.5, 0.75]
    assert first(Arrivals.at_once(), 2) == [0.0, 0.0]
    assert first(Arrivals.closed_loop(3), 2) == [-1.0, -1.0]
    assert Arrivals.closed_loop(3).concurrency == 3
    assert first(Arrivals.trace([0.5, 0.5, 2.0]), 4) == [0.5, 0.5, 2.0]


# vllm/benchmarks/serve.py, _get_current_request_rate.
@pytest.mark.parametrize(
    ("arrivals", "rates"),
    [
        (Arrivals.linear_ramp(1.0, 5.0, 5), [1.0, 2.0, 3.0, 4.0, 5.0, 5.0]),
        (Arrivals.exponential_ramp(1.0, 16.0, 5), [1.0, 2.0, 4.0, 8.0, 16.0, 16.0]),
    ],
)
def test_ramps_change_the_rate_and_then_keep_it(arrivals: Arrivals, rates: list[float]) -> None:
    times = [0.0, *first(arrivals.with_burstiness(math.inf), 6)]
    gaps = [after - before for before, after in pairwise(times)]
    assert [1.0 / gap for gap in gaps] == pytest.approx(rates, rel=1e-9)


@pytest.mark.parametrize("rate", [0.0, -1.0, math.nan, math.inf])
def test_a_rate_out_of_range_is_refused(rate: float) -> None:
    for arrivals in (Arrivals.poisson(rate), Arrivals.linear_ramp(1.0, rate, 5)):
        with pytest.raises(Error) as refused:
            arrivals.times(lambda: 0.5)
        assert refused.value.code == ErrorCode.INVALID_ARGUMENT


@pytest.mark.parametrize("burstiness", [0.0, -1.0, math.nan])
def test_a_burstiness_out_of_range_is_refused(burstiness: float) -> None:
    with pytest.raises(Error, match="burstiness"):
        Arrivals.gamma(1.0, burstiness).times(lambda: 0.5)


def test_a_trace_that_decreases_is_refused() -> None:
    with pytest.raises(Error, match="arrival 1 of the trace"):
        Arrivals.trace([2.0, 1.0]).times(lambda: 0.5)


def test_a_timed_workload_that_has_not_begun_is_refused() -> None:
    timed = Arrivals.at_once().apply_to(RequestList([Request.from_text("hello")]), BatchOptions(1))
    last: Trial | None = None
    with pytest.raises(Error, match="before it has begun"):
        timed.next(last)
