"""Fails in the way that the parameter `failure` names."""

import sys

from llem_sdk import Error, ErrorCode, LoadOptions, Model, parameter


def run() -> None:
    failures[parameter("failure", str)]()


def exception() -> None:
    try:
        int("eleven")
    except ValueError as error:
        raise LookupError("no such number") from error


def error() -> None:
    raise Error(ErrorCode.UNSUPPORTED, "this is not supported here")


def host_error() -> None:
    Model.load(LoadOptions(model="another"))


def system_exit() -> None:
    sys.exit(3)


def interrupt() -> None:
    raise KeyboardInterrupt


def recursion() -> None:
    recursion()


def memory() -> None:
    print(len([None] * sys.maxsize))


def more_memory_than_granted() -> None:
    held = []
    while True:
        held.append(bytearray(64 << 20))


def syntax() -> None:
    compile("def f(:", "given.py", "exec")


failures = {
    "exception": exception,
    "error": error,
    "host_error": host_error,
    "system_exit": system_exit,
    "interrupt": interrupt,
    "recursion": recursion,
    "memory": memory,
    "more_memory_than_granted": more_memory_than_granted,
    "syntax": syntax,
}
