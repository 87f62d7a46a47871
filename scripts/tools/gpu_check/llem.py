"""The program under test, and the device on which it runs."""
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
FIXTURES = ROOT / "tests/fixtures"
DEVICE = os.environ.get("LLEM_DEVICE", "cuda:0")
IS_CUDA = DEVICE.startswith("cuda")
# Torch's name of the device.
TORCH_DEVICE = DEVICE if IS_CUDA else "cpu"
# The meter's name of the device: the emulated device is metered as the processor.
METERED = DEVICE if IS_CUDA else "cpu"
# With another model than the two shapes, the script itself is tested on small sizes.
TRIED = os.environ.get("GPU_CHECK_MODEL")
LARGE = TRIED or "synthetic:llama-3.1-8b"
SMALL = TRIED or "synthetic:llama-3.2-1b"
# Seconds after which the generation of a fixture counts as hanging.
GENERATION_S = 30 if IS_CUDA else 300


class Failure(Exception):
    """A failed run of the program, with its error output."""


def environment(**variables: str) -> dict:
    """Returns an environment with this Python first in the path, because the program looks for CUDA's libraries in its packages."""
    path = os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path, **variables}


def llem(*arguments: object, longest_s: float | None = None, **variables: str) -> str:
    """Returns what the program prints; kills it after `longest_s` seconds."""
    command = [os.environ["LLEM"], *map(str, arguments)]
    try:
        ran = subprocess.run(command, env=environment(**variables), capture_output=True, text=True, timeout=longest_s)
    except subprocess.TimeoutExpired:
        raise Failure(f"llem {' '.join(command[1:])} ran past {longest_s:.0f} s") from None
    if ran.returncode != 0:
        raise Failure(f"llem {' '.join(command[1:])} ended with {ran.returncode}: {ran.stderr[-2000:]}")
    return ran.stdout


def devices(*options: str) -> list[dict]:
    """Returns what `llem doctor` reports of each device."""
    return json.loads(llem("doctor", "--json", *options))["devices"]


def generate(folder: pathlib.Path, ids: list[int], new_tokens: int, logits: pathlib.Path, *options: object, **variables: str):
    """Returns the greedy tokens after a prompt, and the logits of all positions as an array [positions, vocabulary]."""
    from safetensors.numpy import load_file

    printed = llem(
        "generate", folder, "--tokens", ",".join(map(str, ids)), "--max-new-tokens", new_tokens, "--ignore-eos",
        "--device", DEVICE, "--json", "--logits", logits, *options,
        longest_s=GENERATION_S, **variables,
    )
    return json.loads(printed)["tokens"], load_file(logits)["logits"]


def preset(model: str) -> dict:
    """Returns the config of a synthetic model."""
    name = model.removeprefix("synthetic:")
    return json.loads((ROOT / f"host/checkpoint/src/presets/{name}.json").read_text())
