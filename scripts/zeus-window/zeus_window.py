"""Zeus' measurement windows around the generations of a model, then trials of `zeus.profile` of one generation.

    entire |------------------------------------------------|
    round    |----------------------|-----------------------|
    request    |-------|  |--------|   |--------| |--------|

Windows of different names nest, and a name is used again once its window has ended.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence

import llem_sdk
from llem_sdk import About, Error, Metric, Model, Phase, Quantity, Random, Reading, Request, Source, TokensPrompt
from llem_sdk import devices, parameter, parameter_within, reading, report
from zeus_monitor import NOT_COVERED, Measurement, ZeusMonitor
from zeus_profile import Profiler, SweepReport, TrialResult

DURATIONS = "1,2,3,4,5,6,7,8,9,10"
"""Zeus' own search ranges, in s."""

SWEPT = (
    "measurement_duration",
    "cooldown_duration",
    "energy_mean",
    "energy_std",
    "avg_temperature_before",
    "avg_temperature_after",
    "avg_total_time",
    "avg_total_energy",
    "is_valid",
)
"""The columns of the table of a sweep."""


def about() -> About:
    return (
        About("zeus-window", "0.1.0", "Zeus' measurement windows and thermally stable trials")
        .integer("batch-size", 1, "sequences of a generation")
        .integer("prompt-tokens", 32, "prompt tokens of a sequence")
        .integer("new-tokens", 32, "tokens generated for a sequence")
        .integer("rounds", 3, "how often the window `round` is opened")
        .integer("requests", 2, "how often the window `request` is opened in a round")
        .text("profile", "measure", "none, measure, measurement-duration, cooldown-duration or parameters")
        .number("measurement-duration", 2.0, "shortest window of a trial, where it is not swept, in seconds")
        .number("cooldown-duration", 1.0, "idle time before a trial, where it is not swept, in seconds")
        .text("measurement-durations", DURATIONS, "swept measurement durations, in seconds")
        .text("cooldown-durations", DURATIONS, "swept cooldown durations, in seconds")
        .integer("num-trials", 10, "trials of each setting of a sweep")
        .integer("num-warmup-trials", 2, "trials before the first sweep that are not used")
        .number("trial-stddev-threshold", 0.01, "standard deviation below which trials are valid, in J")
        .integer("num-warmup-iterations", 10, "generations before the window of a trial")
        .integer("num-calibration-iterations", 100, "generations from which the length of one is estimated")
    )


def run() -> None:
    profile, counts = parameter("profile", str), _counts()
    profiles: dict[str, Callable[[Profiler], Sequence[TrialResult | SweepReport]]] = {
        "none": lambda profiler: (),
        "measure": lambda profiler: (profiler.measure(_seconds("measurement"), _seconds("cooldown")),),
        "measurement-duration": lambda profiler: (
            profiler.profile_measurement_duration(_durations("measurement"), _seconds("cooldown")),
        ),
        "cooldown-duration": lambda profiler: (
            profiler.profile_cooldown_duration(_durations("cooldown"), _seconds("measurement")),
        ),
        "parameters": lambda profiler: profiler.profile_parameters(_durations("measurement"), _durations("cooldown")),
    }
    if profile not in profiles:
        raise Error.invalid_argument(f"profile is '{profile}': set it to one of {', '.join(profiles)}")
    model = Model.load_granted()
    request = _request(model, counts)
    with Phase("warmup"):
        model.generate(request)
    with Phase("windows"):
        monitor = _windows(model, request, counts["rounds"], counts["requests"])
    _report_windows(monitor)
    profiler = Profiler(
        work=lambda: model.generate(request),
        trial_stddev_threshold=parameter("trial-stddev-threshold", float),
        **{name: value for name, value in counts.items() if name.startswith("num_")},
    )
    with Phase("profile"):
        results = profiles[profile](profiler)
    _report_profile(results)


def _windows(model: Model, request: Request, rounds: int, requests: int) -> ZeusMonitor:
    monitor = ZeusMonitor()
    monitor.begin_window("entire")
    for _ in range(rounds):
        monitor.begin_window("round")
        for _ in range(requests):
            monitor.begin_window("request")
            model.generate(request)
            monitor.end_window("request")
        monitor.end_window("round")
    monitor.end_window("entire")
    return monitor


def _report_windows(monitor: ZeusMonitor) -> None:
    [*_, (_, entire)] = monitor.measured
    if not entire.gpu_energy and not entire.total_cpu_energy:
        report.warn(f"no energy of the windows: {entire.total_cpu_energy.reason}")
    report.write_artifact("zeus_windows.csv", monitor.log().encode())
    measured = [one.as_report(key) for key, one in monitor.measured]
    report.write_artifact("zeus_windows.json", json.dumps(measured, indent=2).encode())
    for key in dict.fromkeys(key for key, _ in monitor.measured):
        for metric in _window_metrics(key, [one for name, one in monitor.measured if name == key]):
            report.add_metric(metric)


