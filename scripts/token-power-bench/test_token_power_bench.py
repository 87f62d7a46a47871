"""Both contracts on the synthetic host, whose times and joules are given, and their formulas without a host."""

import json
from pathlib import Path
from typing import Any

import pytest
from llem_sdk import Quantity, Sample, Source, testing
from mean_power import calculate_metrics, domain_power, estimate_tokens, without_edges, without_outliers
from phase_energy import EnergyMetrics, integrate_counter, integrate_power
from power_trace import PowerTrace, apart, cumulative

PROJECT = Path(__file__).parent

HOST = testing.SyntheticHost(
    prefill_s_per_token=20e-3,
    decode_s_per_step=200e-3,
    idle_watts=10.0,
    prefill_joules_per_token=0.5,
    decode_joules_per_token=3.0,
)
"""A prompt token takes 20 ms and 0.5 J, a step 200 ms and 3 J for each token. The machine at rest takes 10 W."""

SHAPE: dict[str, str | float | bool] = {
    "context-lengths": "40",
    "output-tokens": 6,
    "num-samples": 2,
    "ignore-eos": True,
    "cpu-sample-interval": 0.0,
}
"""40 prompt tokens take 0.8 s and 20 J, then 5 steps 1 s and 15 J above the power at rest."""


def results_of(result: testing.TestResult, name: str = "results.json") -> Any:
    assert result.status == "completed", result.error
    return json.loads(result.artifacts[name])


def test_phases_have_the_energy_of_their_windows() -> None:
    result = testing.run(PROJECT, parameters=SHAPE, host=HOST)
    content = results_of(result)["batch_1"]
    assert content == results_of(result, "batch_1_result.json")
    assert content["phase_status"] == "serial_host_boundaries"
    for phase in content["phases"]:
        assert (phase["input_tokens"], phase["output_tokens"]) == (40, 6)
        assert phase["prefill_start_s"] == phase["submitted_s"] <= phase["dispatch_completed_s"]
        assert phase["ttft_s"] == phase["prefill_proxy_s"] == pytest.approx(0.8)
        assert phase["decode_s"] == pytest.approx(1.0)
        assert phase["request_latency_s"] == pytest.approx(1.8)
        assert phase["prefill_proxy_energy"]["cpu_energy_j"] == pytest.approx(0.8 * 10 + 20)
        assert phase["decode_energy"]["cpu_energy_j"] == pytest.approx(1.0 * 10 + 15)
        # There is no GPU and no IPMI: nothing was measured, and nothing is zero.
        assert phase["decode_energy"]["gpu_energy_j"] is None
        assert phase["decode_energy"]["total_energy_j"] is None
    assert content["energy"]["cpu_energy_j"] == pytest.approx(2 * (28 + 25))
    assert content["energy"]["energy_scope"] == "available_components"
    assert content["output_tokens_per_s"] == pytest.approx(12 / 3.6)
    assert result.metric("prefill_energy").value == pytest.approx(2 * 28)
    assert result.metric("decode_energy").value == pytest.approx(2 * 25)
    assert result.metric("decode_energy_per_token").value == pytest.approx(25 / 5)
    assert result.metric("energy_per_request").value == pytest.approx(53)
    assert any("IPMI" in warning for warning in result.warnings)


def test_a_phase_shorter_than_the_sensor_resolves_has_no_energy() -> None:
    result = testing.run(PROJECT, parameters={**SHAPE, "context-lengths": "10"}, host=HOST)
    for phase in results_of(result)["batch_1"]["phases"]:
        # 0.2 s, and RAPL needs 0.5 s.
        assert phase["prefill_proxy_energy"]["cpu_energy_j"] is None
        assert phase["decode_energy"]["cpu_energy_j"] == pytest.approx(25)
    # The host's own energy is there.
    assert result.metric("prefill_energy").value == pytest.approx(2 * (0.2 * 10 + 5))


def test_the_grid_is_the_product_of_its_axes() -> None:
    parameters = {**SHAPE, "context-lengths": "10,40", "batch-sizes": "1,2", "num-samples": 4}
    result = testing.run(PROJECT, parameters=parameters, host=HOST)
    content = results_of(result)
    names = [f"context_{context}_batch_{batch}" for context in (10, 40) for batch in (1, 2)]
    assert list(content) == names
    # A batch mixes the phases of its requests, and the host's energies keep them apart.
    assert content["context_40_batch_2"]["phase_status"] == "not_requested"
    found = {(one.labels["context"], one.labels["batch_size"]): one.value for one in result.metrics("decode_energy")}
    assert found["40", "2"] == pytest.approx(2 * (1.0 * 10 + 2 * 15))
    assert found["40", "1"] == pytest.approx(4 * 25)


def test_the_older_contract_has_mean_power_and_counts_its_tokens_beside_the_estimate() -> None:
    result = testing.run(PROJECT, parameters={**SHAPE, "contract": "0.2", "batch-sizes": "2"}, host=HOST)
    content = results_of(result)["batch_2"]
    # 1.6 s for both prompts and 1 s for five steps.
    assert content["duration"] == pytest.approx(2.6)
    assert content["counted_output_tokens"] == 12
    # The estimate is of the words of random bytes, which may be few.
    estimate = content["total_output_tokens"]
    assert content["energy_per_token"] == (pytest.approx(content["total_energy"] / estimate) if estimate else None)
    assert content["cpu_energy"] == pytest.approx(content["cpu_avg_power"] * 2.6)
    assert content["cpu_energy_per_counted_token"] == pytest.approx(content["cpu_energy"] / 12)
    assert content["gpu_energy"] is None


