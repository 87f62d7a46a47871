"""The record that an experiment leaves, as a check reads it."""

import json
import pathlib
import subprocess
import tempfile
from collections.abc import Callable, Sequence

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Run:
    """The record of a run of an experiment under scripts/: run.json, the journal and the artifacts.

    `options` replace `--model synthetic:tiny`.
    """

    def __init__(self, llem: str, name: str, parameters: dict, options: Sequence[str] = ()) -> None:
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "run"
            given = [text for one, value in parameters.items() for text in ("-p", f"{one}={value}")]
            command = [llem, "exec", ROOT / "scripts" / name, "--seed", "7", "--out", out]
            command += options or ["--model", "synthetic:tiny"]
            ran = subprocess.run([*command, *given], capture_output=True, text=True)
            assert ran.returncode == 0, ran.stderr
            self.record = json.loads((out / "run.json").read_text())
            journal = (out / "events.jsonl").read_text().splitlines()
            self.artifacts = {path.name: path.read_text() for path in (out / "artifacts").glob("*")}
        self.events = [json.loads(line) for line in journal]

    def of_kind(self, kind: str) -> list[dict]:
        return [event for event in self.events if event["event"] == kind]

    def metrics(self, name: str) -> dict[tuple, float]:
        """The values of the metrics of this name, by their labels' values."""
        found = [one for one in self.record["metrics"] if one["name"] == name]
        return {tuple(one["labels"].values()): one["quantity"]["value"] for one in found}


RunOf = Callable[..., Run]
"""Runs an experiment by its name, parameters and options of `llem exec`, and returns its record."""
