"""The result of a setting, and the metrics that are made of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from llem_sdk import Measurement, Metric, Quantity, Reading, Source, Unavailable
from llem_sdk import report
from llem_sdk.statistics import mean
from phases import Served
from power_trace import PowerTrace


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured at one setting."""

    content: dict[str, Any]
    """The tool's result file."""
    served: Served
    trace: PowerTrace
    measurement: Measurement
    """The window around the requests, with the host's own energies of prefill and decode."""


def report_metrics(result: Result, labels: dict[str, str]) -> None:
    """Reports the tool's figures, then those of the host's counters, and why some are missing."""
    for name, value, unit in (*_of_tool(result.content), *_of_phases(result)):
        source = result.trace.source if "J" in unit else Source.DERIVED
        report.add_metric(Quantity.exact(value, unit, source).into_metric(name, **labels))
    missing = []
    for name, reading in _of_host(result):
        if reading:
            report.add_metric(Metric(name, reading, tuple(labels.items())))
        else:
            missing.append(reading.reason)
    if missing:
        report.warn(f"batch {labels['batch_size']}: no energy of prefill and decode: {missing[0]}")
    warnings = result.content["energy"]["warnings"] if "energy" in result.content else []
    for warning in dict.fromkeys(warnings):
        report.warn(f"batch {labels['batch_size']}: {warning}")


def _of_tool(content: dict[str, Any]) -> Iterator[tuple[str, float, str]]:
    """Returns the known energies and rates of a whole run."""
    flat = {**content, **content.get("energy", {})}
    for name in ("gpu_energy_j", "cpu_energy_j", "dram_energy_j", "components_energy_j", "duration"):
        if isinstance(flat.get(name), float):
            yield name, flat[name], "s" if name == "duration" else "J"
    for name in ("gpu_energy", "cpu_energy", "dram_energy", "total_energy"):
        if isinstance(flat.get(name), float):
            yield name, flat[name], "J"
    for name in ("energy_per_token", "total_energy_per_counted_token", "gpu_energy_per_token", "cpu_energy_per_token"):
        if isinstance(flat.get(name), float):
            yield name, flat[name], "J/{token}"
    if isinstance(flat.get("gpu_mj_per_token"), float):
        yield "gpu_mj_per_token", flat["gpu_mj_per_token"], "mJ/{token}"
    if "output_tokens_per_s" in flat:
        yield "output_tokens_per_s", flat["output_tokens_per_s"], "{token}/s"


def _of_phases(result: Result) -> Iterator[tuple[str, float, str]]:
    """Returns means over requests. An energy is there only if every request has it."""
    phases: Sequence[dict[str, Any]] = result.content.get("phases", [])
    for name in ("ttft_s", "decode_s", "request_latency_s"):
        if average := mean([one[name] for one in phases]):
            yield name, average, "s"
    for phase in ("prefill_proxy_energy", "decode_energy"):
        for part in ("gpu", "cpu", "dram"):
            energies = [one[phase].get(f"{part}_energy_j") for one in phases]
            if energies and None not in energies:
                yield f"{phase.removesuffix('_energy')}_{part}_energy_j", sum(energies) / len(energies), "J"


def _of_host(result: Result) -> Iterator[tuple[str, Reading]]:
    """Returns prefill and decode apart from the host's counters, over all devices, for any batch size."""
    measured, work = result.measurement, result.measurement.activity
    requests = len(result.served.completions)
    # The first token of a request comes from the pass of its prompt.
    decoded = work.output_tokens - requests
    for name, energy, tokens in (
        ("prefill", measured.energy_prefill, work.prompt_tokens),
        ("decode", measured.energy_decode, decoded),
    ):
        yield f"{name}_energy", energy
        if energy and tokens > 0:
            yield f"{name}_energy_per_token", energy.per(float(tokens), "J/{token}") or Unavailable("no token")
    yield "energy_per_request", _per(measured.energy_total, requests, "J/{request}")


def _per(energy: Reading, count: int, unit: str) -> Reading:
    return (energy.per(float(count), unit) or Unavailable("no request ended")) if energy else energy
