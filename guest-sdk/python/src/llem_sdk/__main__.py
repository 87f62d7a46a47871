"""Prints the folder of the contract that the package brings: `componentize-py -d "$(python -m llem_sdk)" ...`."""

from __future__ import annotations

from pathlib import Path

print(Path(__file__).with_name("wit"))