def _window_metrics(key: str, measured: list[Measurement]) -> Iterator[Metric]:
    """Returns the mean time and energies of the windows of a key, energies also by GPU and by CPU package."""
    if time := Quantity.mean([one.time for one in measured], "s"):
        yield time.into_metric("time", window=key)
    parts = {
        "gpu_energy": [one.gpu_energy for one in measured],
        "cpu_energy": [one.cpu_energy for one in measured],
        "dram_energy": [one.dram_energy for one in measured],
    }
    for part, by_index in parts.items():
        for index in by_index[0]:
            yield from _mean_metric(part, [energies[index] for energies in by_index], window=key, index=str(index))
    if not measured[0].cpu_energy and measured[0].total_cpu_energy:
        yield from _mean_metric("cpu_energy", [one.total_cpu_energy for one in measured], window=key, index="all")
    if measured[0].gpu_energy:
        yield from _mean_metric("total_energy", [one.total_energy for one in measured], window=key)


def _mean_metric(name: str, readings: list[Reading], **labels: str) -> Iterator[Metric]:
    """Returns the mean of energies as a metric. If one is not known, there is no metric but a warning."""
    mean = reading.mean(readings, NOT_COVERED)
    if mean:
        yield mean.into_metric(name, **labels)
    else:
        report.warn(f"{name} of {labels['window']}: {mean.reason}")


def _report_profile(results: Sequence[TrialResult | SweepReport]) -> None:
    if results:
        if not any(device.kind != "cpu" for device in devices.list_devices()):
            report.warn("there is no GPU: the energies of trials are those of the CPU packages, which Zeus leaves out")
        content = json.dumps([result.as_report() for result in results], indent=2)
        report.write_artifact("zeus_profile.json", content.encode())
    for result in results:
        if isinstance(result, SweepReport):
            rows = [[_cell(getattr(entry, name)) for name in SWEPT] for entry in result.entries]
            report.add_table(report.Table(f"sweep_{result.sweep_param[0]}", SWEPT, rows))
        else:
            _report_trial(result)


def _report_trial(trial: TrialResult) -> None:
    if not trial.energy:
        report.warn(f"energy_per_iter: {trial.energy.reason}")
    elif per_iter := trial.energy.per(float(trial.iterations), "J"):
        report.add_metric(per_iter.into_metric("energy_per_iter", window="trial"))
        report.add_metric(trial.energy.into_metric("total_energy", window="trial"))
    for name, value, unit in (
        ("time_per_iter", trial.time_per_iter, "s"),
        ("total_time", trial.total_time, "s"),
        ("iterations", float(trial.iterations), "1"),
        ("temperature_before", trial.temperature_before, "Cel"),
        ("temperature_after", trial.temperature_after, "Cel"),
    ):
        if value is not None:
            report.add_metric(Quantity.exact(value, unit, Source.DERIVED).into_metric(name, window="trial"))


def _request(model: Model, counts: dict[str, int]) -> Request:
    random, vocabulary = Random("prompts"), model.info().vocab_size
    prompts = [TokensPrompt.random(random, vocabulary, counts["prompt_tokens"]) for _ in range(counts["batch_size"])]
    return Request.from_prompts(prompts, label="generate", max_new_tokens=counts["new_tokens"], ignore_eos=True)


def _counts() -> dict[str, int]:
    """Returns the parameters that are whole numbers, under their names in Python."""
    least = dict.fromkeys(("batch-size", "prompt-tokens", "new-tokens", "rounds", "requests", "num-trials"), 1)
    least |= {"num-warmup-trials": 0, "num-warmup-iterations": 0, "num-calibration-iterations": 1}
    counts = {}
    for name, smallest in least.items():
        counts[name.replace("-", "_")] = parameter_within(name, int, smallest)
    return counts


def _seconds(what: str) -> float:
    return parameter_within(f"{what}-duration", float, 0.0)


def _durations(what: str) -> list[float]:
    """Returns a parameter that holds lengths in s, separated by commas."""
    text = parameter(f"{what}-durations", str)
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = [-1.0]
    if min(values) < 0.0 or not all(map(math.isfinite, values)):
        raise Error.invalid_argument(f"{what}-durations is '{text}': give seconds from 0, separated by commas")
    return values


def _cell(value: float | bool | None) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, bool) else f"{value:.4f}"


llem_sdk.experiment(about, run)
