"""Emits the guest in Rust, over the bindings of wit-bindgen."""

import json

from emitter import Emitter, camel, snake
from wit import Type

SCALARS = ("bool", "u8", "u32", "u64", "s64", "f32", "f64")


class Rust(Emitter):
    """Emits `calls.rs`, which `tests/conformance/rust/src/lib.rs` includes."""

    language = "rust"

    def files(self):
        bodies = self.case_bodies()
        lines = [*self.implementations()]
        for index, body in enumerate(bodies):
            lines += [f"fn case_{index}(out: &mut String) -> Option<()> {{", *body, "Some(())", "}"]
        lines += ["fn cases(out: &mut String) {"]
        lines += [f"let _ = case_{index}(out);" for index in range(len(bodies))]
        return {"calls.rs": "\n".join([*lines, "}", ""])}

    def implementations(self):
        """Yields `Json` for each named type of the imported interfaces."""
        for definition in self.package.types.values():
            if definition.kind == "alias" or definition.interface in ("warmup-policy",):
                continue
            path = self.path(definition)
            if definition.kind == "resource":
                body = f'out.push_str("\\"<{definition.name}>\\"");'
            elif definition.kind == "record":
                parts = [
                    f'out.push_str({self.quoted(("," if at else "{") + json.dumps(name) + ":")});self.{snake(name)}.json(out);'
                    for at, (name, _) in enumerate(definition.fields)
                ]
                body = "".join(parts) + "out.push('}');"
            else:
                arms = []
                for name, part in definition.fields:
                    quoted = json.dumps(name)
                    if part is None:
                        arms.append(f"{path}::{camel(name)} => out.push_str({self.quoted(quoted)}),")
                    else:
                        opening = self.quoted("{" + quoted + ":")
                        arms.append(
                            f"{path}::{camel(name)}(value) => {{ out.push_str({opening});value.json(out);out.push('}}'); }}"
                        )
                body = f"match self {{ {''.join(arms)} }}"
            yield f"impl Json for {path} {{ fn json(&self, out: &mut String) {{ {body} }} }}"

    def path(self, definition):
        return f"{snake(definition.interface)}::{camel(definition.name)}"

    def quoted(self, text):
        escaped = "".join(f"\\u{{{ord(c):x}}}" if c in '"\\' or ord(c) < 32 else c for c in text)
        return f'"{escaped}"'

    def call(self, case, step):
        function = step.function
        arguments = self.arguments(step)
        if function.kind == "free":
            target = f"{snake(function.interface)}::{snake(function.name)}"
        elif function.kind == "method":
            target = f"{step.raw['on']}.{snake(function.name)}"
        else:
            name = "new" if function.kind == "constructor" else snake(function.name)
            target = f"{snake(function.interface)}::{camel(function.resource)}::{name}"
        call = f"{target}({', '.join(arguments)})"
        lines = [f"for _ in 1..{step.raw['times']} {{ let _ = {call}; }}"] if "times" in step.raw else []
        lines += [f"let answer = {call};", f"line(out, {self.quoted(self.prefix(case, step))}, &answer);"]
        if "let" in step.raw:
            lines.append(f"let {step.raw['let']} = answer{self.access(function.result, step.get('at', ()))};")
        return lines

    def access(self, kind, path):
        """Spells the way from a result to a part of it."""
        kind, text = self.package.resolve(kind), ""
        if kind.kind == "result":
            kind, text = self.package.resolve(kind.items[0]), ".ok()?"
        for key in path:
            if kind.kind == "list":
                text, kind = f"{text}.into_iter().nth({key})?", kind.items[0]
            elif kind.kind == "option":
                text, kind = text + "?", kind.items[0]
            elif kind.kind == "tuple":
                text, kind = f"{text}.{key}", kind.items[key]
            else:
                text, kind = f"{text}.{snake(key)}", dict(self.package.definition(kind).fields)[key]
            kind = self.package.resolve(kind)
        return text

    def drop(self, name, kind):
        return [f"drop({name});"]

    def argument(self, kind, value):
        if kind.kind == "option":
            item = self.package.resolve(kind.items[0])
            is_text = value is not None and item == Type("string")
            return f"Some({self.argument(item, value)})" if is_text else self.option(item, value)
        if isinstance(value, str) and value.startswith("$"):
            kept = value[1:]
            is_owned = kind.kind in SCALARS or self.package.has_resource(kind)
            return kept if is_owned else f"&{kept}"
        if kind.kind == "string":
            text = self.string(value)
            return text.removesuffix(".to_owned()") if text.endswith(".to_owned()") else f"&{text}"
        spelled = self.value(kind, value)
        return f"&{spelled}" if self.has_list(kind) and not self.package.has_resource(kind) else spelled

    def has_list(self, kind):
        """Returns whether wit-bindgen takes a parameter of the type by reference."""
        kind = self.package.resolve(kind)
        if kind.kind == "named":
            return any(part and self.has_list(part) for _, part in self.package.definition(kind).fields)
        return kind.kind in ("list", "string") or any(self.has_list(item) for item in kind.items if kind.kind != "borrow")

    def variable(self, kind, name):
        if kind.kind == "borrow":
            return f"&{name}"
        return name if kind.kind in SCALARS or self.package.has_resource(kind) else f"{name}.clone()"

    def record(self, definition, fields):
        parts = ", ".join(f"{snake(name)}: {self.value(kind, value)}" for name, kind, value in fields)
        return f"{self.path(definition)} {{ {parts} }}"

    def enum(self, definition, value):
        return f"{self.path(definition)}::{camel(value)}"

    def variant(self, definition, case, kind, value):
        inner = f"({self.value(kind, value)})" if kind else ""
        return f"{self.path(definition)}::{camel(case)}{inner}"

    def string(self, value):
        if isinstance(value, dict):
            text, count = value["repeat"]
            return f"{self.quoted(text)}.repeat({count})"
        return f"{self.quoted(value)}.to_owned()"

    def list(self, item, value):
        return f"vec![{', '.join(self.value(item, one) for one in value)}]"

    def option(self, item, value):
        return "None" if value is None else f"Some({self.value(item, value)})"

    def tuple(self, *arguments):
        *items, value = arguments
        return f"({', '.join(self.value(kind, one) for kind, one in zip(items, value))})"

    def bool(self, value):
        return "true" if value else "false"

    def whole(self, value):
        return str(value)

    u8 = u32 = u64 = s64 = whole

    def float(self, kind, value):
        names = {"nan": "NAN", "inf": "INFINITY", "-inf": "NEG_INFINITY"}
        return f"{kind}::{names[value]}" if isinstance(value, str) else repr(float(value)) + f"_{kind}"

    def f32(self, value):
        return self.float("f32", value)

    def f64(self, value):
        return self.float("f64", value)
