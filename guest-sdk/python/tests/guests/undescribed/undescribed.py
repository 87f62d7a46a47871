"""Raises in `about`."""

import llem_sdk
from llem_sdk import About


def about() -> About:
    return About("undescribed", "0.1.0", "Raises").integer("count", {"count": 1}["cuont"], "a misspelt name")


def run() -> None:
    """Never called."""


llem_sdk.experiment(about, run)
