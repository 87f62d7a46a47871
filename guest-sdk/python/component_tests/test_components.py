"""Components on a host: errors in Python's words, the same answers in every run, and every call of the SDK."""

from __future__ import annotations

import json
import os
import subprocess
import venv
from pathlib import Path

import pytest
from conftest import SDK, Build, componentize
from llem_sdk import testing


def test_the_experiment_is_measured_as_its_template_says(build: Build) -> None:
    result = testing.run(build("experiment"), parameters={"prompts": 3})
    assert (result.status, result.error) == ("completed", None)
    assert [request.output_tokens for request in result.requests] == [16, 16, 16]
    assert result.metric("decode_rate").value == pytest.approx(200.0, rel=1e-12)
    # 50 W over the run, 10 mJ for each prompt token and 0.5 J for each new one.
    joules = [
        (50.0 * (1e-4 * one.prompt_tokens + 15 * 5e-3) + 0.01 * one.prompt_tokens + 15 * 0.5) / 16
        for one in result.requests
    ]
    assert result.metric("joules_per_output_token").value == pytest.approx(sum(joules) / 3, rel=1e-9)
    again = testing.run(build("experiment"), parameters={"prompts": 3})
    assert (again.requests, again.metrics()) == (result.requests, result.metrics())
    other = testing.run(build("experiment"), parameters={"prompts": 8}, seed=1)
    first = testing.run(build("experiment"), parameters={"prompts": 8}, seed=2)
    assert [one.label for one in other.requests] != [one.label for one in first.requests]


def test_three_policies_in_python_make_one_run(build: Build) -> None:
    result = testing.run(
        warmup=build("warmup"),
        workload=build("workload"),
        metrics=build("metrics"),
        parameters={"window": 4, "requests": 6},
    )
    assert (result.status, result.error) == ("completed", None)
    assert len(result.warmup_requests) == 4
    assert "warm: steady after 4 runs" in [line.message for line in result.log]
    assert len(result.requests) == 6
    gaps = sorted(
        (after - before) * 1e-9
        for one in result.requests
        for before, after in zip(one.token_ns, one.token_ns[1:], strict=False)
    )
    assert result.metric("itl_p50").value == pytest.approx((gaps[44] + gaps[45]) / 2, rel=1e-12)
    assert result.metric("itl_p50").labels == {"request": "fox"}


FAILURES = {
    "exception": ("LookupError: no such number (failing.py, line", "error", "the direct cause"),
    "error": ("this is not supported here", "debug", "raise Error(ErrorCode.UNSUPPORTED"),
    "host_error": ("model 'another' is not granted", "debug", 'Model.load(LoadOptions(model="another"))'),
    "system_exit": ("SystemExit: 3 (failing.py, line", "error", "sys.exit(3)"),
    "interrupt": ("KeyboardInterrupt (failing.py, line", "error", "raise KeyboardInterrupt"),
    "recursion": ("RecursionError: maximum recursion depth exceeded (failing.py, line", "error", "more times]"),
    "memory": ("MemoryError (failing.py, line", "error", "[None] * sys.maxsize"),
    "syntax": ("SyntaxError: invalid syntax (failing.py, line", "error", 'File "given.py", line 1'),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure_shows_its_traceback_with_file_and_line(build: Build, failure: str) -> None:
    message, level, excerpt = FAILURES[failure]
    result = testing.run(build("checks"), parameters={"check": "failing", "failure": failure})
    assert result.status == "failed"
    assert result.error is not None
    assert message in result.error
    [logged] = [line for line in result.log if line.message.startswith("Traceback")]
    assert logged.level == level
    assert excerpt in logged.message
    assert 'File "failing.py", line' in logged.message
    # Neither a folder of the machine nor one that componentize-py mounts.
    assert 'File "/' not in logged.message


def test_memory_beyond_the_limit_ends_the_run_with_the_remedy(build: Build) -> None:
    result = testing.run(build("checks"), parameters={"check": "failing", "failure": "more_memory_than_granted"})
    assert result.status == "failed"
    assert result.error is not None
    assert "--max-memory raises it" in result.error


def test_an_exception_of_about_shows_its_traceback(build: Build) -> None:
    inspected = subprocess.run(
        [os.environ["LLEM"], "inspect", str(build("undescribed"))], capture_output=True, text=True, check=False
    )
    assert inspected.returncode != 0
    assert "undescribed.py" in inspected.stderr
    assert "KeyError: 'cuont'" in inspected.stderr


def test_every_call_gives_values_of_its_types(build: Build, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"prompt": "one", "tokens": "11", "ratio": 1}\n{"prompt": "two", "tokens": "12", "ratio": 0.5}\n')
    result = testing.run(build("checks"), seed=5, datasets={"rows": rows})
    assert (result.status, result.error) == ("completed", None)
    assert result.artifacts == {"bytes.bin": bytes(range(256))}
    assert result.metric("joules").labels == {"kind": "test", "more": "yes"}
    levels = {line.level for line in result.log}
    assert levels >= {"debug", "info", "warn", "error", "stdout"}


def observed(component: Path, seed: int) -> tuple[dict[str, object], dict[str, object]]:
    result = testing.run(component, parameters={"check": "observing"}, seed=seed)
    assert (result.status, result.error) == ("completed", None)
    return json.loads(result.artifacts["observed.json"]), json.loads(result.artifacts["hashed.json"])


def test_a_run_depends_on_its_seed_and_not_on_the_build(build: Build) -> None:
    first = observed(build("checks"), 1)
    assert observed(build("checks"), 1) == first
    # A second build of equal sources differs in the hashes of texts only, for which componentize-py has no seed.
    assert observed(build("checks", copy=2), 1)[0] == first[0]
    other, _ = observed(build("checks"), 2)
    seeded = {"random", "urandom", "system generator", "uuid"}
    assert {name for name, value in first[0].items() if other[name] != value} == seeded
    assert first[0]["environment"] == {}


def test_the_wheel_installs_and_builds_a_component(build: Build, tmp_path: Path) -> None:
    for copy in ("one", "other"):
        subprocess.run([str(SDK / "build-wheel"), str(tmp_path / copy)], check=True)
    [wheel] = tmp_path.glob("one/*.whl")
    assert wheel.read_bytes() == (tmp_path / "other" / wheel.name).read_bytes()
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=True)
    pip = str(environment / "bin/pip")
    subprocess.run([pip, "install", "--quiet", "--no-index", str(wheel)], check=True)
    componentize(SDK / "template/experiment", "experiment", tmp_path / "installed.wasm", environment)
    result = testing.run(tmp_path / "installed.wasm", parameters={"prompts": 2})
    expected = testing.run(build("experiment"), parameters={"prompts": 2})
    assert result.requests == expected.requests
    assert result.metrics() == expected.metrics()
