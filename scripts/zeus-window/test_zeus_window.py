"""The windows and trials on the synthetic host, whose times and joules are given, and their parts without a host."""

import csv
import json
from pathlib import Path

import pytest
from llem_sdk import DeviceEnergy, Error, Measurement, Quantity, Source, Unavailable, testing
from zeus_monitor import Measurement as ZeusMeasurement
from zeus_monitor import ZeusMonitor
from zeus_profile import SweepResult, TrialResult

PROJECT = Path(__file__).parent

HOST = testing.SyntheticHost(
    prefill_s_per_token=1e-3,
    decode_s_per_step=8e-3,
    idle_watts=10.0,
    prefill_joules_per_token=0.5,
    decode_joules_per_token=2.0,
)
"""A prompt token takes 1 ms and 0.5 J, a step 8 ms and 2 J. The machine at rest takes 10 W."""

SHAPE: dict[str, str | int | float | bool] = {"prompt-tokens": 10, "new-tokens": 6}
"""10 prompt tokens, then 5 steps: 50 ms and 15 J above the power at rest, which takes 0.5 J."""

SECONDS, JOULES = 0.05, 15.5


def test_windows_nest_and_are_opened_again() -> None:
    parameters = {**SHAPE, "rounds": 2, "requests": 3, "profile": "none"}
    result = testing.run(PROJECT, parameters=parameters, host=HOST)
    assert result.status == "completed", result.error
    windows = json.loads(result.artifacts["zeus_windows.json"])
    assert [one["window_name"] for one in windows] == (["request"] * 3 + ["round"]) * 2 + ["entire"]
    generations = {"request": 1, "round": 3, "entire": 6}
    for one in windows:
        count = generations[one["window_name"]]
        assert one["time"] == pytest.approx(count * SECONDS)
        assert one["cpu_energy"] == {"0": pytest.approx(count * JOULES)}
        # No GPU and no counter of memory: nothing was measured, and nothing is zero.
        assert (one["gpu_energy"], one["total_energy"], one["dram_energy"]) == ({}, None, None)
    energies = {metric.labels["window"]: metric.value for metric in result.metrics("cpu_energy")}
    assert energies == pytest.approx({name: count * JOULES for name, count in generations.items()})
    lines = list(csv.reader(result.artifacts["zeus_windows.csv"].decode().splitlines()))
    assert lines[0][:3] == ["start_time", "window_name", "elapsed_time"]
    assert [line[1] for line in lines[1:]] == [one["window_name"] for one in windows]


def test_a_trial_runs_the_number_of_iterations_that_fill_its_duration() -> None:
    parameters = {**SHAPE, "rounds": 1, "requests": 1, "measurement-duration": 0.42, "num-calibration-iterations": 5}
    result = testing.run(PROJECT, parameters=parameters, host=HOST)
    assert result.status == "completed", result.error
    [trial] = json.loads(result.artifacts["zeus_profile.json"])
    # 0.42 s are 8.4 iterations of 50 ms.
    assert trial["iterations"] == 9
    assert trial["total_time"] == pytest.approx(9 * SECONDS)
    assert trial["energy_per_iter"] == pytest.approx(JOULES)
    assert trial["time_per_iter"] == pytest.approx(SECONDS)
    assert result.metric("energy_per_iter").value == pytest.approx(JOULES)
    assert any("there is no GPU" in warning for warning in result.warnings)


def test_a_sweep_fixes_the_other_duration_at_its_longest() -> None:
    parameters = {
        **SHAPE,
        "profile": "parameters",
        "measurement-durations": "0.1,0.2",
        "cooldown-durations": "0,1",
        "num-trials": 3,
        "num-warmup-trials": 1,
        "num-warmup-iterations": 1,
        "num-calibration-iterations": 2,
    }
    result = testing.run(PROJECT, parameters=parameters, host=HOST)
    assert result.status == "completed", result.error
    measured, cooled = json.loads(result.artifacts["zeus_profile.json"])
    assert measured["sweep_param"] == ["measurement_duration", [0.1, 0.2]]
    assert measured["fixed_param"] == ["cooldown_duration", 1.0]
    assert cooled["sweep_param"] == ["cooldown_duration", [0.0, 1.0]]
    assert cooled["fixed_param"] == ["measurement_duration", 0.2]
    entries = measured["entries"] + cooled["entries"]
    assert [[trial["iterations"] for trial in entry["trials"]] for entry in entries] == [[2] * 3] + [[4] * 3] * 3
    assert all(entry["is_valid"] and entry["energy_std"] == pytest.approx(0.0, abs=1e-9) for entry in entries)


def test_the_energies_of_a_window_go_to_their_index() -> None:
    def joules(value: float) -> Quantity:
        return Quantity.exact(value, "J", Source.RAPL)

    energies = (
        DeviceEnergy("cpu", "package-0", joules(5.0)),
        DeviceEnergy("cpu", "dram-0", joules(1.0)),
        DeviceEnergy("cpu", "package-1", joules(7.0)),
        DeviceEnergy("cuda:0", "gpu", joules(100.0)),
        DeviceEnergy("cuda:3", "gpu", joules(30.0)),
    )
    measured = ZeusMeasurement.of(Measurement("window", 0, 2_000_000_000, energy=energies))
    report = measured.as_report("window")
    assert report["gpu_energy"] == {0: 100.0, 3: 30.0}
    assert (report["cpu_energy"], report["dram_energy"]) == ({0: 5.0, 1: 7.0}, {0: 1.0})
    # Zeus sums GPUs only.
    assert (report["time"], report["total_energy"]) == (2.0, 130.0)


def test_a_missing_energy_makes_the_total_unknown() -> None:
    energies = (
        DeviceEnergy("cuda:0", "gpu", Quantity.exact(1.0, "J", Source.NVML_COUNTER)),
        DeviceEnergy("cuda:1", "gpu", Unavailable("the GPU was lost")),
    )
    measured = ZeusMeasurement.of(Measurement("window", 0, 1, energy=energies))
    assert measured.total_energy == Unavailable("the GPU was lost")
    assert measured.as_report("window")["total_energy"] is None


def test_trials_are_valid_below_the_threshold_in_joules() -> None:
    def trial(joules: float) -> TrialResult:
        return TrialResult(Quantity.exact(joules, "J", Source.NVML_COUNTER), 1.0, 10, None, None)

    trials = [trial(100.0), trial(100.2)]
    result = SweepResult.of(1.0, 2.0, trials, threshold=0.01)
    # 10.00 and 10.02 J an iteration: the sample's standard deviation is 0.02 / sqrt(2).
    assert result.energy_mean == pytest.approx(10.01)
    assert result.energy_std == pytest.approx(0.02 / 2**0.5)
    assert not result.is_valid
    assert SweepResult.of(1.0, 2.0, trials, threshold=0.02).is_valid
    assert SweepResult.of(1.0, 2.0, trials[:1], threshold=0.01).energy_std == 0.0


def test_a_window_that_was_never_begun_does_not_end() -> None:
    with pytest.raises(Error, match="'epoch' does not exist"):
        ZeusMonitor().end_window("epoch")
