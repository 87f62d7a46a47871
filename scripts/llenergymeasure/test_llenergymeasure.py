"""The experiment on the synthetic host, whose times and joules are given, and its statistics without a host.

Expected statistics were computed by LLenergyMeasure 0.7.0.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from latency import TokenTimes, cv, intervals, latency_stats, request_latency
from llem_sdk import testing
from measured import Batch
from result import as_schema_3
from warmup import WarmupConfig, is_steady, until_converged

PROJECT = Path(__file__).parent

HOST = testing.SyntheticHost(
    prefill_s_per_token=1e-3,
    decode_s_per_step=8e-3,
    idle_watts=10.0,
    prefill_joules_per_token=0.5,
    decode_joules_per_token=2.0,
)
"""A prompt token takes 1 ms and 0.5 J, a step 8 ms and 2 J for each token of it. The machine at rest takes 10 W."""

QUICK: dict[str, str | int | float | bool] = {"prompt-tokens": 10, "ignore-eos": True}


def result_of(result: testing.TestResult) -> dict[str, Any]:
    assert result.status == "completed", result.error
    content: dict[str, Any] = json.loads(result.artifacts["result.json"])
    return content


def test_energy_and_rates_are_of_one_window_over_all_prompts() -> None:
    parameters = {**QUICK, "n-prompts": 4, "max-output-tokens": 5}
    run = testing.run(PROJECT, parameters=parameters, host=HOST)
    result = result_of(run)
    prompt = result["input_tokens"]
    assert (result["output_tokens"], result["total_tokens"]) == (20, prompt + 20)
    # Each prompt generates its first token with its pass, and four in steps.
    seconds, joules = prompt * 1e-3 + 4 * 4 * 8e-3, prompt * 0.5 + 4 * 4 * 2.0
    assert result["total_inference_time_sec"] == pytest.approx(seconds)
    assert result["total_energy_j"] == pytest.approx(joules + 10.0 * seconds)
    assert result["energy_adjusted_j"] == pytest.approx(joules)
    assert result["energy_breakdown"]["baseline_power_w"] == pytest.approx(10.0)
    assert result["avg_tokens_per_second"] == pytest.approx((prompt + 20) / seconds)
    assert result["avg_energy_per_token_j"] == pytest.approx((joules + 10.0 * seconds) / 20)
    assert result["energy_per_token_mj_adjusted"] == pytest.approx(joules / 20 * 1e3)
    assert result["flops_per_second"] == pytest.approx(result["total_flops"] / seconds)
    assert result["latency_stats"]["itl_mean_ms"] == pytest.approx(8.0)
    # Of four gaps the last is dropped; the first interval that is dropped is the time to the first token.
    assert (result["latency_stats"]["ttft_samples"], result["latency_stats"]["itl_samples"]) == (4, 12)
    assert any(warning.startswith("short_measurement_duration") for warning in result["measurement_warnings"])


def test_the_order_is_baseline_probe_warmup_rest_and_prompts() -> None:
    parameters = {**QUICK, "n-prompts": 3, "max-output-tokens": 40, "thermal-floor-seconds": 45.0}
    run = testing.run(PROJECT, parameters=parameters, host=HOST)
    result = result_of(run)
    phases = [phase["phase"] for phase in run.record["phases"]]
    assert [name for name in phases if "/" not in name] == ["baseline", "load", "warmup", "measure"]
    # The probe and five runs of the first prompt, of at most 32 tokens.
    assert [one.output_tokens for one in run.warmup_requests] == [32] * 6
    assert len({one.prompt_tokens for one in run.warmup_requests}) == 1
    assert [one.output_tokens for one in run.requests] == [40] * 3
    warmup = result["warmup_result"]
    assert (warmup["iterations_completed"], result["warmup_excluded_samples"]) == (6, 6)
    assert len(warmup["latencies_ms"]) == 5
    assert warmup["thermal_floor_wait_s"] == pytest.approx(45.0)
    rest = run.requests[0].submitted_ns - run.warmup_requests[-1].token_ns[-1]
    assert rest >= 45e9


def test_a_batch_counts_padding_as_the_tool_does() -> None:
    parameters = {**QUICK, "n-prompts": 6, "max-output-tokens": 5, "batch-size": 3, "prompt-tokens": 20}
    run = testing.run(PROJECT, parameters=parameters, host=HOST)
    result = result_of(run)
    lengths = [one.prompt_tokens for one in run.requests]
    padding = sum(3 * max(part) - sum(part) for part in (lengths[:3], lengths[3:]))
    assert result["output_tokens"] == 6 * 5 + padding
    assert run.metric("generated_tokens").value == 30
    batch = result["extended_metrics"]["batch"]
    assert (batch["num_batches"], batch["effective_batch_size"], batch["batch_utilisation"]) == (2, 3.0, 1.0)
    assert batch["padding_overhead"] == pytest.approx(padding / (sum(lengths) + padding))
    # A request counts a third of its batch's time.
    e2e = [one.token_ns[-1] - one.submitted_ns for one in run.requests]
    mean = (e2e[0] + e2e[3]) / 2 / 3 * 1e-6
    assert result["extended_metrics"]["request_latency"]["e2e_latency_mean_ms"] == pytest.approx(mean)
    assert run.metric("e2el_mean_ms").value == pytest.approx((e2e[0] + e2e[3]) / 2 * 1e-6)


def test_prompts_of_a_dataset_are_cut_and_ordered(tmp_path: Path) -> None:
    rows = [{"text": f"{index} " * (3 + index), "source": "ba"[index % 2]} for index in range(6)]
    file = tmp_path / "prompts.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    lengths = {}
    for order in ("interleaved", "grouped"):
        parameters = {"n-prompts": 5, "max-output-tokens": 2, "max-input-tokens": 9, "order": order, "schema": "3.0"}
        run = testing.run(PROJECT, parameters=parameters, host=HOST, datasets={"prompts": file})
        result = result_of(run)
        lengths[order] = [one.prompt_tokens for one in run.requests]
    assert max(lengths["interleaved"]) == 9
    assert len(lengths["grouped"]) == 5
    tokens = result["total_tokens"]
    assert result["schema_version"] == "3.0"
    assert "bundle_version" not in result
    assert result["mj_per_tok_total"] == pytest.approx(result["total_energy_j"] / tokens * 1e3)


def test_intervals_lose_their_first_and_last() -> None:
    # collect_itl_measurements([[0, 10, 12, 15, 19], [5, 9, 10], [1]])
    full, trimmed, excluded = intervals([[0.0, 10.0, 12.0, 15.0, 19.0], [5.0, 9.0, 10.0], [1.0]])
    assert (full, trimmed, excluded) == ([10.0, 2.0, 3.0, 4.0, 4.0, 1.0], [2.0, 3.0], 4)


def test_latencies_are_those_of_the_tool() -> None:
    sequences = [TokenTimes(0.0, (10.0, 12.0, 15.0, 19.0)), TokenTimes(20.0, (24.0, 31.0, 33.0)), TokenTimes(1.0, ())]
    stats = latency_stats(sequences)
    assert stats is not None
    assert (stats["ttft_mean_ms"], stats["ttft_samples"]) == (7.0, 2)
    assert stats["ttft_p95_ms"] == pytest.approx(9.7)
    # Trimmed: 2 and 3 of the first, 7 of the second.
    assert (stats["itl_mean_ms"], stats["itl_median_ms"], stats["itl_samples"]) == (4.0, 3.0, 3)
    assert stats["itl_p99_ms"] == pytest.approx(6.92)
    assert stats["itl_full_mean_ms"] == pytest.approx(3.6)
    assert latency_stats([TokenTimes(0.0, ())]) is None
    shares = request_latency([(30.0, 3), (8.0, 1)])
    assert (shares["e2e_latency_mean_ms"], shares["e2e_latency_samples"]) == (9.5, 4)


def test_a_warmup_converges_when_all_last_windows_are_steady() -> None:
    config = WarmupConfig(convergence_detection=True, max_prompts=9)
    drawn = iter([20.0, 10.0, 10.1, 9.9, 10.0, 10.0, 10.1, 10.0, 10.0])
    result = until_converged(config, lambda: next(drawn))
    # The first latency leaves the last five at the sixth run.
    assert (result.converged, result.iterations_completed) == (True, 6)
    assert result.final_cv == pytest.approx(cv([9.9, 10.0, 10.0]))
    assert not is_steady([10.0, 10.0, 10.0, 10.0], config)
    unsteady = until_converged(config, iter([1.0, 2.0] * 5).__next__)
    assert (unsteady.converged, unsteady.iterations_completed) == (False, 9)
    assert until_converged(WarmupConfig(n_prompts=2), iter([1.0, 3.0]).__next__).final_cv == pytest.approx(0.5)


def test_padding_and_short_answers_count_as_output() -> None:
    batch = Batch(1.0, (4, 7), (3, 2), ())
    # Rows of 7 + 3 tokens: 10 - 4 and 10 - 7.
    assert (batch.padding, batch.counted_output) == (3, 9)


def test_schema_3_has_its_own_names() -> None:
    throttle = {"thermal": {"hw": True, "sw": False}, "power": {"hw": False, "sw": False}, "max_temperature_c": 80.0}
    result: dict[str, Any] = {
        "total_energy_j": 8.0,
        "energy_adjusted_j": None,
        "total_tokens": 4,
        "declared_config_hash": "x",
    }
    result |= {"throttle": throttle, "energy_breakdown": {"baseline_power_w": 3.0}, "total_inference_time_sec": 2.0}
    # `facts` are of a host, which this test does not have.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("result.facts.fact", lambda name: "0.1.0")
        fields = as_schema_3(result)
    assert (fields["mj_per_tok_total"], fields["mj_per_tok_adjusted"]) == (2000.0, None)
    assert fields["measurement_config_hash"] == "x"
    assert fields["thermal_throttle"]["thermal"]
    assert fields["thermal_throttle"]["hw_thermal"]
    assert not fields["thermal_throttle"]["power"]
