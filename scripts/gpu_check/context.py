"""What a check is given."""
import dataclasses
import pathlib
import typing


@dataclasses.dataclass(frozen=True)
class Context:
    """Where a check may write, and how it tells what it finds."""

    # Goes away after the check.
    work: pathlib.Path
    # Stays: the results lie there.
    folder: pathlib.Path
    # `note(name=value)` keeps what has been found so far, even if the check is ended later.
    note: typing.Callable[..., None]
