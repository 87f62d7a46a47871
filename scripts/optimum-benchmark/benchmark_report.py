"""The report of a run under optimum-benchmark's names (`benchmark/report.py`): files, a table and metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace

from energy import Efficiency, Energy, Memory
from latency import Latency, Throughput
from llem_sdk import Metric, Quantity, Source, report

STATISTICS = ("count", "total", "mean", "p50", "p90", "p95", "p99", "stdev", "stdev_")
"""The columns of the table of latencies."""


@dataclass(slots=True)
class TargetMeasurements:
    """What was measured of one target. `None` stands for what the run did not measure."""

    memory: Memory | None = None
    latency: Latency | None = None
    throughput: Throughput | None = None
    energy: Energy | None = None
    efficiency: Efficiency | None = None

    def as_report(self) -> dict[str, object]:
        """Returns the measurements as the tool's report has them."""
        return {
            "memory": self.memory and self.memory.as_report(),
            "latency": self.latency and asdict(self.latency),
            "throughput": self.throughput and asdict(self.throughput),
            "energy": self.energy and self.energy.as_report(),
            "efficiency": self.efficiency and self.efficiency.as_report(),
        }

    def metrics(self, target: str) -> Iterator[Metric]:
        """Returns the measurements as metrics with the label `target`."""
        for name, quantity in self._quantities():
            yield quantity.into_metric(name, target=target)

    def _quantities(self) -> Iterator[tuple[str, Quantity]]:
        if self.latency:
            mean = self.latency.mean_quantity()
            yield "latency_mean", mean
            if self.throughput:
                volume = self.throughput.value * self.latency.mean
                if rate := Quantity.exact(volume, "1", Source.COUNTED).over(mean, _ucum(self.throughput.unit)):
                    yield "throughput", rate
        for part in (self.memory, self.energy):
            for field in fields(part) if part else ():
                if reading := getattr(part, field.name):
                    yield (f"energy_{field.name}" if part is self.energy else field.name), reading
        if self.efficiency and self.efficiency.quantity:
            yield "efficiency", replace(self.efficiency.quantity, unit=_ucum(self.efficiency.unit))


def write(configuration: Mapping[str, object], targets: Mapping[str, TargetMeasurements]) -> None:
    """Writes the tool's three files, the table `latency` and the metrics of all targets."""
    measured = {target: one.as_report() for target, one in targets.items()}
    for name, content in (
        ("benchmark_config.json", configuration),
        ("benchmark_report.json", measured),
        ("benchmark.json", {"config": configuration, "report": measured}),
    ):
        report.write_artifact(name, json.dumps(content, indent=4).encode())
    rows = [
        [target, *(_cell(getattr(one.latency, name)) for name in STATISTICS)]
        for target, one in targets.items()
        if one.latency
    ]
    if rows:
        report.add_table(report.Table("latency", ("target", *STATISTICS), rows))
    reasons: dict[str, list[str]] = {}
    for target, one in targets.items():
        # The pooled gaps repeat, so the spread of their mean is not known. `itl_mean` counts each once.
        for metric in one.metrics(target) if target != "per_token" else ():
            report.add_metric(metric)
        for reason in _reasons(one):
            reasons.setdefault(reason, []).append(target)
    for reason, affected in reasons.items():
        report.warn(f"{', '.join(affected)}: {reason}")


def _reasons(measured: TargetMeasurements) -> Iterator[str]:
    """Returns why the total energy or the memory of a target is missing although it was asked for."""
    if measured.energy and not measured.energy.total:
        yield f"no energy: {measured.energy.total.reason}"
    elif measured.efficiency and not measured.efficiency.quantity:
        yield f"no efficiency: {measured.efficiency.quantity.reason}"
    if measured.memory and not measured.memory.max_ram:
        yield f"no max_ram: {measured.memory.max_ram.reason}"


def _cell(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6f}"


def _ucum(unit: str) -> str:
    """Returns a unit such as `tokens/s` in UCUM's spelling: `{token}/s`."""
    what, per = unit.split("/")
    return f"{{{what.removesuffix('s')}}}/{per}"
