"""What the emitters of all languages share: the walk over cases and over typed values.

A generated guest runs the cases in order. For each call it adds a line to the artifact `answers.jsonl`:

    {"case":NAME,"step":NUMBER,"answer":ANSWER}

The answer is canonical JSON without spaces, so that equal answers are equal bytes: `null` for no result and for `none`, a
number up to 32 bits as a number, `u64` and `s64` as decimal text, a float as `f64:` or `f32:` and its bits in hexadecimal
digits (any NaN is `f64:nan`), a text with `"`, `\\` and control characters escaped as `\\u00xx`, a list or tuple as an
array, a record as an object in the order of its fields, an enum or a case without a value as its name, another case as
`{NAME:VALUE}`, a result as `{"ok":VALUE}` or `{"error":VALUE}`, and a resource as `<name>`.
"""

import json

from wit import Type


def camel(name):
    """Returns a kebab-case name in UpperCamelCase."""
    return "".join(word[:1].upper() + word[1:] for word in name.split("-"))


def lower_camel(name):
    """Returns a kebab-case name in lowerCamelCase."""
    name = camel(name)
    return name[:1].lower() + name[1:]


def snake(name):
    """Returns a kebab-case name in snake_case."""
    return name.replace("-", "_")


class Emitter:
    """Emits the guest of one language. Subclasses spell values and statements."""

    language = ""

    def __init__(self, package, cases):
        self.package, self.cases = package, cases
        self.variables = {}

    def files(self):
        """Returns the texts of the guest's source files by their names."""
        raise NotImplementedError

    def case_bodies(self):
        """Returns the statements of each case, as lists of lines."""
        return [self.case_body(case) for case in self.cases]

    def case_body(self, case):
        self.variables, lines = {}, []
        for step in case.steps:
            if self.language in step.get("except", ()):
                continue
            if "drop" in step.raw:
                name = step.raw["drop"]
                lines += self.drop(name, self.variables.pop(name))
            else:
                lines += self.call(case, step)
                for moved in self.moved(step):
                    self.variables.pop(moved)
            if "let" in step.raw:
                self.variables[step.raw["let"]] = step.bound
        for name, kind in reversed(self.variables.items()):
            if self.package.has_resource(kind):
                lines += self.drop(name, kind)
        return lines

    def moved(self, step):
        """Yields the variables whose resources a call takes over."""
        for (_, kind), value in zip(step.function.parameters, step.get("with", ())):
            if self.package.has_resource(kind):
                yield from ({v[1:] for v in ([value] if isinstance(value, str) else value or ())})

    def prefix(self, case, step):
        """Returns the beginning of an answer's line."""
        name = json.dumps(case.name, ensure_ascii=False)
        return f'{{"case":{name},"step":{step.number},"answer":'

    def arguments(self, step):
        """Returns the spelled arguments of a call."""
        pairs = zip(step.function.parameters, step.get("with", ()))
        return [self.argument(self.package.resolve(kind), value) for (_, kind), value in pairs]

    def argument(self, kind, value):
        """Spells a value in the place of a parameter."""
        return self.value(kind, value)

    def value(self, kind, value):
        """Spells a value of a type."""
        kind = self.package.resolve(kind)
        if kind.kind == "option":
            return self.option(self.package.resolve(kind.items[0]), value)
        if isinstance(value, str) and value.startswith("$"):
            return self.variable(kind, value[1:])
        if isinstance(value, dict) and "sum" in value:
            return " + ".join(self.value(kind, item) for item in value["sum"])
        if kind.kind == "named":
            definition = self.package.definition(kind)
            if definition.kind == "record":
                fields = [(name, part, value[name]) for name, part in definition.fields]
                return self.record(definition, fields)
            if definition.kind == "enum":
                return self.enum(definition, value)
            case, inner = next(iter(value.items())) if isinstance(value, dict) else (value, None)
            return self.variant(definition, case, dict(definition.fields)[case], inner)
        return getattr(self, kind.kind)(*kind.items, value)

    def is_bytes(self, kind):
        """Returns whether a type is `list<u8>`."""
        return kind.kind == "list" and kind.items[0] == Type("u8")

    def descriptor(self, kind):
        """Describes a type as JSON, for languages whose guest writes values by a description of their type."""
        if kind is None:
            return None
        kind = self.package.resolve(kind)
        if kind.kind != "named":
            return [kind.kind, *map(self.descriptor, kind.items)] if kind.items else kind.kind
        definition = self.package.definition(kind)
        if definition.kind in ("resource", "enum"):
            return [definition.kind, definition.name]
        fields = [[name, self.descriptor(part)] for name, part in definition.fields]
        return [definition.kind, fields]
