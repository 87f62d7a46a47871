"""The context of a check."""
import dataclasses
import pathlib
import typing


@dataclasses.dataclass(frozen=True)
class Context:
    """Where a check may write, and how it reports results."""

    # Temporary folder of the check.
    work: pathlib.Path
    # Folder of the results, which is kept.
    folder: pathlib.Path
    # `note(name=value)` saves a result even if the check is killed later.
    note: typing.Callable[..., None]
