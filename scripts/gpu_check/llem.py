"""The program under test, and what it runs on."""
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests/fixtures"
DEVICE = os.environ.get("LLEM_DEVICE", "cuda:0")
IS_CUDA = DEVICE.startswith("cuda")
# What torch calls the device.
TORCH_DEVICE = DEVICE if IS_CUDA else "cpu"
# What the meter calls it: the emulated device is the processor.
METERED = DEVICE if IS_CUDA else "cpu"
# Another model than the two shapes: the script itself is tried, with little of everything.
TRIED = os.environ.get("GPU_CHECK_MODEL")
LARGE = TRIED or "synthetic:llama-3.1-8b"
SMALL = TRIED or "synthetic:llama-3.2-1b"
# A fixture's generation that takes longer hangs.
GENERATION_S = 30 if IS_CUDA else 300


class Failure(Exception):
    """A run of the program that did not end well, with what it said."""


def environment(**variables: str) -> dict:
    """With the Python that runs this first in the path: the program looks for CUDA's libraries in its packages."""
    path = os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path, **variables}


def llem(*arguments: object, longest_s: float | None = None, **variables: str) -> str:
    """What the program prints. It is ended when it takes longer."""
    command = [os.environ["LLEM"], *map(str, arguments)]
    try:
        ran = subprocess.run(command, env=environment(**variables), capture_output=True, text=True, timeout=longest_s)
    except subprocess.TimeoutExpired:
        raise Failure(f"llem {' '.join(command[1:])} ran past {longest_s:.0f} s") from None
    if ran.returncode != 0:
        raise Failure(f"llem {' '.join(command[1:])} ended with {ran.returncode}: {ran.stderr[-2000:]}")
    return ran.stdout


def devices(*options: str) -> list[dict]:
    """What `llem doctor` tells of each device."""
    return json.loads(llem("doctor", "--json", *options))["devices"]


def generate(folder: pathlib.Path, ids: list[int], new_tokens: int, logits: pathlib.Path, *options: object, **variables: str):
    """Greedy tokens of a prompt; their logits, and those of the prompt, as an array [positions, vocabulary]."""
    from safetensors.numpy import load_file

    printed = llem(
        "generate", folder, "--tokens", ",".join(map(str, ids)), "--max-new-tokens", new_tokens, "--ignore-eos",
        "--device", DEVICE, "--json", "--logits", logits, *options,
        longest_s=GENERATION_S, **variables,
    )
    return json.loads(printed)["tokens"], load_file(logits)["logits"]


def preset(model: str) -> dict:
    """The configuration of a synthetic model."""
    name = model.removeprefix("synthetic:")
    return json.loads((ROOT / f"host/checkpoint/src/presets/{name}.json").read_text())
