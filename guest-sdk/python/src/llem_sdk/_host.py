"""The calls of the host. No other module touches the bindings that componentize-py generates.

Inside a component, the bindings are the package `wit_world`. Under an ordinary Python there are none: the SDK then
imports as usual, so that policies and metrics can be tested, and a call of the host raises `NotImplementedError`.

componentize-py runs all imports when the component is built, and no file is there at run time. The bindings are
therefore imported here at once, never later.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeVar

from .error import Error, ErrorCode

T = TypeVar("T")


class _NoHost:
    """Stands in for an interface of the host where there is none."""

    def __init__(self, interface: str) -> None:
        self._interface = interface

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            # Tools that look at modules ask for these.
            raise AttributeError(name)
        raise NotImplementedError(
            f"{self._interface}.{name} is a call of the llem host, which only a component can make: "
            "run this with `llem exec`, or test it with llem_sdk.testing.run"
        )


class FailedCall(Exception):
    """The exception of a failed call. Stands in for the bindings' own where there is no host."""

    value: Any


def _interface(name: str) -> Any:
    """Returns the bindings of an interface that every component imports."""
    try:
        return import_module(f"wit_world.imports.{name}")
    except ModuleNotFoundError:
        return _NoHost(name)


def _failed_call() -> type[FailedCall]:
    """Returns the exception of a failed call."""
    try:
        err: type[FailedCall] = import_module("componentize_py_types").Err
        return err
    except ModuleNotFoundError:
        return FailedCall


def _warmup_types() -> Any:
    """Returns the types that a warm-up component has besides the imports. Other components have none."""
    try:
        return import_module("wit_world.exports.warmup_policy")
    except ModuleNotFoundError:
        return _NoHost("warmup_policy")


has_bindings = find_spec("wit_world") is not None
"""Whether this is a component, or one that is being built."""

Err = _failed_call()

# The bindings are `Any` because componentize-py makes them for each build.
types = _interface("types")
facts = _interface("facts")
devices = _interface("devices")
meter = _interface("meter")
requests = _interface("requests")
generations = _interface("generations")
batches = _interface("batches")
models = _interface("models")
flops = _interface("flops")
inputs = _interface("inputs")
report = _interface("report")
description = _interface("description")
trials = _interface("trials")
warmup_policy = _warmup_types()


def call(function: Callable[..., T], *arguments: Any) -> T:
    """Calls a function of the host. Raises `Error` if the call fails."""
    try:
        return function(*arguments)
    except Err as failure:
        raise Error(ErrorCode.from_host(failure.value.code), failure.value.message) from None


def failure(error: Error) -> Exception:
    """Returns the exception by which an exported function tells the host that it failed."""
    return Err(types.Error(error.code.to_host(types.ErrorCode), error.message))
