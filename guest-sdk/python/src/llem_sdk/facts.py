"""Facts about the machine, the build and the run."""

from __future__ import annotations

from datetime import UTC, datetime

from . import _host


def list_facts() -> dict[str, str]:
    """Returns all facts that are known, by their names, in the host's order."""
    return dict(_host.facts.list_facts())


def fact(name: str) -> str | None:
    """Returns the fact of this name, such as `llem-version`, `cpu` or `cuda-0-power-limit`, or `None`."""
    return list_facts().get(name)


def run_began() -> datetime:
    """Returns the time when the run began, in UTC."""
    return datetime.fromtimestamp(_host.facts.run_began(), UTC)
