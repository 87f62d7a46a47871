"""The benchmark on the synthetic host, whose times and joules are given, and its parts without a host."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from energies import WindowEnergy
from latencies import RequestTimes, latency_metrics, mean_gap_ms
from llem_sdk import Completion, DeviceEnergy, Domain, Measurement, Quantity, Source, reading, testing
from result_file import Energies
from steady_state import RequestTracker
from validation import validate
from workload import cumulative_exponential, cumulative_pareto, length_of, stretched

PROJECT = Path(__file__).parent

HOST = testing.SyntheticHost(
    prefill_s_per_token=1e-3,
    decode_s_per_step=8e-3,
    idle_watts=10.0,
    prefill_joules_per_token=0.5,
    decode_joules_per_token=2.0,
)
"""A prompt token takes 1 ms and 0.5 J, a step 8 ms, and each token of it 2 J. The machine at rest takes 10 W."""


def run(tmp_path: Path, prompts: int, **parameters: str | int | float | bool) -> testing.TestResult:
    """Runs prompts of 10 tokens (bytes: the default model's tokens)."""
    file = tmp_path / "prompts.jsonl"
    file.write_text("".join(json.dumps({"prompt": f"prompt {index:03d}"}) + "\n" for index in range(prompts)))
    given = {name.replace("_", "-"): value for name, value in parameters.items()}
    given = {"endpoint-type": "openai", **given, "num-requests": prompts, "ignore-eos": True}
    return testing.run(PROJECT, parameters=given, host=HOST, datasets={"prompts": file})


def results_of(result: testing.TestResult) -> dict[str, Any]:
    assert result.status == "completed", result.error
    content: dict[str, Any] = json.loads(result.artifacts["results.json"])
    return content


def test_the_steady_state_lasts_from_b_first_tokens_to_n_minus_b_minus_1_ends(tmp_path: Path) -> None:
    result = run(tmp_path, 7, max_num_seqs=2, max_output_tokens="4")
    content = results_of(result)
    # Two prompts take 20 ms and their three steps 24 ms, so a pair takes 44 ms. B = 2 first tokens are there at 20 ms,
    # and N - B - 1 = 4 requests have ended at 88 ms.
    assert content["steady_state_duration"] == pytest.approx(0.068)
    assert content["llem"]["steady_state_tokens"] == 2 * 3 + 2 * 4
    # 20 prompt tokens and 12 tokens of steps are in it.
    joules = 10.0 * 0.068 + 20 * 0.5 + 12 * 2.0
    assert content["llem"]["cpu_energy"]["steady_state"] == pytest.approx(joules)
    assert result.metric("steady_state_cpu_energy_per_token").value == pytest.approx(joules / 14)
    assert [one["cpu_energy"] for one in content["results"]] == pytest.approx([4 * joules / 14] * 7)
    # There is no GPU: nothing was measured, and nothing is zero.
    assert content["steady_state_energy"] is None
    assert content["steady_state_measurement"]["gpu_energy"] == {}
    assert {one["energy"] for one in content["results"]} == {None}
    assert not result.metrics("steady_state_energy")
    assert any("no GPU" in warning for warning in result.warnings)
    # The last request runs alone. All of them count in the latencies.
    assert content["duration"] == pytest.approx(3 * 0.044 + 0.034)
    assert content["completed"] == 7
    assert content["output_throughput"] == pytest.approx(28 / content["duration"])
    assert content["total_token_throughput"] == pytest.approx((70 + 28) / content["duration"])
    means = json.loads(result.artifacts["prometheus.json"])["steady_state_stats"]
    assert means["vllm:num_requests_running"] == pytest.approx(2.0)


def test_requests_arrive_at_a_rate_and_their_latencies_count_from_then(tmp_path: Path) -> None:
    content = results_of(run(tmp_path, 6, max_num_seqs=2, max_output_tokens="2", request_rate="4", burstiness=1e9))
    # Gaps are all but equal, and the last request arrives at 6 / 4 s. A request takes 10 + 8 ms.
    assert content["request_rate"] == 4.0
    assert content["duration"] == pytest.approx(1.5 + 0.018, abs=1e-6)
    assert content["mean_ttft_ms"] == pytest.approx(10.0)
    assert content["mean_e2el_ms"] == pytest.approx(18.0)


def test_a_request_waits_on_the_clients_side_before_its_clock_runs(tmp_path: Path) -> None:
    content = results_of(run(tmp_path, 5, max_num_seqs=2, max_output_tokens="2", max_concurrency=1))
    assert content["p99_ttft_ms"] == pytest.approx(10.0)
    assert content["duration"] == pytest.approx(5 * 0.018)


def test_the_default_workload_has_lengths_of_its_own() -> None:
    parameters = {"num-requests": 12, "max-num-seqs": 3, "ignore-eos": True}
    content = results_of(testing.run(PROJECT, parameters=parameters, host=HOST))
    expected = [one["dataset_output_len"] for one in content["results"]]
    assert [one["output_len"] for one in content["results"]] == expected
    assert content["max_output_tokens"] == "dataset"
    assert content["total_input_tokens"] == sum(one["input_len"] for one in content["results"])


def test_a_dataset_needs_the_length_of_outputs_and_a_template_for_chats(tmp_path: Path) -> None:
    for parameters, remedy in (({}, "set a number"), ({"endpoint_type": "openai-chat"}, "endpoint-type=openai")):
        result = run(tmp_path, 3, **parameters)
        assert (result.status, remedy in str(result.error)) == ("failed", True)


def test_too_few_requests_have_no_steady_state(tmp_path: Path) -> None:
    result = run(tmp_path, 3, max_num_seqs=4, max_output_tokens="1")
    content = results_of(result)
    assert content["llem"]["cpu_energy"]["steady_state_per_token"] is None
    assert any("make no steady state" in warning for warning in result.warnings)


def test_the_two_counters_decide() -> None:
    tracker = RequestTracker(max_num_seqs=2, num_requests=6)
    assert not tracker.has_begun
    tracker.num_started = 2
    assert tracker.has_begun and not tracker.has_ended
    tracker.num_finished = 2
    assert not tracker.has_ended
    tracker.num_finished = 3
    assert tracker.has_ended
    # With few requests the first end ends it, and nothing ends it before.
    few = RequestTracker(max_num_seqs=8, num_requests=4)
    assert not few.has_ended
    few.num_finished = 1
    assert few.has_begun and few.has_ended


def test_the_first_token_counts_as_a_latency_of_zero_between_tokens() -> None:
    ms = 1_000_000
    long = Completion.from_token_times(1 * ms, [11 * ms, 13 * ms, 17 * ms])
    short = Completion.from_token_times(0, [8 * ms])
    requests = [RequestTimes.of(long), RequestTimes.of(short)]
    found = dict(latency_metrics(requests))
    # 0, 2, 4 and 0 ms.
    assert found["mean_itl_ms"] == pytest.approx(1.5)
    assert found["median_itl_ms"] == pytest.approx(1.0)
    assert found["std_itl_ms"] == pytest.approx(math.sqrt(2.75))
    assert found["p90_itl_ms"] == pytest.approx(3.4)
    assert mean_gap_ms(requests) == pytest.approx(3.0)
    # A single token has no TPOT.
    assert found["mean_tpot_ms"] == pytest.approx(3.0)
    assert found["std_tpot_ms"] == 0.0
    assert found["mean_ttft_ms"] == pytest.approx(9.0)
    assert found["mean_e2el_ms"] == pytest.approx(12.0)
    assert dict(latency_metrics([])) == {}


def test_energies_are_those_of_the_gpus_that_held_the_model() -> None:
    def joules(value: float) -> Quantity:
        return Quantity.exact(value, "J", Source.NVML_COUNTER)

    energies = (
        DeviceEnergy("cpu", "package-0", joules(50.0)),
        DeviceEnergy("cpu", "dram-0", joules(5.0)),
        DeviceEnergy("cuda:0", "gpu", joules(700.0)),
        DeviceEnergy("cuda:1", "gpu", joules(300.0)),
        DeviceEnergy("cuda:2", "gpu", joules(90.0)),
    )
    covers = tuple(Domain(one.device, one.domain) for one in energies[:4])
    measurement = Measurement(
        "steady_state",
        0,
        2_000_000_000,
        energy=energies,
        energy_covers=covers,
        energy_accelerators=joules(1000.0),
        energy_cpu=joules(55.0),
    )
    window = WindowEnergy.of(measurement)
    served = Tokens(steady_tokens=100, generated_tokens=400)
    found = Energies.of(window.gpu, joules(2000.0), served, mean_output=30.0)
    assert [reading.value(one) for one in (found.steady, found.steady_per_token, found.average_per_generation)] == [
        pytest.approx(value) for value in (1000.0, 10.0, 300.0)
    ]
    assert reading.value(found.entire_per_token) == pytest.approx(5.0)
    assert window.as_zeus() == {
        "time": 2.0,
        "gpu_energy": {0: 700.0, 1: 300.0},
        "cpu_energy": {0: 50.0},
        "dram_energy": {0: 5.0},
        "soc_energy": None,
    }
    # Without a token in the window there is no energy per token.
    assert not Energies.of(window.gpu, joules(2000.0), Tokens(0, 400), mean_output=30.0).steady_per_token


@dataclass
class Tokens:
    """The tokens of a load."""

    steady_tokens: int
    generated_tokens: int


def test_arrivals_are_stretched_to_the_rate() -> None:
    assert stretched([1.0, 2.0, 4.0], 3.0) == [0.75, 1.5, 3.0]


def test_lengths_are_drawn_from_the_benchmarks_distributions() -> None:
    # numpy.searchsorted on scipy.stats' densities of means 500 and 300, at 0.001, 0.5 and 0.999.
    pareto, exponential = cumulative_pareto(500.0, 2.5), cumulative_exponential(300.0)
    assert [length_of(pareto, uniform) for uniform in (0.001, 0.5, 0.999)] == PARETO_LENGTHS
    assert [length_of(exponential, uniform) for uniform in (0.001, 0.5, 0.999)] == EXPONENTIAL_LENGTHS


PARETO_LENGTHS = [300, 395, 4732]
EXPONENTIAL_LENGTHS = [1, 207, 2072]


def result_file(**changes: object) -> dict[str, Any]:
    """Returns the fields that the validator looks at, of a run that is valid."""
    power = {"0": [[1.0, 400.0], [2.0, 690.0]]}
    content: dict[str, Any] = {
        "completed": 4,
        "num_prompts": 4,
        "results": [{"success": True, "output_len": length} for length in (10, 20, 30, 40)],
        "max_output_tokens": 40,
        "max_num_seqs": 8,
        "steady_state_duration": 40.0,
        "steady_state_energy": 1000.0,
        "steady_state_energy_per_token": 0.5,
        "output_throughput": 100.0,
        "gpu_model": "NVIDIA H200",
        "timeline": {"power": {"device_instant": power}},
        "llem": {"temperature_range": {"0": [40.0, 70.0]}},
    }
    return content | changes


def verdicts(reason: str | None = None, running: float = 7.0, **changes: Any) -> dict[str, bool | None]:
    found = validate(result_file(**changes), {"vllm:num_requests_running": running}, reason)
    return {one.name: one.passed for one in found}


def test_a_valid_run_passes_the_validator() -> None:
    assert set(verdicts().values()) == {True}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("Completion", {"completed": 3}),
        ("Request Success", {"results": [{"success": False, "output_len": 0}] * 4}),
        ("Output Length", {"max_output_tokens": 30}),
        ("Steady State Duration", {"steady_state_duration": 29.9}),
        ("Metrics Valid", {"steady_state_energy_per_token": 100.1}),
        ("Power Range", {"timeline": {"power": {"device_instant": {"0": [[1.0, 60.0]]}}}}),
    ],
)
def test_a_wrong_run_fails_the_validator(name: str, changes: dict[str, Any]) -> None:
    assert [one for one, passed in verdicts(**changes).items() if not passed] == [name]


def test_what_is_not_measured_is_no_verdict() -> None:
    changes: dict[str, Any] = {"steady_state_energy": None, "steady_state_energy_per_token": None}
    assert verdicts("no GPU", **changes)["Metrics Valid"] is None
    assert verdicts(running=6.3)["Batch Size Saturation"] is False
