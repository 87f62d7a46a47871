"""Result files in the tool's format, the text that it prints, and energy beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from llem_sdk import Metric, Quantity, Reading, Source, facts, report
from llem_sdk.wait import NS


def write_json(name: str, content: object, indent: int | None = None) -> None:
    """Writes a result file."""
    report.write_artifact(name, json.dumps(content, indent=indent).encode())


def energy_fields(energy: Reading, output_tokens: int) -> dict[str, object]:
    """Returns the energy of a benchmark as fields of its result. The tool measures none, so they begin with `llem_`."""
    per_token = joules_per_output_token(energy, output_tokens)
    if not energy or per_token is None:
        reason = "no token was generated" if energy else energy.reason
        return {"llem_energy_joules": None, "llem_joules_per_output_token": None, "llem_energy_missing": reason}
    return {
        "llem_energy_joules": energy.value,
        "llem_energy_joules_uncertainty": energy.uncertainty,
        "llem_energy_source": str(energy.source),
        "llem_joules_per_output_token": per_token.value,
        "llem_joules_per_output_token_uncertainty": per_token.uncertainty,
    }


def joules_per_output_token(energy: Reading, output_tokens: int) -> Quantity | None:
    """Divides the energy by the generated tokens. Returns `None` if either is missing."""
    return energy.per(output_tokens, "J/{token}") if energy else None


def report_energy(energy: Reading, output_tokens: int, labels: Mapping[str, str]) -> None:
    """Reports the energy and the energy of an output token, or warns why they are missing."""
    per_token = joules_per_output_token(energy, output_tokens)
    if not energy:
        warn_of_missing_energy(energy.reason)
        return
    report.add_metric(Metric("energy", energy, tuple(labels.items())))
    if per_token is not None:
        report.add_metric(Metric("joules_per_output_token", per_token, tuple(labels.items())))


def warn_of_missing_energy(reason: object) -> None:
    """Warns that the energy is missing."""
    report.warn(f"no joules_per_output_token: {reason}")


def add_metric(name: str, value: float, unit: str, labels: Mapping[str, str]) -> None:
    """Reports a number that was computed from times and counts."""
    report.add_metric(Metric(name, Quantity.exact(value, unit, Source.DERIVED), tuple(labels.items())))


def moment(at: int) -> datetime:
    """Returns the date of a time in ns since the run began, in UTC without a time zone, as the tool writes dates."""
    return facts.run_began().replace(tzinfo=None) + timedelta(seconds=at * NS)


Line = tuple[str, float | None]
"""A name and its number, or a heading."""


def text(lines: Sequence[Line]) -> str:
    """Returns the lines as the tool prints them, 50 columns wide. Whole numbers have no decimals."""
    printed = [f"{' Serving Benchmark Result ':=^50}"]
    for name, value in lines:
        printed.append(f"{name:-^50}" if value is None else f"{name:<40} {_number(value):<10}")
    return "\n".join([*printed, "=" * 50])


def table(name: str, lines: Sequence[Line]) -> report.Table:
    """Returns the lines as a table, which llem shows at the end of a run."""
    return report.Table(name, ("metric", "value"), [[text, "" if n is None else _number(n)] for text, n in lines])


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.2f}"
