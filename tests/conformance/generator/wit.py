"""Reads the WIT package: its interfaces, types and functions.

It covers what `wit/` uses: interfaces with records, variants, enums, aliases, resources and functions, and `use` within
the package. Anything else ends with an error, so that a new construct is noticed.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

TOKEN = re.compile(r"//[^\n]*|->|%?[a-z][a-z0-9-]*|[{}()<>,;:=.@_/]|\d[\w.]*|\s+")


@dataclass(frozen=True)
class Type:
    """A type: a primitive (`u32`), a constructor (`list`, `option`, `result`, `tuple`, `borrow`) or a `named` one."""

    kind: str
    items: tuple = ()
    interface: str = ""
    name: str = ""


@dataclass
class Definition:
    """A named type of an interface: `record`, `variant`, `enum`, `alias` or `resource`."""

    kind: str
    interface: str
    name: str
    fields: list = field(default_factory=list)
    target: Type | None = None


@dataclass
class Function:
    """A function of an interface: `free`, or a `constructor`, `method` or `static` of a resource."""

    interface: str
    resource: str | None
    kind: str
    name: str
    parameters: list
    result: Type | None

    @property
    def path(self):
        """The name in the table: `interface.function`, `interface.resource.method`, `interface.resource` to construct."""
        parts = [self.interface, self.resource, None if self.kind == "constructor" else self.name]
        return ".".join(part for part in parts if part)


class Package:
    """All interfaces of a folder of WIT files."""

    def __init__(self, folder):
        self.types = {}
        self.functions = {}
        self.uses = {}
        for path in sorted(Path(folder).glob("*.wit")):
            if path.name != "world.wit":
                _File(self, path)

    def resolve(self, kind):
        """Returns a type with its aliases and `use` followed."""
        while kind.kind == "named":
            definition = self.definition(kind)
            if definition.kind != "alias":
                return Type("named", (), definition.interface, definition.name)
            kind = definition.target
        return kind

    def definition(self, kind):
        """Returns the definition of a named type."""
        key = (kind.interface, kind.name)
        while key in self.uses:
            key = self.uses[key]
        return self.types[key]

    def is_resource(self, kind):
        """Returns whether a type is an owned or borrowed resource."""
        kind = self.resolve(kind)
        return kind.kind == "borrow" or kind.kind == "named" and self.definition(kind).kind == "resource"

    def has_resource(self, kind):
        """Returns whether a value of the type holds an owned resource."""
        kind = self.resolve(kind)
        if kind.kind == "named":
            definition = self.definition(kind)
            return definition.kind == "resource" or any(
                part and self.has_resource(part) for _, part in definition.fields
            )
        return kind.kind != "borrow" and any(item and self.has_resource(item) for item in kind.items)


class _File:
    def __init__(self, package, path):
        text = path.read_text()
        self.package, self.path, self.tokens = package, path, []
        position = 0
        while position < len(text):
            found = TOKEN.match(text, position)
            if not found:
                raise SystemExit(f"{path}: not understood: {text[position:position + 40]!r}")
            position = found.end()
            if not found[0].isspace() and not found[0].startswith("//"):
                self.tokens.append(found[0].removeprefix("%"))
        self.at = 0
        while self.at < len(self.tokens):
            self.expect("interface")
            self.interface = self.take()
            self.block(self.item)

    def take(self):
        self.at += 1
        return self.tokens[self.at - 1]

    def expect(self, *words):
        for word in words:
            if (found := self.take()) != word:
                raise SystemExit(f"{self.path}: {word!r} expected, not {found!r}")

    def accepts(self, word):
        is_there = self.tokens[self.at] == word
        self.at += is_there
        return is_there

    def block(self, item, opening="{", closing="}"):
        self.expect(opening)
        items = []
        while not self.accepts(closing):
            items.append(item())
            if opening != "{" or self.tokens[self.at] == ",":
                self.accepts(",")
        return items

    def item(self):
        word = self.take()
        if word == "use":
            source = self.take()
            self.expect(".")
            for name in self.block(self.take):
                self.package.uses[self.interface, name] = (source, name)
            self.expect(";")
        elif word == "type":
            name = self.take()
            self.expect("=")
            self.define("alias", name, target=self.type())
            self.expect(";")
        elif word in ("record", "variant", "enum"):
            name = self.take()
            self.define(word, name, self.block(self.field))
        elif word == "resource":
            name = self.take()
            self.define("resource", name)
            self.block(lambda: self.function(name, self.take()))
        else:
            self.function(None, word)

    def define(self, kind, name, fields=(), target=None):
        definition = Definition(kind, self.interface, name, list(fields), target)
        self.package.types[self.interface, name] = definition

    def field(self):
        name = self.take()
        if self.accepts(":"):
            return name, self.type()
        if self.accepts("("):
            kind = self.type()
            self.expect(")")
            return name, kind
        return name, None

    def function(self, resource, name):
        kind = "method" if resource else "free"
        if name == "constructor":
            parameters, result = self.block(self.field, "(", ")"), Type("named", (), self.interface, resource)
            kind = name
        else:
            self.expect(":")
            if self.accepts("static"):
                kind = "static"
            self.expect("func")
            parameters = self.block(self.field, "(", ")")
            result = self.type() if self.accepts("->") else None
        self.expect(";")
        made = Function(self.interface, resource, kind, name, parameters, result)
        self.package.functions[made.path] = made

    def type(self):
        name = self.take()
        if name == "_":
            return None
        if self.tokens[self.at] == "<":
            return Type(name, tuple(self.block(self.type, "<", ">")))
        if name in ("bool", "string", "u8", "u32", "u64", "s64", "f32", "f64"):
            return Type(name)
        return Type("named", (), self.interface, name)
