"""What is known of a text that is being written."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.checker.program import check
from dslc.ir import Network
from dslc.language import ast
from dslc.language.diagnostics import Diagnostic, SpecError
from dslc.language.format import TOKEN
from dslc.language.parse import parse
from dslc.language.source import Source


@dataclass(frozen=True)
class Analysis:
    """A text as far as it is right: `program` is None if it does not parse, `network` if it has errors."""

    source: Source
    program: ast.Program | None
    network: Network | None
    diagnostics: tuple[Diagnostic, ...]


def analyze(text: str, name: str = "spec.net") -> Analysis:
    """Parses and checks a text, whose lines end in LF."""
    source = Source(name, text)
    try:
        program = parse(source)
    except SpecError as error:
        return Analysis(source, None, None, error.diagnostics)
    try:
        network = check(program)
    except SpecError as error:
        return Analysis(source, program, None, error.diagnostics)
    return Analysis(source, program, network, network.notes)


@dataclass(frozen=True)
class Context:
    """Where a place is, as far as the words before it say. `owner`: `net`, `block` or `train`, empty outside; `line`:
    the words before it on its line; `calls`: the names before the brackets that are open, the innermost last."""

    owner: str
    line: tuple[str, ...]
    calls: tuple[str, ...]

    @property
    def key(self) -> str:
        """The setting of `train` whose value is here; empty at the start of a line and elsewhere."""
        return self.line[0] if self.owner == "train" and self.line else ""


def context_at(text: str, offset: int) -> Context:
    """The context of the word at an offset, which itself does not count. The text need not parse."""
    owners: list[str] = []
    calls: list[str] = []
    line: list[str] = []
    for match in TOKEN.finditer(text, 0, offset):
        token = match[0]
        if match.lastgroup == "newline":
            line, calls = [], []
        elif match.lastgroup is None and not (match.end() == offset and token.isidentifier()):
            if token == "{":
                owners.append(line[0] if line else "")
                line = []
            elif token == "}":
                owners, line = owners[:-1], []
            else:
                if token == "(":
                    calls.append(line[-1] if line else "")
                elif token == ")":
                    calls = calls[:-1]
                line.append(token)
    return Context(owners[0] if owners else "", tuple(line), tuple(calls))


def word_at(text: str, offset: int) -> tuple[int, int] | None:
    """Start and end of the word around an offset, or just before it; None in blanks and comments."""
    start = text.rfind("\n", 0, offset) + 1
    for match in TOKEN.finditer(text, start):
        if match.start() > offset:
            return None
        if match.start() <= offset <= match.end() and match[0].isidentifier():
            return match.start(), match.end()
    return None
