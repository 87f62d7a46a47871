"""The doc comments of the host and the SDK, for the tools that judge them."""
import pathlib
import re
from collections.abc import Iterator
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"((?:^[ \t]*///.*\n)+)(?:^[ \t]*#\[.*\n)*^[ \t]*(.*)$", re.MULTILINE)


class DocComment(NamedTuple):
    """A `///` comment, on one line, and the first line of its item."""

    file: str
    line: int
    item: str
    text: str
    # What stands before the comment in its file.
    before: str


def doc_comments() -> Iterator[DocComment]:
    """Yields every doc comment, file by file in the order of their paths."""
    for path in sorted([*ROOT.glob("host/*/src/**/*.rs"), *ROOT.glob("guest-sdk/*/src/**/*.rs")]):
        source = path.read_text()
        for match in BLOCK.finditer(source):
            text = " ".join(line.strip().removeprefix("///").strip() for line in match[1].strip().splitlines())
            before = source[: match.start()]
            yield DocComment(str(path.relative_to(ROOT)), before.count("\n") + 1, match[2].strip(), text, before)
