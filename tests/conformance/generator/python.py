"""Emits the guest in Python, over the bindings of componentize-py."""

from pathlib import Path

from emitter import Emitter, camel, snake


class Python(Emitter):
    """Emits `app.py`."""

    language = "python"

    def files(self):
        support = (Path(__file__).parent / "support.py").read_text()
        interfaces = sorted({*self.interfaces(), "types"})
        lines = [f"from wit_world.imports import {', '.join(interfaces)}", "", support]
        bodies = self.case_bodies()
        for index, body in enumerate(bodies):
            lines += ["", f"def case_{index}(out):", *(f"    {line}" for line in body)]
        lines += ["", f"CASES = [{', '.join(f'case_{index}' for index in range(len(bodies)))}]", ""]
        return {"app.py": "\n".join(lines)}

    def interfaces(self):
        return {step.function.interface for case in self.cases for step in case.steps if step.function}

    def call(self, case, step):
        function = step.function
        if function.kind == "method":
            target = f"{step.raw['on']}.{snake(function.name)}"
        elif function.kind == "free":
            target = f"{snake(function.interface)}.{snake(function.name)}"
        else:
            name = "" if function.kind == "constructor" else f".{snake(function.name)}"
            target = f"{snake(function.interface)}.{camel(function.resource)}{name}"
        call = f"lambda: {target}({', '.join(self.arguments(step))})"
        prefix, kind = self.prefix(case, step), self.descriptor(function.result)
        options = f", times={step.raw['times']}" if "times" in step.raw else ""
        options += ", keeps=True" if "let" in step.raw else ""
        text = f"answer(out, {prefix!r}, {kind!r}, {call}{options})"
        if "let" not in step.raw:
            return [text]
        for key in step.get("at", ()):
            if isinstance(key, int):
                text += f"[{key}]"
            elif key != "some":
                text += f".{snake(key)}"
        return [f"{step.raw['let']} = {text}"]

    def drop(self, name, kind):
        return [f"{name}.__exit__(None, None, None)"] if self.package.is_resource(kind) else []

    def variable(self, kind, name):
        return name

    def record(self, definition, fields):
        parts = ", ".join(f"{snake(name)}={self.value(kind, value)}" for name, kind, value in fields)
        return f"{snake(definition.interface)}.{camel(definition.name)}({parts})"

    def enum(self, definition, value):
        return f"{snake(definition.interface)}.{camel(definition.name)}.{snake(value).upper()}"

    def variant(self, definition, case, kind, value):
        inner = self.value(kind, value) if kind else ""
        return f"{snake(definition.interface)}.{camel(definition.name)}_{camel(case)}({inner})"

    def string(self, value):
        if isinstance(value, dict):
            return f"{value['repeat'][0]!r} * {value['repeat'][1]}"
        return repr(value)

    def list(self, item, value):
        if item.kind == "u8":
            return repr(bytes(value))
        return f"[{', '.join(self.value(item, one) for one in value)}]"

    def option(self, item, value):
        return "None" if value is None else self.value(item, value)

    def tuple(self, *arguments):
        *items, value = arguments
        return f"({', '.join(self.value(kind, one) for kind, one in zip(items, value))})"

    def plain(self, value):
        return repr(value)

    bool = u8 = u32 = u64 = s64 = plain

    def f64(self, value):
        return f"float({value!r})" if isinstance(value, str) else repr(float(value))

    f32 = f64
