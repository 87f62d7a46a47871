"""Runs the workload on the synthetic host, with the shipped warm-up and metrics."""

from pathlib import Path

from llem_sdk import testing

PROJECT = Path(__file__).parent


def arrivals(seed: int) -> list[int]:
    result = testing.run(workload=PROJECT, parameters={"requests": 5}, seed=seed)
    assert result.status == "completed"
    return sorted(request.submitted_ns for request in result.requests)


def test_requests_arrive_at_times_of_the_seed() -> None:
    times = arrivals(1)
    assert len(set(times)) == 5
    assert times == arrivals(1)
    assert times != arrivals(2)
