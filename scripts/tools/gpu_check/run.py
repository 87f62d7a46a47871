"""Runs each check in a process of its own, within the given minutes."""
import datetime
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

from . import checks, pack
from .context import Context
from .llem import DEVICE, ROOT, Failure, environment

# Characters that are kept of a failed check's output.
LOG_CHARACTERS = 4000


def write(file: pathlib.Path, content: dict) -> None:
    """Writes a file completely or not at all, even if this process is killed."""
    new = file.with_suffix(".new")
    new.write_text(json.dumps(content, indent=1) + "\n")
    os.replace(new, file)


def one(name: str, folder: pathlib.Path, own: pathlib.Path) -> None:
    """Runs a check in this process, which saves its results to `own` as it goes."""
    found: dict = {}
    lock = threading.Lock()

    def note(**more: object) -> None:
        with lock:
            found.update(more)
            write(own, found)

    with tempfile.TemporaryDirectory() as work:
        context = Context(pathlib.Path(work), folder, note)
        try:
            note(passed=bool(checks.CHECKS[name].function(context)))
        except Failure as error:
            note(passed=False, error=str(error))
        except Exception:
            note(passed=False, error=traceback.format_exc()[-LOG_CHARACTERS:])


def all_of(names: list[str], seconds: float, folder: pathlib.Path | None) -> None:
    """Runs the checks of these names in their order, as many as fit the time."""
    ends = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        if not {"LLEM", "GPU_CHECK_TESTS"} <= set(os.environ):
            pack.unpack(work)
        os.environ.setdefault("LLEM", str(work / "llem"))
        os.environ.setdefault("GPU_CHECK_TESTS", str(work / "kernels"))
        card, today = card_name(), datetime.date.today().isoformat()
        folder = folder or ROOT / f"tests/gpu-results/{card.replace(' ', '-').lower()}-{today}"
        folder.mkdir(parents=True, exist_ok=True)
        results = dict(card=card, device=DEVICE, date=today, minutes=seconds / 60, checks={}, left_out=[])
        file = folder / "results.json"
        write(file, results)
        for name, check in checks.CHECKS.items():
            remaining = ends - time.monotonic()
            if name not in names:
                continue
            if remaining < check.expected_s:
                results["left_out"].append(name)
                print(f"{name}: left out, it takes {check.expected_s} s and {max(remaining, 0):.0f} are left", flush=True)
            else:
                print(f"{name}: at {seconds - remaining:.0f} s", flush=True)
                results["checks"][name] = supervised(name, min(check.longest_s, remaining), folder, work)
                print(f"{name}: {json.dumps(results['checks'][name])[:1500]}", flush=True)
            write(file, results)
    failed = [name for name, result in results["checks"].items() if not result["passed"]]
    print(f"{file}: {len(results['checks']) - len(failed)} checks passed, {len(failed)} failed", flush=True)
    if failed:
        sys.exit(f"gpu-check: failed: {', '.join(failed)}")


def card_name() -> str:
    """Returns the driver's name of the card, or `emulated`."""
    try:
        command = [os.environ["LLEM"], "doctor", "--json"]
        told = json.loads(subprocess.run(command, env=environment(), capture_output=True, timeout=10).stdout)
        return next(device["name"] for device in told["devices"] if device["id"] == DEVICE)
    except (OSError, ValueError, StopIteration, subprocess.TimeoutExpired):
        return DEVICE.replace(":", "-")


def supervised(name: str, longest_s: float, folder: pathlib.Path, work: pathlib.Path) -> dict:
    """Returns what a check had found when it ended or was killed."""
    own, log = work / f"{name}.json", work / f"{name}.log"
    command = [sys.executable, ROOT / "scripts/tools/gpu-check", "--self", name, folder, own]
    began = time.monotonic()
    with log.open("w") as output:
        # In a session of its own, so that its children are killed with it.
        child = subprocess.Popen(command, env=environment(), stdout=output, stderr=output, start_new_session=True)
        try:
            ended = f"ended with {child.wait(longest_s)}"
        except subprocess.TimeoutExpired:
            ended = f"ran past {longest_s:.0f} s"
        try:
            os.killpg(child.pid, signal.SIGKILL)
            # A process that hangs in a driver's call cannot be killed; the next check runs beside it.
            child.wait(5)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass
    found = json.loads(own.read_text()) if own.exists() else {}
    if "passed" not in found:
        found.update(passed=False, error=found.get("error", ended))
    if not found["passed"]:
        found["log"] = log.read_text(errors="replace")[-LOG_CHARACTERS:]
    return dict(wall_s=round(time.monotonic() - began, 2), **found)
