"""The error of all calls: a code for programs and a sentence for people."""

from __future__ import annotations

from enum import Enum
from typing import Any


class ErrorCode(Enum):
    """The kind of failure of a call, for programs."""

    INVALID_ARGUMENT = "invalid-argument"
    """An argument is out of its range or contradicts another one. The message names it."""
    NOT_FOUND = "not-found"
    """No model, file, dataset, parameter or device has this name."""
    NOT_GRANTED = "not-granted"
    """The resource exists, but the user did not grant it. The message names the flag that grants it."""
    UNSUPPORTED = "unsupported"
    """This build, device or model does not support the call."""
    LIMIT_REACHED = "limit-reached"
    """The call would exceed a limit of the run: memory, output size or number of resources."""
    FAILED = "failed"
    """The work was started and failed."""

    @classmethod
    def from_host(cls, code: Any) -> ErrorCode:
        """Converts a code of the bindings."""
        return cls[code.name]

    def to_host(self, codes: Any) -> Any:
        """Converts the code to the enum of the bindings."""
        return codes[self.name]


class Error(Exception):
    """The reason why a call failed.

    If it leaves `run`, its message goes to the run record, and its code decides the exit code of `llem exec`: 2 for
    `INVALID_ARGUMENT`, `NOT_FOUND`, `NOT_GRANTED` and `UNSUPPORTED`, 1 for the others.

    >>> error = Error.failed("the batch is empty")
    >>> error.code, str(error)
    (<ErrorCode.FAILED: 'failed'>, 'the batch is empty')
    """

    code: ErrorCode
    """The kind of failure, for programs."""
    message: str
    """One sentence for people."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @classmethod
    def invalid_argument(cls, message: str) -> Error:
        """Creates an error of the code `INVALID_ARGUMENT`: a parameter or an input is out of range or malformed."""
        return cls(ErrorCode.INVALID_ARGUMENT, message)

    @classmethod
    def failed(cls, message: str) -> Error:
        """Creates an error of the code `FAILED`."""
        return cls(ErrorCode.FAILED, message)
