"""The ready warm-ups end after the same runs as in the Rust SDK's tests."""

import pytest
from fixtures import runs_until_done, trials_heating, trials_lasting
from llem_sdk import (
    ColdStart,
    CountThenFloor,
    CvConvergence,
    FixedCount,
    Run,
    TemperaturePlateau,
    TimeFloor,
)


def test_five_runs_of_two_tokens_by_default() -> None:
    assert runs_until_done(FixedCount(), trials_lasting([0.1] * 9)) == 5
    assert FixedCount().next([]) == Run(request=None, max_new_tokens=2)


def test_a_cold_start_runs_nothing() -> None:
    assert runs_until_done(ColdStart(), []) == 0


def test_a_time_floor_runs_until_its_time_has_passed() -> None:
    assert runs_until_done(TimeFloor(floor=1.0), trials_lasting([0.3] * 9)) == 4


@pytest.mark.parametrize(("runs", "expected"), [(6, 6), (2, 4)])
def test_count_then_floor_needs_both(runs: int, expected: int) -> None:
    policy = CountThenFloor(FixedCount(runs, max_new_tokens=None), TimeFloor(floor=1.0))
    assert runs_until_done(policy, trials_lasting([0.3] * 9)) == expected


def test_falling_latencies_converge_once_they_are_flat() -> None:
    latencies = [3.0, 2.0, 1.5, 1.2, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert runs_until_done(CvConvergence(), trials_lasting(latencies)) == 9


def test_the_warm_up_ends_if_the_latency_never_settles() -> None:
    assert runs_until_done(CvConvergence(), trials_lasting([1.0, 2.0] * 30)) == 50


def test_the_warm_up_lasts_until_the_temperature_is_steady() -> None:
    # 30 s hold three trials of 10 s: 62, 62 and 62 are reached with the seventh, which began at 62.
    temperatures = [40.0, 50.0, 57.0, 61.0, 62.0, 62.0, 62.0, 62.0, 62.0]
    assert runs_until_done(TemperaturePlateau(), trials_heating(10.0, temperatures)) == 7


def test_the_warm_up_ends_if_the_temperature_never_settles() -> None:
    temperatures = [40.0 + run % 9 for run in range(80)]
    assert runs_until_done(TemperaturePlateau(), trials_heating(10.0, temperatures)) == 60


def test_without_a_sensor_the_warm_up_ends_after_the_period() -> None:
    assert runs_until_done(TemperaturePlateau(), trials_lasting([10.0] * 9)) == 3
