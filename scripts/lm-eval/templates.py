"""The fields of a document, and the part of Jinja that lm-evaluation-harness' tasks mostly use.

A template is the name of a field, or text with `{{...}}` in it. Inside the braces stand a path (`question`,
`choices.text`, `turns[0].content`) or the position of a value in a list (`choices.label.index(answerKey)`), each with
`.strip()`, `|trim`, `|lower` or `|upper` behind it. Anything else is refused: prepare a column instead.
"""

from __future__ import annotations

import ast
import contextlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from llem_sdk import Error

Document = Mapping[str, Any]

_EXPRESSION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_PATH = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[\d+\]|\['[^']*'\]|\[\"[^\"]*\"\])*"
_INDEX = re.compile(rf"({_PATH})\.index\(({_PATH})\)")
_STEP = re.compile(r"\.?([A-Za-z_]\w*)|\[(\d+)\]|\['([^']*)'\]|\[\"([^\"]*)\"\]")
_FILTERS: dict[str, Callable[[str], str]] = {
    ".strip()": str.strip,
    "|trim": str.strip,
    "|lower": str.lower,
    "|upper": str.upper,
}


def unescape(text: str) -> str:
    r"""Replaces `\n`, `\t` and `\\`, as a double-quoted text of YAML does."""
    return re.sub(r"\\([nt\\])", lambda match: {"n": "\n", "t": "\t", "\\": "\\"}[match[1]], text)


def render(template: str, document: Document) -> Any:
    """Returns a field if the template is its name, and the value if the template is one expression.

    Otherwise fills the template in and returns the text.
    """
    if template in document:
        return document[template]
    if "{%" in template or "{#" in template:
        raise Error.invalid_argument(f"'{template}': statements of Jinja are not read; prepare a column of the dataset")
    if (single := _EXPRESSION.fullmatch(template)) and "}}" not in single[1]:
        return _value(single[1].strip(), document)
    return _EXPRESSION.sub(lambda match: str(_value(match[1].strip(), document)), template)


def as_list(value: Any) -> list[Any] | None:
    """Returns a list, also one that is written as JSON or in Python. Returns `None` if the value is anything else."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            with contextlib.suppress(ValueError, SyntaxError):
                value = ast.literal_eval(value.strip())
    return value if isinstance(value, list) else None


def _value(expression: str, document: Document) -> Any:
    functions: list[Callable[[str], str]] = []
    while suffix := next((one for one in _FILTERS if expression.endswith(one)), None):
        functions.append(_FILTERS[suffix])
        expression = expression[: -len(suffix)].rstrip()
    if index := _INDEX.fullmatch(expression):
        values, wanted = as_list(_at(index[1], document)), _at(index[2], document)
        if values is None or wanted not in values:
            raise Error.invalid_argument(f"'{wanted}' is not in '{index[1]}', which is {values}")
        value: Any = values.index(wanted)
    elif re.fullmatch(_PATH, expression):
        value = _at(expression, document)
    else:
        raise Error.invalid_argument(f"'{{{{{expression}}}}}' is no field: prepare a column of the dataset for it")
    for function in reversed(functions):
        value = function(str(value))
    return value


def _at(path: str, document: Document) -> Any:
    value: Any = document
    for name, index, *quoted in _STEP.findall(path):
        # The host hands lists and objects of a JSON file over as their text.
        value = _parsed(value) if isinstance(value, str) else value
        try:
            value = value[int(index)] if index else value[name or next(filter(None, quoted), "")]
        except (KeyError, IndexError, TypeError):
            known = ", ".join(document)
            raise Error.invalid_argument(f"the document has no '{path}'; it has {known}") from None
    return value


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