def test_wrong_settings_are_refused() -> None:
    for parameters, message in (
        ({"contract": "2"}, "set it to 1.0 or 0.2"),
        ({"batch-sizes": "1,0"}, "batch-sizes: '0'"),
        ({"precisions": "int4"}, "precisions: 'int4'"),
    ):
        result = testing.run(PROJECT, parameters=parameters, host=HOST)
        assert (result.status, message in str(result.error)) == ("failed", True)


def test_power_is_interpolated_at_the_edges_of_a_window() -> None:
    readings = [(0.0, 100.0), (1.0, 200.0), (2.0, 200.0), (4.0, 100.0)]
    # From 0.5 s (150 W) to 3 s (150 W): 87.5 + 200 + 175 J.
    assert integrate_power(readings, 0.5, 3.0).energy == pytest.approx(462.5)
    assert integrate_power(readings, 0.5, 3.0).samples == 2
    # One reading inside, then a window that the readings do not cover.
    assert integrate_power(readings, 0.5, 1.5).energy is None
    assert "fewer than two samples" in str(integrate_power(readings, 0.5, 1.5).reason)
    assert "do not cover" in str(integrate_power(readings, 0.5, 4.1).reason)


def test_counters_are_interpolated_at_the_edges_of_a_window() -> None:
    readings = [(0.0, 0.0), (1.0, 10.0), (2.0, 40.0), (3.0, 50.0)]
    assert integrate_counter(readings, 0.5, 2.5).energy == pytest.approx(5 + 30 + 5)
    assert integrate_counter([(0.0, 0.0), (0.1, 1.0), (0.2, 2.0), (0.3, 3.0)], 0.05, 0.25).energy is None


def samples(watts: float, *, device: str, domain: str, count: int, period: float) -> list[Sample]:
    power = Quantity.exact(watts, "W", Source.SENSOR)
    return [Sample(round(1e9 * period * index), device, domain, power) for index in range(count)]


def test_a_window_adds_its_gpus_and_packages() -> None:
    timeline = [
        *samples(300.0, device="cuda:0", domain="gpu", count=401, period=0.01),
        *samples(200.0, device="cuda:3", domain="gpu", count=401, period=0.01),
        *samples(50.0, device="cpu", domain="package-0", count=401, period=0.01),
        *samples(5.0, device="cpu", domain="dram-0", count=401, period=0.01),
    ]
    trace = PowerTrace.of(timeline, gpu_interval=0.1, cpu_interval=0.5)
    assert [len(readings) for readings in (trace.gpus[0], trace.cpu["package-0"])] == [41, 9]
    metrics = EnergyMetrics.of(trace, 0.55, 2.55, tokens=10, responses=1)
    assert metrics.per_gpu_energy_j == {0: pytest.approx(600.0), 3: pytest.approx(400.0)}
    assert metrics.cpu_energy_j == pytest.approx(100.0)
    assert metrics.components_energy_j == pytest.approx(1110.0)
    assert metrics.gpu_mj_per_token == pytest.approx(100_000.0)
    report = metrics.as_report()
    assert (report["gpu_avg_power_w"], report["energy_scope"]) == (pytest.approx(500.0), "available_components")
    # NVML's power may be an average over a second.
    short = EnergyMetrics.of(trace, 0.55, 1.5, tokens=1, responses=1)
    assert short.gpu_energy_j is None
    assert short.cpu_energy_j == pytest.approx(47.5)


def test_readings_are_thinned_to_an_interval() -> None:
    readings = [(0.0, 1.0), (0.4, 2.0), (0.5, 3.0), (1.1, 4.0), (1.2, 5.0)]
    assert apart(readings, 0.5) == [(0.0, 1.0), (0.5, 3.0), (1.1, 4.0), (1.2, 5.0)]
    assert apart(readings, 0.0) == readings
    assert cumulative([(1.0, 99.0), (2.0, 10.0), (4.0, 5.0)]) == [(1.0, 0.0), (2.0, 10.0), (4.0, 20.0)]


def test_the_older_contract_drops_edges_and_outliers() -> None:
    assert list(without_edges(range(20))) == list(range(2, 18))
    assert list(without_edges([1, 2, 3])) == [2]
    assert list(without_edges([1, 2])) == [1, 2]
    assert without_outliers([10.0] * 19 + [1000.0]) == [10.0] * 19
    assert without_outliers([10.0] * 4 + [1000.0]) == [10.0] * 4 + [1000.0]
    # 100 W for 5 s, in readings of half a second. 600 W is taken for an error.
    counter = [(0.5 * index, 50.0 * index) for index in range(11)]
    assert domain_power(counter) == pytest.approx(100.0)
    assert domain_power([*counter, (5.5, 50.0 * 10 + 300.0), (6.0, 850.0)]) == pytest.approx(100.0)


def test_the_older_contract_estimates_tokens_from_words_and_divides_by_readings() -> None:
    assert estimate_tokens(["one two three four five", "six", ""]) == 6 + 1
    timeline = [
        *samples(300.0, device="cuda:0", domain="gpu", count=1001, period=0.01),
        *samples(50.0, device="cpu", domain="package-0", count=1001, period=0.01),
    ]
    trace = PowerTrace.of(timeline, gpu_interval=0.1, cpu_interval=0.5)
    content = calculate_metrics(trace, duration=6.0, estimated_tokens=70, tokens=100, responses=4)
    assert content["gpu_energy"] == pytest.approx(1800.0)
    assert content["total_energy"] == pytest.approx(2100.0)
    assert content["energy_per_token"] == pytest.approx(2100.0 / 70)
    assert content["total_energy_per_counted_token"] == pytest.approx(21.0)
    # The tool's energies per response are over its 20 readings of the CPU.
    assert content["gpu_energy_per_response"] == pytest.approx(1800.0 / 20)
    assert content["gpu_energy_per_counted_response"] == pytest.approx(1800.0 / 4)
    assert content["dram_energy"] is None
