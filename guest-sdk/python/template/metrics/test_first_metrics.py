"""Runs the metrics on the synthetic host, with the shipped warm-up and workload."""

from pathlib import Path

import pytest
from llem_sdk import testing

PROJECT = Path(__file__).parent


def test_percentiles_of_equal_latencies_are_the_latency() -> None:
    result = testing.run(metrics=PROJECT, parameters={"requests": 2, "new-tokens": 8})
    assert result.status == "completed"
    # A step of decode takes 5 ms on the synthetic host.
    for name in ("itl_p50", "itl_p99"):
        latency = result.metric(name)
        assert latency.value == pytest.approx(5e-3, abs=1e-12)
        assert latency.unit == "s"
