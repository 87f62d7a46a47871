"""The scenario on the synthetic host, whose times and joules are given, and its statistics without a host."""

import json
from pathlib import Path

import pytest
from latency import GenerationTimes, Latency, per_token
from llem_sdk import testing

PROJECT = Path(__file__).parent

HOST = testing.SyntheticHost(
    prefill_s_per_token=1e-3,
    decode_s_per_step=8e-3,
    idle_watts=0.0,
    prefill_joules_per_token=0.5,
    decode_joules_per_token=2.0,
)
"""A prompt token takes 1 ms and 0.5 J, a step 8 ms, and each token of it 2 J."""

SHAPE = {"batch-size": 3, "sequence-length": 10, "max-new-tokens": 5}
"""30 prompt tokens, then 4 steps of 3 tokens: 30 ms and 15 J, then 32 ms and 24 J."""


def report_of(result: testing.TestResult) -> dict[str, dict[str, dict[str, float]]]:
    assert result.status == "completed", result.error
    content: dict[str, dict[str, dict[str, float]]] = json.loads(result.artifacts["benchmark_report.json"])
    return content


def test_latencies_and_throughputs_follow_from_the_times_of_tokens() -> None:
    parameters = {**SHAPE, "iterations": 4, "duration": 0.2, "warmup-runs": 2}
    result = testing.run(PROJECT, parameters=parameters, host=HOST)
    report = report_of(result)
    # 62 ms a run: after four of them 0.2 s have passed.
    assert [report[target]["latency"]["count"] for target in ("generate", "prefill", "decode")] == [4, 4, 4]
    means = {target: measured["latency"]["mean"] for target, measured in report.items()}
    expected = {"load_model": 1.0, "first_generate": 0.062, "generate": 0.062, "prefill": 0.03, "decode": 0.032}
    assert {target: means[target] for target in expected} == pytest.approx(expected)
    # The gap between two generations, which the tool counts as a token's, is 30 ms: the prefill.
    tokens, prefills = 4 * (4 + 3 + 2 + 1), 3 + 2 + 1
    assert report["per_token"]["latency"]["count"] == tokens + prefills
    assert means["per_token"] == pytest.approx((tokens * 8e-3 + prefills * 30e-3) / (tokens + prefills))
    assert result.metric("itl_mean").value == pytest.approx(8e-3)
    # The volume of `generate` is the one of `decode`, as in the tool, which calls it samples.
    throughputs = {target: report[target]["throughput"] for target in ("generate", "prefill", "decode")}
    assert throughputs["generate"] == {"unit": "samples/s", "value": pytest.approx(12 / 0.062)}
    assert throughputs["prefill"] == {"unit": "samples/s", "value": pytest.approx(3 / 0.03)}
    assert throughputs["decode"] == {"unit": "tokens/s", "value": pytest.approx(12 / 0.032)}
    warmups = [(one.label, one.output_tokens) for one in result.warmup_requests]
    assert warmups == [("generate", 5)] * 3 + [("first_generate", 5)] * 3 + [("warmup", 2)] * 6


def test_decode_energy_is_the_difference_of_two_series() -> None:
    parameters = {**SHAPE, "iterations": 2, "duration": 0.0, "warmup-runs": 0, "latency": False, "energy": True}
    result = testing.run(PROJECT, parameters=parameters, host=HOST)
    report = report_of(result)
    kwh = {target: report[target]["energy"]["total"] for target in ("prefill", "generate", "decode")}
    expected = {"prefill": 15 / 3.6e6, "generate": 39 / 3.6e6, "decode": 24 / 3.6e6}
    assert kwh == pytest.approx(expected)
    assert report["decode"]["efficiency"] == {"unit": "tokens/kWh", "value": pytest.approx(12 / (24 / 3.6e6))}
    assert report["prefill"]["efficiency"] == {"unit": "samples/kWh", "value": pytest.approx(3 / (15 / 3.6e6))}
    assert report["prefill"]["energy"]["cpu"] == pytest.approx(kwh["prefill"])
    # No counter of memory and no accelerator: not zero.
    assert report["prefill"]["energy"]["ram"] is None
    assert report["prefill"]["energy"]["gpu"] is None
    assert report["generate"]["latency"] is None
    assert report["first_generate"]["energy"] is None
    assert [one.output_tokens for one in result.requests] == [1] * 6 + [5] * 6


def test_a_backend_without_token_times_runs_two_series() -> None:
    parameters = {**SHAPE, "iterations": 2, "duration": 0.0, "warmup-runs": 0, "per-token": False}
    report = report_of(testing.run(PROJECT, parameters=parameters, host=HOST))
    assert "per_token" not in report
    means = {target: report[target]["latency"]["mean"] for target in ("prefill", "generate", "decode")}
    assert means == pytest.approx({"prefill": 0.03, "generate": 0.062, "decode": 0.032})
    assert report["generate"]["throughput"]["value"] == pytest.approx(3 / 0.062)


def test_a_series_without_an_end_is_refused() -> None:
    result = testing.run(PROJECT, parameters={"iterations": 0, "duration": 0.0})
    assert (result.status, result.error) == ("failed", "iterations and duration are both 0: set one of them above 0")


def test_repeated_values_have_the_statistics_of_the_list_that_they_stand_for() -> None:
    generations = [GenerationTimes(0, (5, 7, 12)), GenerationTimes(20, (30, 31, 37))]
    pooled = per_token(generations)
    assert pooled is not None
    gaps = [2, 5, 18, 1, 6]
    expanded = Latency.from_values([gap * 1e-9 for gap in [*gaps[:2], *gaps]])
    assert sorted(pooled.values) == pytest.approx(sorted(expanded.values))
    for name in ("count", "total", "mean", "p50", "p90", "p95", "p99", "stdev", "stdev_"):
        assert getattr(pooled, name) == pytest.approx(getattr(expanded, name), rel=1e-12), name
    assert expanded.p50 == pytest.approx(5e-9)
    assert expanded.p90 == pytest.approx(10.8e-9)
