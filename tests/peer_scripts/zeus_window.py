"""zeus-window: its windows and trials are those of the record."""

import json
import statistics

from .comparison import assert_close
from .recorded import RunOf


def check(run_of: RunOf) -> None:
    parameters = {"prompt-tokens": 8, "new-tokens": 4, "rounds": 2, "requests": 3, "measurement-duration": 0.2}
    parameters |= {"cooldown-duration": 0.1, "num-warmup-iterations": 2, "num-calibration-iterations": 5}
    run = run_of("zeus-window", parameters)
    recorded = [one for one in run.of_kind("window") if one["phase"] == "windows"]
    measured = json.loads(run.artifacts["zeus_windows.json"])
    names = (["request"] * 3 + ["round"]) * 2 + ["entire"]
    assert [one["window_name"] for one in measured] == [one["label"] for one in recorded] == names
    rows = [row.split(",") for row in run.artifacts["zeus_windows.csv"].splitlines()]
    assert rows[0][:3] == ["start_time", "window_name", "elapsed_time"]
    for one, window, row in zip(measured, recorded, rows[1:], strict=True):
        assert_close(one["time"], window["wall_ns"] * 1e-9, one["window_name"])
        assert_close(one["start_time"], window["started_ns"] * 1e-9, one["window_name"])
        assert row[:3] == [str(one["start_time"]), one["window_name"], str(one["time"])]
        packages = [part for part in window["energy"] if part["domain"].startswith("package-")]
        expected = {part["domain"].split("-")[1]: part["energy"].get("value") for part in packages}
        assert (one["cpu_energy"] or {}) == expected
        of_gpus = [part["energy"].get("value") for part in window["energy"] if part["device"] != "cpu"]
        assert one["total_energy"] == (sum(of_gpus) if of_gpus and None not in of_gpus else None)
    times = {name: [one["time"] for one in measured if one["window_name"] == name] for name in set(names)}
    for (name,), value in run.metrics("time").items():
        assert_close(value, statistics.fmean(times[name]), name)
    # A window contains those that it was open with.
    assert sum(times["request"]) < sum(times["round"]) < sum(times["entire"])

    [trial] = json.loads(run.artifacts["zeus_profile.json"])
    [window] = [one for one in run.of_kind("window") if one["label"] == "trial"]
    calls = [one for one in run.of_kind("generation") if one["window"]["phase"] == "profile/trial"]
    assert trial["iterations"] == len(calls) == window["activity"]["requests"]
    assert_close(trial["total_time"], window["wall_ns"] * 1e-9, "total_time")
    assert_close(trial["time_per_iter"], trial["total_time"] / len(calls), "time_per_iter")
    calibration = [one for one in run.of_kind("generation") if one["window"]["phase"] == "profile/calibration"]
    assert len(calibration) == 5
    if trial["total_energy"] is not None:
        assert_close(trial["energy_per_iter"], trial["total_energy"] / len(calls), "energy_per_iter")
