"""`vllm bench sweep serve_workload`: the trade of latency for throughput, from one request at a time to all at once.

serial (max_concurrency 1) ──► its rate, rounded up    ┐
                                                       ├──► workloads evenly between them
batch (max_concurrency N)  ──► its rate, rounded down  ┘
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import results
import serve
from llem_sdk import Model, Phase, parameter_within, report
from options import ServeOptions, choice
from workload import Workload

VARIABLES = ("request_rate", "max_concurrency")

COLUMNS = (
    "request_throughput",
    "output_throughput",
    "mean_ttft_ms",
    "mean_tpot_ms",
    "mean_e2el_ms",
    "llem_joules_per_output_token",
)
"""The columns of the table of all runs."""

RunData = dict[str, object]


@dataclass(frozen=True, slots=True)
class Sweep:
    """What all runs have in common."""

    model: Model
    options: ServeOptions
    variable: str
    runs: int
    warmup_prompts: int

    def workload(self, value: int, max_concurrency: int | None = None) -> list[RunData]:
        """Runs one workload several times and returns the results, which are also written to files."""
        given = {} if max_concurrency is None else {"max_concurrency": max_concurrency}
        overrides = given | {self.variable: value}
        options = self.options.with_workload(overrides.get("request_rate"), overrides.get("max_concurrency"))
        # The name of a file may not have the sign.
        base = base_name(given, self.variable, value).replace("=", "-")
        if self.warmup_prompts > 0:
            data = self._run(replace(options, num_prompts=self.warmup_prompts), overrides, -1)
            results.write_json(f"{base}-warmup.json", data, indent=4)
        runs = []
        for number in range(self.runs):
            runs.append(self._run(options, overrides, number))
            results.write_json(f"{base}-run-{number}.json", runs[-1], indent=4)
        results.write_json(f"{base}-summary.json", runs, indent=4)
        return runs

    def _run(self, options: ServeOptions, overrides: Mapping[str, int], number: int) -> RunData:
        """Runs a benchmark. Each has a batch of its own, so that no prefix is cached from another one.

        The unmeasured run has the number -1, as in the tool.
        """
        name = ",".join(f"{key}={value}" for key, value in overrides.items())
        labels = None if number < 0 else {"workload": name, "run": str(number)}
        workload = Workload.draw(self.model, options.num_prompts).aligned()
        with Phase("warmup" if number < 0 else name):
            data = serve.serve(self.model, workload, options, f"{name} run={number}", labels)
        return {**data, "run_number": number, **overrides}


def run(model: Model) -> None:
    """Runs the sweep, as the parameters say. End-to-end latencies are always reported."""
    options = replace(ServeOptions.from_parameters(), percentile_metrics=("ttft", "tpot", "itl", "e2el"))
    variable, iterations = choice("workload-var", VARIABLES), parameter_within("workload-iters", int, 2)
    runs, warmups = parameter_within("num-runs", int, 1), parameter_within("warmup-num-prompts", int, 0)
    sweep = Sweep(model, options, variable, runs, warmups)
    # The serial run also has a value of 1 and the batch run one of N, as in the tool: a rate of one request per second.
    serial, batch = sweep.workload(1, 1), sweep.workload(options.num_prompts, options.num_prompts)
    first, last = math.ceil(average(serial, variable)), math.floor(average(batch, variable))
    between = []
    print(f"Serial inference: {variable}={first}\nBatch inference: {variable}={last}")
    for value in workloads_between(first, last, iterations):
        if value < 1:
            report.warn(f"{variable}={value} is left out: it is not above 0")
            continue
        print(f"Exploring: {variable}={value}")
        between += sweep.workload(value)
    data = serial + between + batch
    report.write_artifact("summary.csv", csv_of(data).encode())
    _report(data, variable)


def estimate(data: RunData, variable: str) -> float:
    """Returns the value of the variable that a run had in effect. For concurrency, by Little's law."""
    throughput = _float(data["request_throughput"])
    return throughput if variable == "request_rate" else throughput * _float(data["mean_e2el_ms"]) / 1000


def average(runs: Sequence[RunData], variable: str) -> float:
    """Returns the mean of the runs' values."""
    return math.fsum(estimate(one, variable) for one in runs) / len(runs)


def workloads_between(first: int, last: int, iterations: int) -> list[int]:
    """Returns the whole values next to `iterations` - 2 that lie evenly between two, without repeats, in order."""
    step = (last - first) / (iterations - 1)
    return sorted({round(first + step * index) for index in range(1, iterations - 1)})


def base_name(given: Mapping[str, int], variable: str, value: int) -> str:
    """Returns the name of the tool's folder for a workload."""
    bench = [f"BENCH--{key}={number}" for key, number in given.items()]
    return "-".join([*bench, f"WL--{variable}={value}"])


def csv_of(data: Sequence[RunData]) -> str:
    """Returns the runs as pandas' `DataFrame.to_csv` writes them: an index column, and every field of any run."""
    columns = {name: [one.get(name) for one in data] for name in dict.fromkeys(name for one in data for name in one)}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["", *columns])
    for index, row in enumerate(zip(*map(_column, columns.values()), strict=True)):
        writer.writerow([index, *row])
    return text.getvalue()


def _column(values: list[object]) -> list[object]:
    """Returns the cells of a column. Whole numbers become decimal ones where any is missing, as in pandas."""
    known = [value for value in values if value is not None]
    are_decimal = len(known) < len(values) and all(type(value) is int for value in known)
    return ["" if value is None else float(str(value)) if are_decimal else value for value in values]


def _report(data: Sequence[RunData], variable: str) -> None:
    if reason := next((one["llem_energy_missing"] for one in data if "llem_energy_missing" in one), None):
        results.warn_of_missing_energy(reason)
    rows = [[str(one[variable]), str(one["run_number"]), *(_cell(one[name]) for name in COLUMNS)] for one in data]
    report.add_table(report.Table("workloads", (variable, "run", *COLUMNS), rows))
    for latency in ("mean_ttft_ms", "mean_tpot_ms", "mean_e2el_ms"):
        points = sorted((_float(one["output_throughput"]), _float(one[latency])) for one in data)
        axis = ("output_throughput", "{token}/s")
        report.add_series(report.Series(f"{latency}_by_throughput", axis, (latency, "ms"), points))


def _cell(value: object) -> str:
    return "" if value is None else f"{_float(value):.4g}"


def _float(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan
