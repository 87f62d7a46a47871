import math
import struct

from componentize_py_types import Err, Ok
from wit_world import exports
from wit_world.imports import description, report


class Stopped(Exception):
    """A case cannot go on, because a result that it keeps is an error."""


def quoted(text):
    return '"' + "".join(f"\\u{ord(c):04x}" if c in '"\\' or ord(c) < 32 else c for c in text) + '"'


def camel(name):
    return "".join(word.capitalize() for word in name.split("-"))


def written(kind, value):
    """Writes a value by the description of its type."""
    if kind is None or value is None:
        return "null"
    name, items = (kind, ()) if isinstance(kind, str) else (kind[0], kind[1:])
    if name == "string":
        return quoted(value)
    if name == "bool":
        return "true" if value else "false"
    if name in ("u8", "u32"):
        return str(value)
    if name in ("u64", "s64"):
        return f'"{value}"'
    if name in ("f32", "f64"):
        return f'"{name}:{bits(name, value)}"'
    if name == "list":
        return f"[{','.join(written(items[0], one) for one in value)}]"
    if name == "tuple":
        return f"[{','.join(written(item, one) for item, one in zip(items, value))}]"
    if name == "option":
        return written(items[0], value)
    if name == "result":
        if isinstance(value, Err):
            return f'{{"error":{written(items[1], value.value)}}}'
        return f'{{"ok":{written(items[0], value.value)}}}'
    if name == "record":
        fields = (f'"{one}":{written(part, getattr(value, one.replace("-", "_")))}' for one, part in items[0])
        return f"{{{','.join(fields)}}}"
    if name == "variant":
        case = type(value).__name__.split("_")[1]
        name, part = next(pair for pair in items[0] if camel(pair[0]) == case)
        return f'{{"{name}":{written(part, value.value)}}}' if part else f'"{name}"'
    if name == "enum":
        return f'"{value.name.lower().replace("_", "-")}"'
    return f'"<{items[0]}>"'


def bits(name, value):
    if math.isnan(value):
        return "nan"
    return struct.pack(">f" if name == "f32" else ">d", value).hex()


def answer(out, prefix, kind, call, times=1, keeps=False):
    """Makes a call, writes its answer and returns the result. Ends the case if the result is kept and is an error."""
    is_result = isinstance(kind, list) and kind[0] == "result"
    value = None
    for _ in range(times):
        try:
            value = call()
            answer = Ok(value) if is_result else value
        except Err as error:
            answer = error
    out.append(f"{prefix}{written(kind, answer)}}}\n")
    if keeps and isinstance(answer, Err):
        raise Stopped
    return value


class Script(exports.Script):
    def describe(self):
        about = description.About("conformance", "0.1.0", "Calls every function of the contract.")
        Parameter = description.Parameter
        about.add_parameter(Parameter("whole", "a whole number", types.Value_Integer(-3)))
        about.add_parameter(Parameter("number", "a number", types.Value_Number(0.1)))
        about.add_parameter(Parameter("flag", "true or false", types.Value_Boolean(True)))
        about.add_parameter(Parameter("text", "a text", types.Value_Text("h\u00e9llo \U0001f980")))
        about.add_dataset(description.DatasetInput("rows", "the rows that are read", False))
        return about

    def run(self):
        out = []
        for case in CASES:
            try:
                case(out)
            except Stopped:
                pass
        report.write_artifact("answers.jsonl", "".join(out).encode())
