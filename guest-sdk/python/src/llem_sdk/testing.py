"""Unit tests of a method: experiments and policies on the synthetic host, without a model and without waiting.

The synthetic host has a virtual clock, tokens from the seed, and given delays and joules, so that a test knows every
time and energy beforehand. This module runs natively. It starts the program `llem` (or the one that the environment
variable `LLEM` names) and reads the record of the run.

    def test_every_prompt_is_measured():
        result = testing.run(PROJECT, parameters={"prompts": 3}, host=SyntheticHost(decode_s_per_step=2e-3))
        assert result.status == "completed"
        assert len(result.requests) == 3
        assert result.metric("decode_rate").value == pytest.approx(500.0)
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from .about import Value
from .error import Error

StrPath = str | os.PathLike[str]

_PROGRAM = "LLEM"
"""The environment variable that names the program which runs the tests' components."""


@dataclass(frozen=True, slots=True)
class SyntheticHost:
    """The delays and joules of the synthetic host. All of them are exact."""

    seed: int = 1
    """The seed of its tokens."""
    load_s: float = 1.0
    """How long a model loads, in s."""
    prefill_s_per_token: float = 1e-4
    """How long a pass takes for each prompt token in it, in s."""
    decode_s_per_step: float = 5e-3
    """How long a pass takes that generates tokens, in s. It does not depend on their number."""
    idle_watts: float = 50.0
    """The power at rest, in W."""
    prefill_joules_per_token: float = 0.01
    """The energy of a prompt token above the power at rest, in J."""
    decode_joules_per_token: float = 0.5
    """The energy of a generated token above the power at rest, in J."""


@dataclass(frozen=True, slots=True)
class TestMetric:
    """A metric that the run reported."""

    # Keeps pytest from taking the class for a test.
    __test__: ClassVar[bool] = False

    name: str
    """The name in snake case."""
    value: float
    """The value, in `unit`."""
    uncertainty: float
    """The standard uncertainty, in `unit`."""
    unit: str
    """The unit: `{token}/s`."""
    labels: Mapping[str, str]
    """The values of its labels by name."""


@dataclass(frozen=True, slots=True)
class RequestResult:
    """A sequence that the run generated. A request of one prompt has one sequence."""

    label: str
    """The label of the request."""
    phase: str
    """The open phases, outermost first, joined by `/`. It is empty outside of all phases."""
    prompt_tokens: int
    """The length of the prompt, in tokens."""
    tokens: tuple[int, ...]
    """The generated tokens."""
    submitted_ns: int
    """When it was submitted, or arrived, in ns since the run began."""
    token_ns: tuple[int, ...]
    """When each token was on the host, in ns since the run began."""

    @property
    def output_tokens(self) -> int:
        """The number of generated tokens."""
        return len(self.tokens)


@dataclass(frozen=True, slots=True)
class LogLine:
    """A logged line."""

    level: str
    """The level: `debug`, `info`, `warn`, `error`, `stdout` or `stderr`."""
    message: str
    """The text."""


class TestResult:
    """The record of a run."""

    __test__ = False

    def __init__(self, record: dict[str, Any], events: list[dict[str, Any]], artifacts: dict[str, bytes]) -> None:
        self.record = record
        """The content of `run.json`."""
        self.artifacts = artifacts
        """The content of each file that the run wrote, by its name."""
        self._events = events

    @property
    def status(self) -> str:
        """How the run ended: `completed` or `failed`."""
        return str(self.record["status"])

    @property
    def error(self) -> str | None:
        """Why the run failed, or `None` if it completed."""
        error: str | None = self.record["error"]
        return error

    def metrics(self, name: str | None = None) -> list[TestMetric]:
        """Returns the metrics of this name, or all of them, in the order in which they were reported."""
        return [
            TestMetric(
                name=one["name"],
                value=one["quantity"]["value"],
                uncertainty=one["quantity"]["uncertainty"],
                unit=one["quantity"]["unit"],
                labels=one["labels"],
            )
            for one in self.record["metrics"]
            if name in (None, one["name"])
        ]

    def metric(self, name: str) -> TestMetric:
        """Returns the metric of this name. Fails if there is none, or more than one, which labels distinguish."""
        found = self.metrics(name)
        if len(found) != 1:
            raise Error.failed(f"{len(found)} metrics are called '{name}', not one")
        return found[0]

    @property
    def requests(self) -> list[RequestResult]:
        """The sequences that were generated outside of the warm-up, in the order in which they ended."""
        return [one for one in self._sequences() if not _is_warmup(one)]

    @property
    def warmup_requests(self) -> list[RequestResult]:
        """The sequences that were generated in phases called `warmup`, in the order in which they ended."""
        return [one for one in self._sequences() if _is_warmup(one)]

    @property
    def warnings(self) -> list[str]:
        """The warnings of the host, and those of the script with `the script: ` before each."""
        return list(self.record["warnings"])

    @property
    def log(self) -> list[LogLine]:
        """All logged lines, and those of stdout and stderr."""
        return [LogLine(one["level"], one["message"]) for one in self._events if one["event"] == "log"]

    def _sequences(self) -> Iterator[RequestResult]:
        for event in self._events:
            if event["event"] == "generation":
                for sequence in event["sequences"]:
                    yield _request(event["window"], sequence)
            elif event["event"] == "batch-sequence":
                yield _request(event, event["sequence"])


