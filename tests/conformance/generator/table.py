"""Reads the table of calls, and checks it against the WIT package.

A file of `calls/` is a list of cases: `{"case": NAME, "steps": [STEP, ...]}`. A case may have an `except` for all of its
steps. A step is one of

    {"call": FUNCTION, "with": [ARGUMENT, ...]}   calls a function, a constructor, or a method of the variable that has
                                                  the resource's name, or of "on": VARIABLE
    {"drop": VARIABLE}                            drops a resource

A call is named as `wit.Function.path` has it. It may also have

    "let": VARIABLE        keeps the result (of a `result`, its `ok`; otherwise the case ends here)
    "at": [PART, ...]      keeps this part of it: an index of a list or tuple, a field's name, or "some" of an option
    "times": COUNT         repeats the call, and answers with the last result
    "is": VALUE            what the answer must be; in texts `*` at the end stands for the rest
    "error": CODE          the code of the error that must come
    "between": [LOW, HIGH] the bounds of a number
    "varies": REASON       the answer is another one in each run, so that only its form is compared
    "except": {LANGUAGE: REASON}   languages that cannot make the call

Values are JSON of their WIT type: a record is an object, a tuple an array, a variant `{CASE: VALUE}` or `CASE`, an enum its
case, an option the value or `null`, a float a number or "nan", "inf", "-inf". `"$NAME"` is a variable, `{"sum": [A, B]}` the
sum of two whole numbers, and `{"repeat": [TEXT, COUNT]}` a text repeated.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

from wit import Type

LANGUAGES = ("rust", "python", "javascript", "c")
KEYS = {"call", "on", "with", "let", "at", "times", "drop", "is", "error", "between", "varies", "except"}


@dataclass
class Step:
    """One step of a case: a call, or a drop if `function` is `None`."""

    raw: dict
    number: int
    function: object = None
    bound: Type | None = None  # the type of the kept value

    def get(self, key, default=None):
        return self.raw.get(key, default)


@dataclass
class Case:
    """A named sequence of steps, which shares nothing with other cases."""

    name: str
    steps: list = field(default_factory=list)


def read(folder, package):
    """Returns the cases of all files, with functions and types looked up."""
    cases = []
    for path in sorted(Path(folder).glob("*.json")):
        for raw in json.loads(path.read_text()):
            name = f"{path.stem}: {raw['case']}"
            for step in raw["steps"]:
                step.setdefault("except", raw.get("except", {}))
            case = Case(name, [_step(name, number, step, package) for number, step in enumerate(raw["steps"])])
            _check_variables(case, package)
            cases.append(case)
    names = [case.name for case in cases]
    assert len(names) == len(set(names)), "two cases have one name"
    return cases


def _step(case, number, raw, package):
    where = f"{case}, step {number}"
    assert raw.keys() <= KEYS, f"{where}: unknown keys {raw.keys() - KEYS}"
    assert set(raw.get("except", ())) <= set(LANGUAGES), f"{where}: unknown language"
    step = Step(raw, number)
    if "drop" in raw:
        return step
    assert raw["call"] in package.functions, f"{where}: no function {raw['call']} in the WIT"
    step.function = package.functions[raw["call"]]
    wanted = len(step.function.parameters)
    assert len(raw.get("with", ())) == wanted, f"{where}: {wanted} arguments"
    if step.function.kind == "method":
        raw.setdefault("on", step.function.resource.replace("-", "_"))
    assert ("on" in raw) == (step.function.kind == "method"), f"{where}: `on` is for methods"
    if "let" in raw:
        step.bound = part(succeeded(step.function.result, package), raw.get("at", ()), package)
    return step


def succeeded(kind, package):
    """Returns the type of a successful result."""
    kind = package.resolve(kind)
    return package.resolve(kind.items[0]) if kind.kind == "result" else kind


def part(kind, path, package):
    """Returns the type of a part of a value."""
    for key in path:
        kind = package.resolve(kind)
        if kind.kind == "named":
            kind = dict(package.definition(kind).fields)[key]
        else:
            kind = kind.items[key if kind.kind == "tuple" else 0]
    return package.resolve(kind)


def _check_variables(case, package):
    known = {}
    for step in case.steps:
        used = [step.get("on"), step.get("drop"), *_variables(step.get("with", ()))]
        for name in used:
            assert name is None or name in known, f"{case.name}, step {step.number}: no variable {name}"
        if "let" in step.raw:
            interfaces = {function.interface for function in package.functions.values()}
            assert step.raw["let"] not in interfaces | {"answer"}, f"{case.name}: the name is taken"
            known[step.raw["let"]] = step.bound


def _variables(value):
    if isinstance(value, str) and value.startswith("$"):
        yield value[1:]
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _variables(item)
