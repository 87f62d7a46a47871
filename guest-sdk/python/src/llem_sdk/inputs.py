"""Parameters and datasets: what the user gives to the experiment on the command line."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from . import _host
from ._host import call
from .about import Value, value_from_host
from .error import Error, ErrorCode

T = TypeVar("T", str, int, float, bool)

Number = TypeVar("Number", int, float)

_KINDS = {str: "text", int: "a whole number", float: "a finite number", bool: "true or false"}


def seed() -> int:
    """Returns the run's seed (`--seed`)."""
    number: int = _host.inputs.seed()
    return number


@overload
def parameter(name: str) -> Value: ...
@overload
def parameter(name: str, kind: type[T]) -> T: ...
def parameter(name: str, kind: type[Any] | None = None) -> Any:
    """Returns the value of a declared parameter, of the type `kind` if it is given.

        rounds = parameter("rounds", int)

    Fails with `NOT_FOUND` if `about` did not declare the parameter, and with `INVALID_ARGUMENT` if the value is not of
    this type. A whole number is also a `float`.
    """
    value = value_from_host(call(_host.inputs.parameter, name))
    if kind is None:
        return value
    converted = _of_kind(value, kind)
    if converted is None:
        raise Error.invalid_argument(f"parameter '{name}' is {value!r}, which is not {_KINDS[kind]}")
    return converted


def parameter_within(name: str, kind: type[Number], minimum: Number, maximum: Number | None = None) -> Number:
    """Returns the value of a declared parameter that is a number from `minimum` to `maximum`, both included.

        batch_size = parameter_within("batch-size", int, 1)

    `None` means that there is no maximum. Fails like `parameter`, and with `INVALID_ARGUMENT` if the number is out of
    the range.
    """
    return within(name, parameter(name, kind), minimum, maximum)


def within(name: str, value: Number, minimum: Number, maximum: Number | None) -> Number:
    """Returns the value if it is from `minimum` to `maximum`. Otherwise fails with a sentence that names the range."""
    if value >= minimum and (maximum is None or value <= maximum):
        return value
    wanted = f"{minimum} or more" if maximum is None else f"a number from {minimum} to {maximum}"
    raise Error.invalid_argument(f"{name} is {value}: set it to {wanted} with -p {name}=NUMBER")


def sizes(name: str) -> list[int]:
    """Returns the value of a text parameter that holds whole numbers above 0, separated by commas.

    Fails with `INVALID_ARGUMENT` if a part is anything else.
    """
    numbers = []
    for part in parameter(name, str).split(","):
        number = _parsed(part, int)
        if number is None or number <= 0:
            raise Error.invalid_argument(f"{name}: '{part}' is no whole number above 0")
        numbers.append(number)
    return numbers


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a dataset.

    >>> row = Row(0, {"zip": "007"})
    >>> row.get("zip", str), row.get("zip", int)
    ('007', 7)
    """

    index: int
    """The zero-based position among the rows."""
    fields: dict[str, Value]
    """The names and values of the fields, in the order of the file."""

    def get(self, name: str, kind: type[T]) -> T:
        """Returns a field as a Python type.

        Cells of CSV files are text and are parsed here: `007` is 7 as a number and stays `007` as a `str`. A null, a
        list or an object in a JSON file is its JSON text here, so prompts should be read with `texts_if_granted`. Fails
        with `INVALID_ARGUMENT` if the row has no such field or if its value does not fit.
        """
        if name not in self.fields:
            known = ", ".join(self.fields)
            raise Error.invalid_argument(f"row {self.index} has no field '{name}'; it has {known}")
        value = self.fields[name]
        converted = _parsed(value, kind) if isinstance(value, str) else _of_kind(value, kind)
        if converted is None:
            shown = f'"{value}"' if isinstance(value, str) else str(value)
            raise Error.invalid_argument(f"row {self.index}: field '{name}' is {shown}, which is not {_KINDS[kind]}")
        return converted


class Dataset:
    """A dataset that the user granted with `--dataset name=file`. It is an iterator over its rows."""

    def __init__(self, name: str) -> None:
        """Opens a granted dataset. Fails with `NOT_GRANTED` if no `--dataset` names it."""
        self._dataset: Any = call(_host.inputs.Dataset.open, name)

    def __iter__(self) -> Iterator[Row]:
        return self

    def __next__(self) -> Row:
        row = call(self._dataset.next)
        if row is None:
            raise StopIteration
        return _row(row)

    def next_rows(self, most: int) -> list[Row]:
        """Returns at most `most` of the next rows. The list is empty at the end."""
        return [_row(row) for row in call(self._dataset.next_rows, most)]

    def length(self) -> int:
        """Returns the total number of rows. A file format that does not store it is read once to count them."""
        rows: int = call(self._dataset.length)
        return rows

    def rewind(self) -> None:
        """Goes back to the first row."""
        call(self._dataset.rewind)


def _row(host: Any) -> Row:
    return Row(host.index, {name: value_from_host(value) for name, value in host.fields})


def rows(name: str) -> Dataset:
    """Opens a dataset and returns its rows. Fails with `NOT_GRANTED` if no `--dataset` names it."""
    return Dataset(name)


def rows_if_granted(name: str) -> Dataset | None:
    """Opens a dataset and returns its rows, or `None` if it was not granted. Fails if a file cannot be read."""
    try:
        return Dataset(name)
    except Error as error:
        if error.code == ErrorCode.NOT_GRANTED:
            return None
        raise


def texts_if_granted(dataset: str, column_parameter: str) -> Iterator[str] | None:
    """Opens a column of a dataset and returns its texts, or `None` if the dataset was not granted.

    `column_parameter` is the name of the text parameter that names the column (`-p prompt-column=question`). In a
    ShareGPT file the column `prompt` is the first turn of each conversation that has at least two turns.

    Use this for prompts. Unlike `Row.get`, which returns other JSON values as text, the iterator fails at the first
    cell that is null, a list, an object, a number or empty, and names its position.
    """
    if rows_if_granted(dataset) is None:
        return None
    column = parameter(column_parameter, str)
    try:
        texts = Dataset(f"{dataset}#{column}")
    except Error as error:
        if error.code == ErrorCode.NOT_FOUND:
            raise Error.invalid_argument(f"{error.message}: choose one with -p {column_parameter}=NAME") from None
        raise
    return (row.get(column, str) for row in texts)


def _of_kind(value: Value, kind: type[T]) -> T | None:
    """Converts a value. Returns `None` if it is of another kind."""
    # Python counts true and false among the whole numbers.
    if isinstance(value, bool) and kind is not bool:
        return None
    if kind is float and isinstance(value, int):
        return kind(value)
    return value if isinstance(value, kind) else None


def _parsed(text: str, kind: type[T]) -> T | None:
    """Parses a dataset cell that is text. Returns `None` if the text is not of this type."""
    if kind is str:
        return kind(text)
    word = text.strip()
    if kind is bool:
        return kind(word.lower() == "true") if word.lower() in ("true", "false") else None
    # Python's own spelling of numbers also has underscores: 1_000.
    if "_" in word:
        return None
    try:
        number = kind(word)
    except ValueError:
        return None
    return number if math.isfinite(float(number)) else None
