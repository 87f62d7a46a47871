"""Packs what the machine with the GPU needs besides the repository: the program, and the tests of its kernels."""
import json
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
ARCHIVE = ROOT / "gpu-check/llem.tar.xz"
LARGEST = 40e6
COMMANDS = {
    "llem": ["cargo", "build", "--release"],
    "kernels": ["cargo", "test", "--release", "-p", "llem-compute", "--test", "kernels", "--no-run"],
}


def build() -> None:
    """Compiles both programs and packs them without symbols."""
    # Files of an older build in this folder would be carried over, too.
    shutil.rmtree(ARCHIVE.parent, ignore_errors=True)
    ARCHIVE.parent.mkdir()
    with tempfile.TemporaryDirectory() as work, tarfile.open(ARCHIVE, "w:xz") as archive:
        for name, command in COMMANDS.items():
            stripped = pathlib.Path(work) / name
            subprocess.run(["strip", "-o", stripped, executable(name, command)], check=True)
            archive.add(stripped, name)
    size = ARCHIVE.stat().st_size
    print(f"{ARCHIVE.relative_to(ROOT)}: {size / 1e6:.1f} MB")
    if size > LARGEST:
        sys.exit(f"gpu-check: more than {LARGEST / 1e6:.0f} MB")


def executable(name: str, command: list[str]) -> str:
    """Returns the path at which cargo left the executable of this name."""
    ran = subprocess.run([*command, "--message-format=json-render-diagnostics"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if ran.returncode != 0:
        sys.exit(f"gpu-check: {' '.join(command)} ended with {ran.returncode}")
    built = [message for message in map(json.loads, ran.stdout.splitlines()) if message["reason"] == "compiler-artifact"]
    return next(artifact["executable"] for artifact in built if artifact["target"]["name"] == name and artifact["executable"])


def unpack(folder: pathlib.Path) -> None:
    """Unpacks the programs into a folder."""
    if not ARCHIVE.exists():
        sys.exit(f"gpu-check: no {ARCHIVE}: run `scripts/tools/gpu-check build` on a machine with Rust, and carry gpu-check/ over")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
