"""Tracebacks of the user's code, with the lines of its source.

At run time a component has no files. The source of a module is therefore kept when it is loaded, which is when the
component is built.
"""

from __future__ import annotations

import linecache
import os
import sys
import traceback
from types import TracebackType


class Traceback:
    """The traceback of an exception, as text and as one sentence."""

    def __init__(self, error: BaseException) -> None:
        keep_sources()
        formatted = traceback.TracebackException(
            type(error), error, _without_exports(error.__traceback__), compact=True
        )
        _shorten(formatted)
        self.text = "".join(formatted.format()).rstrip()
        """The whole traceback, as Python prints it, with file names that begin at the project's folder."""
        name = "".join(formatted.format_exception_only()).strip().rsplit("\n", 1)[-1]
        last = _last_of_user(formatted.stack)
        self.summary = name if last is None else f"{name} ({last.filename}, line {last.lineno}, in {last.name})"
        """The exception with the file and line of the user's code that it came from."""


def keep_sources() -> None:
    """Keeps the sources of all loaded modules that did not come with Python, for later tracebacks."""
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if path is None or path in linecache.cache or not _is_project(path):
            continue
        lines = linecache.getlines(path)
        if lines:
            # An entry without a time of change is not looked up in the file system again.
            linecache.cache[path] = (sum(map(len, lines)), None, lines, path)


def _is_project(path: str) -> bool:
    return not path.startswith((sys.prefix + os.sep, sys.base_prefix + os.sep, "/python/", "/bundled/"))


def _shorten(formatted: traceback.TracebackException | None) -> None:
    """Makes file names relative to the folder that they were imported from, in the whole chain of exceptions."""
    seen: set[int] = set()
    while formatted is not None and id(formatted) not in seen:
        seen.add(id(formatted))
        for frame in formatted.stack:
            frame.filename = _relative(frame.filename)
        formatted = formatted.__cause__ or formatted.__context__


def _relative(path: str) -> str:
    folders = [folder for folder in sys.path if folder and path.startswith(folder.rstrip("/") + "/")]
    return path[len(max(folders, key=len).rstrip("/")) + 1 :] if folders else path


def _last_of_user(stack: traceback.StackSummary) -> traceback.FrameSummary | None:
    """Returns the innermost frame of the user's code, or the innermost frame if none is the user's."""
    users = [frame for frame in stack if not frame.filename.startswith(("llem_sdk/", "/", "<"))]
    frames = users or list(stack)
    return frames[-1] if frames else None


def _without_exports(frames: TracebackType | None) -> TracebackType | None:
    """Leaves out the frames of `export.py` above the user's code."""
    first = frames
    while first is not None and first.tb_frame.f_globals.get("__name__") == "llem_sdk.export":
        first = first.tb_next
    return first or frames


def _prepare() -> None:
    """Formats an exception once, because the modules that this needs cannot be loaded at run time."""
    try:
        raise ValueError
    except ValueError as error:
        Traceback(error)


_prepare()
