"""Runs the warm-up on the synthetic host, with the shipped workload and metrics."""

from pathlib import Path

from llem_sdk import testing

PROJECT = Path(__file__).parent


def test_equal_times_are_steady_after_the_window() -> None:
    result = testing.run(warmup=PROJECT, parameters={"requests": 2, "window": 4})
    assert result.status == "completed"
    # Equal requests take equal times on the synthetic host.
    assert len(result.warmup_requests) == 4
    assert "warm: steady after 4 runs" in [line.message for line in result.log]
    assert len(result.requests) == 2
