"""Emits the guest in JavaScript, over the bindings of componentize-qjs."""

import json
from pathlib import Path

from emitter import Emitter, camel, lower_camel


class JavaScript(Emitter):
    """Emits `app.js`."""

    language = "javascript"

    def files(self):
        called = (step.function for case in self.cases for step in case.steps if step.function)
        interfaces = sorted({function.interface for function in called} | {"description", "report"})
        version = "@0.2.0"
        lines = [f'import * as {one} from "llem:experiment/{one}{version}";' for one in interfaces]
        lines.append((Path(__file__).parent / "support.js").read_text())
        bodies = self.case_bodies()
        for index, body in enumerate(bodies):
            lines += [f"function case{index}(out) {{", *body, "}"]
        lines += [f"const CASES = [{', '.join(f'case{index}' for index in range(len(bodies)))}];", ""]
        return {"app.js": "\n".join(lines)}

    def call(self, case, step):
        function = step.function
        arguments = ", ".join(self.arguments(step))
        if function.kind == "method":
            call = f"{step.raw['on']}.{lower_camel(function.name)}({arguments})"
        elif function.kind == "free":
            call = f"{function.interface}.{lower_camel(function.name)}({arguments})"
        elif function.kind == "constructor":
            call = f"new {function.interface}.{camel(function.resource)}({arguments})"
        else:
            call = f"{function.interface}.{camel(function.resource)}.{lower_camel(function.name)}({arguments})"
        prefix, kind = json.dumps(self.prefix(case, step)), json.dumps(self.descriptor(function.result))
        keeps = "true" if "let" in step.raw else "false"
        text = f"answer(out, {prefix}, {kind}, () => {call}, {step.get('times', 1)}, {keeps})"
        if "let" not in step.raw:
            return [text + ";"]
        for key in step.get("at", ()):
            if isinstance(key, int):
                text += f"[{key}]"
            elif key != "some":
                text += f".{lower_camel(key)}"
        return [f"const {step.raw['let']} = {text};"]

    def drop(self, name, kind):
        return [f"{name}[Symbol.dispose]();"] if self.package.is_resource(kind) else []

    def variable(self, kind, name):
        return name

    def record(self, definition, fields):
        parts = ", ".join(f"{lower_camel(name)}: {self.value(kind, value)}" for name, kind, value in fields)
        return f"{{ {parts} }}"

    def enum(self, definition, value):
        return json.dumps(value)

    def variant(self, definition, case, kind, value):
        inner = f", val: {self.value(kind, value)}" if kind else ""
        return f"{{ tag: {json.dumps(case)}{inner} }}"

    def string(self, value):
        if isinstance(value, dict):
            return f"{json.dumps(value['repeat'][0])}.repeat({value['repeat'][1]})"
        return json.dumps(value)

    def list(self, item, value):
        items = f"[{', '.join(self.value(item, one) for one in value)}]"
        return f"new Uint8Array({items})" if item.kind == "u8" else items

    def option(self, item, value):
        return "null" if value is None else self.value(item, value)

    def tuple(self, *arguments):
        *items, value = arguments
        return f"[{', '.join(self.value(kind, one) for kind, one in zip(items, value))}]"

    def bool(self, value):
        return "true" if value else "false"

    def whole(self, value):
        return str(value)

    u8 = u32 = u64 = s64 = whole

    def f64(self, value):
        names = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
        return names[value] if isinstance(value, str) else repr(value)

    f32 = f64
