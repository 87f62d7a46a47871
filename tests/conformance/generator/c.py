"""Emits the guest in C, over the bindings of wit-bindgen.

The types of arguments and results are those of the generated header, which must be in the folder before.
"""

import re

from emitter import Emitter
from emitter import snake as snake_case

SCALARS = {"bool": "bool", "u8": "uint8_t", "u32": "uint32_t", "u64": "uint64_t", "s64": "int64_t"}
SCALARS |= {"f32": "float", "f64": "double"}
KEYWORDS = {"default", "register", "switch", "union", "enum", "struct", "double", "float", "int"}


def snake(name):
    """Returns a name as wit-bindgen spells it: in snake_case, with `_` after a keyword."""
    return snake_case(name) + "_" * (name in KEYWORDS)


class Header:
    """The structs, aliases and functions that a header declares."""

    def __init__(self, text):
        text = re.sub(r"//[^\n]*", "", text)
        self.structs, self.aliases, self.functions, self.constants = {}, {}, {}, {}
        for body, name in re.findall(r"typedef struct (?:\w+ )?\{((?:[^{}]|\{[^{}]*\})*)\} (\w+);", text):
            body = re.sub(r"union \{([^{}]*)\} val;", lambda union: union[1], body)
            self.structs[name] = {
                field: kind.strip() for kind, field in re.findall(r"([\w ]+[ *]+?)\s*(\w+);", body)
            }
        self.aliases = dict((b, a) for a, b in re.findall(r"typedef (\w+) (\w+);", text))
        self.constants = dict(re.findall(r"#define (\w+) (\d+)", text))
        for result, name, parameters in re.findall(r"extern (\w+) (\w+)\(([^)]*)\);", text):
            kinds = [re.sub(r"\s*\w+$", "", one.strip()) for one in parameters.split(",")]
            self.functions[name] = (result, [] if parameters == "void" else kinds)

    def fields(self, kind):
        """Returns the types of a struct's fields by their names."""
        while kind in self.aliases:
            kind = self.aliases[kind]
        return self.structs[kind]

    def element(self, kind):
        """Returns the type of a list's elements."""
        return self.fields(kind)["ptr"].rstrip("* ")


