"""Runs the experiment on the synthetic host: no model, and times and joules that are known beforehand."""

from pathlib import Path

import pytest
from llem_sdk import testing

PROJECT = Path(__file__).parent


def test_every_prompt_is_measured() -> None:
    result = testing.run(PROJECT, parameters={"prompts": 3})
    assert result.status == "completed"
    assert len(result.requests) == 3
    assert all(request.output_tokens == 16 for request in result.requests)
    # A step of decode takes 5 ms on the synthetic host.
    assert result.metric("decode_rate").value == pytest.approx(200.0, abs=1e-9)
    assert result.metric("joules_per_output_token").value > 0.0