def run(
    experiment: StrPath | None = None,
    *,
    parameters: Mapping[str, Value] | None = None,
    host: SyntheticHost | StrPath | None = None,
    seed: int = 0,
    datasets: Mapping[str, StrPath] | None = None,
    warmup: StrPath | None = None,
    workload: StrPath | None = None,
    metrics: StrPath | None = None,
    options: Sequence[str] = (),
) -> TestResult:
    """Runs an experiment on the synthetic host and returns its record. A run that fails has a record too.

    `experiment` is a project's folder, a source file or a component. llem builds what is no component yet. Without it
    the standard runner runs the given policies (also folders, files or components), and the shipped policies stand in
    for those that are not given. `host` has delays and joules, or is the path of a `run.json` of an earlier run, whose
    mean figures are then used. `datasets` are files by the names that the experiment declares. `options` are further
    options of `llem exec`.

    Raises `Error` if llem cannot be started or refuses the run, with its message.
    """
    program = os.environ.get(_PROGRAM, "llem")
    with tempfile.TemporaryDirectory(prefix="llem-test-") as folder:
        record, figures = Path(folder, "run"), Path(folder, "host.json")
        if host is None or isinstance(host, SyntheticHost):
            figures.write_text(json.dumps(asdict(host or SyntheticHost())))
        else:
            figures = Path(host)
        command = [program, "exec", *_named(experiment, warmup, workload, metrics), *options]
        for name, value in (parameters or {}).items():
            command += ["--param", f"{name}={str(value).lower() if isinstance(value, bool) else value}"]
        for name, path in (datasets or {}).items():
            command += ["--dataset", f"{name}={os.fspath(path)}"]
        command += ["--seed", str(seed), f"--synthetic-host={figures}", "--out", str(record), "--json"]
        return _result(command, record)


def _named(
    experiment: StrPath | None, warmup: StrPath | None, workload: StrPath | None, metrics: StrPath | None
) -> Iterator[str]:
    """Returns the arguments that name the components."""
    if experiment is not None:
        yield os.fspath(experiment)
    for option, path in (("--warmup", warmup), ("--workload", workload), ("--metrics", metrics)):
        if path is not None:
            yield from (option, os.fspath(path))


def _result(command: list[str], record: Path) -> TestResult:
    try:
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        message = f"{command[0]}: {error.strerror}: install llem, or set {_PROGRAM} to its path"
        raise Error.failed(message) from None
    written = record / "run.json"
    if not written.exists():
        raise Error.failed(finished.stderr.strip())
    content = json.loads(written.read_text())
    journal = (record / "events.jsonl").read_text().splitlines()
    paths = [record / artifact["path"] for artifact in content["artifacts"]]
    artifacts = {path.name: path.read_bytes() for path in paths}
    return TestResult(content, [json.loads(line) for line in journal], artifacts)


def _is_warmup(request: RequestResult) -> bool:
    return "warmup" in request.phase.split("/")


def _request(named: dict[str, Any], sequence: dict[str, Any]) -> RequestResult:
    """Converts a sequence. `named` has the label and the phase."""
    return RequestResult(
        label=named["label"],
        phase=named["phase"],
        prompt_tokens=sequence["prompt_tokens"],
        tokens=tuple(sequence["tokens"]),
        submitted_ns=sequence["submitted_ns"],
        token_ns=tuple(sequence["token_ns"]),
    )
