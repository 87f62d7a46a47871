"""Builds the components that the tests run. `LLEM` names the llem that runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SDK = Path(__file__).parents[1]
WIT = SDK.parents[1] / "wit"

Build = Callable[..., Path]


def pytest_configure() -> None:
    if "LLEM" not in os.environ:
        raise pytest.UsageError("set LLEM to the path of llem, which runs the components")


def componentize(project: Path, world: str, output: Path, environment: Path | None = None) -> None:
    """Builds the project's module by hand, with this folder's SDK or the one of a virtual environment."""
    module = project.name if (project / f"{project.name}.py").exists() else f"first_{project.name}"
    program = Path(sys.executable).with_name("componentize-py")
    paths = ["-p", str(project)] + ([] if environment else ["-p", str(SDK / "src")])
    wit = WIT
    if environment:
        # Without -I the tests' own PYTHONPATH would come first.
        asked = subprocess.run(
            [environment / "bin/python", "-I", "-m", "llem_sdk"], capture_output=True, text=True, check=True
        )
        wit = Path(asked.stdout.strip())
    # Without VIRTUAL_ENV the packages of the Python that runs componentize-py would be found too.
    variables = os.environ | {"VIRTUAL_ENV": str(environment or output.parent)}
    built = subprocess.run(
        [program, "-q", "-d", wit, "-w", world, "componentize", module, *paths, "-o", output],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Returns a function that builds a guest or a template once, or again if it is asked for another copy."""
    folder = tmp_path_factory.mktemp("components")
    built: dict[tuple[str, int], Path] = {}

    def once(name: str, copy: int = 1) -> Path:
        if (name, copy) not in built:
            template = SDK / "template" / name
            output = folder / f"{name}-{copy}.wasm"
            project = template if template.exists() else SDK / "tests/guests" / name
            componentize(project, name if template.exists() else "experiment", output)
            built[name, copy] = output
        return built[name, copy]

    return once