class C(Emitter):
    """Emits `calls.c`, which `tests/conformance/c/guest.c` includes."""

    language = "c"

    def __init__(self, package, cases, folder):
        super().__init__(package, cases)
        self.header = Header((folder / "experiment.h").read_text())
        self.writers, self.writer_names = [], {}

    def files(self):
        bodies = self.case_bodies()
        lines = list(self.writers)
        for index, body in enumerate(bodies):
            lines += [f"static void case_{index}(void) {{", *body, "}"]
        lines += ["static void cases(void) {", *(f"case_{index}();" for index in range(len(bodies))), "}", ""]
        return {"calls.c": "\n".join(lines)}

    # Writers of answers.

    def put(self, text):
        return f"put({quoted(text)}, {len(text.encode())});"

    def writer(self, kind, spelled):
        """Returns the name of the function that writes a value of a type, of which `spelled` is the type in C."""
        kind = self.package.resolve(kind)
        if kind.kind in SCALARS or kind.kind == "string":
            return f"write_{kind.kind}"
        key = (kind, spelled)
        if key not in self.writer_names:
            self.writer_names[key] = name = f"write_{len(self.writer_names)}"
            body = self.writer_body(kind, spelled)
            self.writers.append(f"static void {name}({spelled} *v) {{ {body} }}")
        return self.writer_names[key]

    def write(self, kind, spelled, value):
        """Spells the statement that writes a value."""
        if kind is None:
            return self.put("null")
        return f"{self.writer(kind, spelled)}(&{value});"

    def writer_body(self, kind, spelled):
        if kind.kind == "named":
            definition = self.package.definition(kind)
            return getattr(self, f"write_{definition.kind}")(definition, spelled)
        fields = self.header.fields(spelled)
        if kind.kind == "list":
            each = self.write(kind.items[0], self.header.element(spelled), "v->ptr[i]")
            return f"put(\"[\", 1); for (size_t i = 0; i < v->len; i++) {{ if (i) put(\",\", 1); {each} }} put(\"]\", 1);"
        if kind.kind == "option":
            return f"if (v->is_some) {{ {self.write(kind.items[0], fields['val'], 'v->val')} }} else {self.put('null')}"
        if kind.kind == "tuple":
            parts = [self.write(item, fields[f"f{at}"], f"v->f{at}") for at, item in enumerate(kind.items)]
            return self.put("[") + self.put(",").join(parts) + self.put("]")
        good, bad = (
            self.put(f'{{"{word}":') + self.write(item, fields.get(field), f"v->val.{field}") + self.put("}")
            for word, field, item in zip(("ok", "error"), ("ok", "err"), kind.items)
        )
        return f"if (v->is_err) {{ {bad} }} else {{ {good} }}"

    def write_resource(self, definition, spelled):
        return self.put(f'"<{definition.name}>"')

    def write_record(self, definition, spelled):
        fields, parts = self.header.fields(spelled), []
        for at, (name, kind) in enumerate(definition.fields):
            opening = ("," if at else "{") + f'"{name}":'
            parts.append(self.put(opening) + self.write(kind, fields[snake(name)], f"v->{snake(name)}"))
        return "".join(parts) + self.put("}")

    def write_enum(self, definition, spelled):
        return self.switch("*v", [self.put(f'"{name}"') for name, _ in definition.fields])

    def write_variant(self, definition, spelled):
        fields, parts = self.header.fields(spelled), []
        for name, kind in definition.fields:
            if kind is None:
                parts.append(self.put(f'"{name}"'))
            else:
                inner = self.write(kind, fields[snake(name)], f"v->val.{snake(name)}")
                parts.append(self.put(f'{{"{name}":') + inner + self.put("}"))
        return self.switch("v->tag", parts)

    def switch(self, value, parts):
        cases = (f"case {at}: {part} break;" for at, part in enumerate(parts))
        return f"switch ({value}) {{ {' '.join(cases)} }}"

    # Calls.

    def symbol(self, function):
        base = f"llem_experiment_{snake(function.interface)}_"
        if function.kind == "free":
            return base + snake(function.name)
        if function.kind == "constructor":
            return f"{base}constructor_{snake(function.resource)}"
        return f"{base}{function.kind}_{snake(function.resource)}_{snake(function.name)}"

    def borrowed(self, kind, name):
        interface, resource = kind.interface, snake(kind.name)
        return f"llem_experiment_{snake(interface)}_borrow_{resource}({name})"

    def call(self, case, step):
        function, number = step.function, step.number
        returned, kinds = self.header.functions[self.symbol(function)]
        arguments, lines = [], []
        if function.kind == "method":
            arguments.append(self.borrowed(self.variables[step.raw["on"]], step.raw["on"]))
        for at, (_, kind) in enumerate(function.parameters):
            value, spelled = step.raw["with"][at], kinds[len(arguments)]
            name = f"a{number}_{at}"
            declared, argument = self.passed(self.package.resolve(kind), spelled, value, name)
            lines += declared
            arguments.append(argument)
        outputs = kinds[len(arguments):]
        names = [f"r{number}", f"e{number}"] if len(outputs) == 2 else [f"r{number}"]
        result = self.package.resolve(function.result) if function.result else None
        if len(outputs) == 1 and result.kind == "result" and result.items[0] is None:
            names = [f"e{number}"]
        for output, name in zip(outputs, names):
            lines.append(f"{output.rstrip('* ')} {name};")
        call = f"{self.symbol(function)}({', '.join(arguments + [f'&{name}' for name in names[:len(outputs)]])})"
        if "times" in step.raw:
            lines.append(f"for (int i = 1; i < {step.raw['times']}; i++) {call};")
        lines += self.answered(call, returned, outputs, names, result, number, self.prefix(case, step))
        if "let" in step.raw:
            lines += self.kept(result, number, step)
        return lines

    def answered(self, call, returned, outputs, names, result, number, prefix):
        """Makes the call and writes the line of its answer."""
        beginning, end = self.put(prefix), 'put("}\\n", 2);'
        if result is None:
            return [f"{call};", beginning + self.put("null") + end]
        if result.kind in ("result", "option"):
            lines = [f"bool ok{number} = {call};", beginning]
            spelled = [output.rstrip("* ") for output in outputs]
            kind = result.items[0]
            good = self.write(kind, spelled[0] if kind else None, names[0])
            if result.kind == "option":
                return [*lines, f"if (ok{number}) {{ {good} }} else {self.put('null')}", end]
            bad = self.put('{"error":') + self.write(result.items[1], spelled[-1], names[-1]) + self.put("}")
            good = self.put('{"ok":') + good + self.put("}")
            return [*lines, f"if (ok{number}) {{ {good} }} else {{ {bad} }}", end]
        if outputs:
            return [f"{call};", beginning + self.write(result, outputs[0].rstrip("* "), names[0]) + end]
        return [f"{returned} r{number} = {call};", beginning + self.write(result, returned, f"r{number}") + end]

    def kept(self, result, number, step):
        """Keeps a part of the result in a variable."""
        path, text, lines = list(step.get("at", ())), f"r{number}", []
        if result.kind in ("result", "option"):
            lines.append(f"if (!ok{number}) return;")
            path = path[1:] if result.kind == "option" else path
            result = self.package.resolve(result.items[0])
        for key in path:
            if result.kind == "list":
                lines.append(f"if ({text}.len <= {key}) return;")
                text, result = f"{text}.ptr[{key}]", result.items[0]
            elif result.kind == "option":
                lines.append(f"if (!{text}.is_some) return;")
                text, result = f"{text}.val", result.items[0]
            else:
                text, result = f"{text}.{snake(key)}", dict(self.package.definition(result).fields)[key]
            result = self.package.resolve(result)
        return [*lines, f"__auto_type {step.raw['let']} = {text};"]

    def drop(self, name, kind):
        if not self.package.is_resource(kind):
            return []
        return [f"llem_experiment_{snake(kind.interface)}_{snake(kind.name)}_drop_own({name});"]

    def passed(self, kind, spelled, value, name):
        """Returns the declarations that an argument needs, and the argument."""
        if not spelled.endswith("*"):
            return [], self.value_of(kind, spelled, value)
        if kind.kind == "option":
            if value is None:
                return [], "NULL"
            kind = self.package.resolve(kind.items[0])
        spelled = spelled.rstrip("* ")
        return [f"{spelled} {name} = {self.value_of(kind, spelled, value)};"], f"&{name}"

    def value_of(self, kind, spelled, value):
        """Spells a value as an initialiser of its type in C."""
        kind = self.package.resolve(kind)
        if isinstance(value, str) and value.startswith("$"):
            name = value[1:]
            return self.borrowed(self.variables[name], name) if kind.kind == "borrow" else name
        if kind.kind in SCALARS:
            return self.scalar(kind.kind, value)
        if kind.kind == "string":
            text, count = value["repeat"] if isinstance(value, dict) else (value, 1)
            return f"text({quoted(text)}, {len(text.encode())}, {count})"
        if kind.kind == "option":
            if value is None:
                return "{ .is_some = false }"
            inner = self.value_of(kind.items[0], self.header.fields(spelled)["val"], value)
            return f"{{ .is_some = true, .val = {inner} }}"
        if kind.kind == "list":
            if not value:
                return "{ NULL, 0 }"
            element = self.header.element(spelled)
            items = ", ".join(self.value_of(kind.items[0], element, one) for one in value)
            return f"{{ ({element}[]){{ {items} }}, {len(value)} }}"
        fields = {} if self.is_enum(kind) else self.header.fields(spelled)
        if kind.kind == "tuple":
            parts = (self.value_of(item, fields[f"f{at}"], value[at]) for at, item in enumerate(kind.items))
            return f"{{ {', '.join(parts)} }}"
        definition = self.package.definition(kind)
        if definition.kind == "record":
            parts = (
                f".{snake(name)} = {self.value_of(part, fields[snake(name)], value[name])}"
                for name, part in definition.fields
            )
            return f"{{ {', '.join(parts)} }}"
        case, inner = next(iter(value.items())) if isinstance(value, dict) else (value, None)
        at = [name for name, _ in definition.fields].index(case)
        part = dict(definition.fields)[case]
        if definition.kind == "enum":
            return str(at)
        union = f", .val.{snake(case)} = {self.value_of(part, fields[snake(case)], inner)}" if part else ""
        return f"{{ .tag = {at}{union} }}"

    def is_enum(self, kind):
        return kind.kind == "named" and self.package.definition(kind).kind == "enum"

    def scalar(self, kind, value):
        if isinstance(value, dict):
            return " + ".join(
                one[1:] if isinstance(one, str) else self.scalar(kind, one) for one in value["sum"]
            )
        if kind == "bool":
            return "true" if value else "false"
        if kind in ("f32", "f64"):
            names = {"nan": "__builtin_nan(\"\")", "inf": "__builtin_inf()", "-inf": "-__builtin_inf()"}
            number = names[value] if isinstance(value, str) else repr(float(value))
            return f"(float){number}" if kind == "f32" else number
        if kind == "s64":
            return f"(-{-value - 1}ll - 1)" if value < 0 else f"{value}ll"
        return f"{value}ull" if kind == "u64" else f"{value}u"


def quoted(text):
    """Spells the UTF-8 bytes of a text as a string literal."""
    plain = (chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}" for byte in text.encode())
    return f'"{"".join(plain)}"'
