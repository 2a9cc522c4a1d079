"""`.net` text to `ast.Program`. The only importer of lark."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken, VisitError
from lark.tree import Meta

from dslc import ast
from dslc.diagnostics import Diagnostic, SpecError
from dslc.source import Source, Span

MAX_BYTES = 1_000_000
MAX_DEPTH = 100
MAX_DIGITS = 18


@dataclass(frozen=True)
class NotReadable(Diagnostic):
    reason: str

    @property
    def title(self) -> str:
        return f"cannot read the spec: {self.reason}"


@dataclass(frozen=True)
class NotText(Diagnostic):
    @property
    def title(self) -> str:
        return "this file is not text: a spec is UTF-8"


@dataclass(frozen=True)
class TooLarge(Diagnostic):
    size: int

    @property
    def title(self) -> str:
        return f"this file has {self.size / 1e6:.1f} MB; a spec has at most {MAX_BYTES / 1e6:.0f} MB"


@dataclass(frozen=True)
class FannFile(Diagnostic):
    @property
    def title(self) -> str:
        return "this is a network saved by FANN, which uses the ending .net too; dslc reads network specs"


@dataclass(frozen=True)
class TooDeep(Diagnostic):
    @property
    def title(self) -> str:
        return f"more than {MAX_DEPTH} brackets or operators inside each other"


@dataclass(frozen=True)
class NumberTooLong(Diagnostic):
    @property
    def title(self) -> str:
        return f"this number is too long; at most {MAX_DIGITS} digits fit"


@dataclass(frozen=True)
class BadCharacter(Diagnostic):
    character: str

    @property
    def title(self) -> str:
        return f"the character {self.character!r} has no meaning here"

    @property
    def notes(self) -> tuple[str, ...]:
        hints = {
            ";": "help: one statement a line, without a semicolon",
            "'": 'help: text stands in double quotes: "..."',
            '"': "help: this quote is never closed on its line",
            "|": "help: write -> between two layers",
            "[": "help: lists have round brackets: choice(1, 2, 3)",
            "×": "help: write sizes with the letter x: 28x28x1",
            "→": "help: write -> between two layers",
            "%": "help: write a rate as a number: 0.5",
        }
        if self.character.isdigit() or self.character == ".":
            return ("help: a number is written 3, 0.5 or 1e-3, a size 5x5 or 28x28x1; a name starts with a letter",)
        return (hints.get(self.character, ""),)


@dataclass(frozen=True)
class UnexpectedWord(Diagnostic):
    found: str
    expected: tuple[str, ...]
    hint: str

    @property
    def title(self) -> str:
        return f"{self.found} is not expected here"

    @property
    def label(self) -> str:
        if not self.expected or len(self.expected) > 6:
            return ""
        return "expected " + " or ".join(self.expected)

    @property
    def notes(self) -> tuple[str, ...]:
        return (f"help: {self.hint}",) if self.hint else ()


@dataclass(frozen=True)
class NeverClosed(Diagnostic):
    bracket: str

    @property
    def title(self) -> str:
        return f"this {self.bracket} is never closed"


def read(path: str | Path) -> Source:
    """The file as a source.

    Raises:
        SpecError: the path cannot be read, or is no text.
    """
    nowhere = Span(Source(str(path), ""), 0, 0)
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise SpecError([NotReadable(nowhere, (error.strerror or str(error)).lower())]) from None
    except ValueError as error:
        raise SpecError([NotReadable(nowhere, str(error))]) from None
    if len(data) > MAX_BYTES:
        raise SpecError([TooLarge(nowhere, len(data))])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SpecError([NotText(nowhere)]) from None
    if "\0" in text:
        raise SpecError([NotText(nowhere)])
    return Source(str(path), text.replace("\r\n", "\n"))


def parse(source: Source) -> ast.Program:
    """The program of a source.

    Raises:
        SpecError: with one diagnostic, at the first place where the text stops being a spec.
    """
    if len(source.text) > MAX_BYTES:
        raise SpecError([TooLarge(Span(Source(source.name, ""), 0, 0), len(source.text))])
    if source.text.startswith("FANN_"):
        raise SpecError([FannFile(Span(source, 0, source.text.find("\n")))])
    _check_depth(source)
    try:
        tree = _grammar().parse(source.text)
        return _Builder(source).transform(tree)  # type: ignore[no-any-return]
    except VisitError as error:
        raise error.orig_exc from None
    except UnexpectedInput as error:
        raise SpecError([_explain(error, source)]) from None


@cache
def _grammar() -> Lark:
    text = resources.files("dslc.grammar").joinpath("net.lark").read_text("utf-8")
    return Lark(text, parser="lalr", start="program", propagate_positions=True, maybe_placeholders=True)


def _check_depth(source: Source) -> None:
    depth = 0
    for offset, char in enumerate(source.text):
        if char in "({":
            depth += 1
        elif char in ")}":
            depth -= 1
        if depth > MAX_DEPTH:
            raise SpecError([TooDeep(Span(source, offset, offset + 1))])


# ---------------------------------------------------------------------------------------------- syntax errors

TERMINALS = {
    "_NL": "a new line",
    "_ARROW": "'->'",
    "NAME": "a name",
    "NUMBER": "a number",
    "SIZE": "a size",
    "STRING": "a text",
    "$END": "the end of the file",
    "LPAR": "'('",
    "RPAR": "')'",
    "LBRACE": "'{'",
    "RBRACE": "'}'",
    "EQUAL": "'='",
    "COLON": "':'",
    "COMMA": "','",
}
OPERATORS = {"PLUS", "MINUS", "STAR", "SLASH", "FLOOR"}


def _explain(error: UnexpectedInput, source: Source) -> Diagnostic:
    if isinstance(error, UnexpectedCharacters):
        at = error.pos_in_stream or 0
        return BadCharacter(Span(source, at, at + 1), source.text[at])
    assert isinstance(error, UnexpectedToken)
    token, expected = error.token, set(error.accepts or error.expected)
    if token.type == "$END":
        return _unclosed(source) or UnexpectedWord(
            _end_of(source), "the end of the file", _readable(expected), ""
        )
    start = token.start_pos or 0
    span = Span(source, start, max(start + 1, start + len(token.rstrip())))
    if token.type == "_NL":
        span = Span(source, start, start + 1)
        found = "the end of the line"
    else:
        found = f"'{token.strip()}'"
    return UnexpectedWord(span, found, _readable(expected), _hint(token, expected))


def _readable(expected: set[str]) -> tuple[str, ...]:
    if {"NUMBER", "NAME", "SIZE"} <= expected:
        return ("a value",)
    shown = expected - OPERATORS - {"_NL"} if len(expected) > 1 else expected
    return tuple(sorted(TERMINALS.get(name, f"'{name.lower()}'") for name in shown))


def _hint(token: Token, expected: set[str]) -> str:
    if token.type in ("NAME", "INPUT", "OUTPUT", "REPEAT") and "_ARROW" in expected and "_NL" in expected:
        return "write -> between two layers, or start a new line"
    if token.type == "EQUAL" and "COLON" in expected:
        return "an input is declared with a colon: input image: 28x28x1"
    if token.type == "COLON" and "EQUAL" in expected:
        return "write = here"
    if token.type == "EQUAL" and "NUMBER" in expected:
        return "settings of train have no '=': batch 64"
    if token.type == "_ARROW":
        return "a chain needs a layer before its first ->"
    if token.type == "COMMA" and "_NL" in expected:
        return "one statement a line, without a comma"
    if token.type == "_NL" and "RPAR" in expected:
        return "close the bracket on this line"
    if token.type == "NAME" and not expected & {"NAME"} and "PARAM" in expected:
        return "a file consists of param, block, net and train; layers stand inside net { ... }"
    return ""


def _end_of(source: Source) -> Span:
    end = len(source.text.rstrip())
    return Span(source, max(0, end - 1), end)


def _unclosed(source: Source) -> Diagnostic | None:
    """The innermost bracket without a partner; comments and texts do not count."""
    open_at: list[int] = []
    skipping = ""
    for offset, char in enumerate(source.text):
        if skipping:
            skipping = "" if char in (skipping, "\n") else skipping
        elif char in '#"':
            skipping = "\n" if char == "#" else '"'
        elif char in "({":
            open_at.append(offset)
        elif char in ")}" and open_at:
            open_at.pop()
    if not open_at:
        return None
    return NeverClosed(Span(source, open_at[-1], open_at[-1] + 1), source.text[open_at[-1]])


# ------------------------------------------------------------------------------------------- tree to ast nodes


@v_args(meta=True)
class _Builder(Transformer[Token, Any]):
    """A method a rule of the grammar."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.source = source

    def _span(self, meta: Meta) -> Span:
        if meta.empty:
            return Span(self.source, 0, 0)
        return Span(self.source, meta.start_pos, meta.end_pos)

    def _token(self, token: Token) -> Span:
        start = token.start_pos or 0
        return Span(self.source, start, start + len(token))

    def program(self, meta: Meta, items: list[Any]) -> ast.Program:
        return ast.Program(self.source, tuple(items))

    def param(self, meta: Meta, items: list[Any]) -> ast.ParamDecl:
        name, value, range_ = items
        return ast.ParamDecl(self._span(meta), str(name), self._token(name), value, range_)

    def block(self, meta: Meta, items: list[Any]) -> ast.BlockDecl:
        name, *formals, body = items
        given = tuple(f for f in formals if f is not None)
        return ast.BlockDecl(self._span(meta), str(name), self._token(name), given, body)

    def formal(self, meta: Meta, items: list[Any]) -> ast.Formal:
        return ast.Formal(self._token(items[0]), str(items[0]), items[1])

    def net(self, meta: Meta, items: list[Any]) -> ast.NetDecl:
        return ast.NetDecl(self._span(meta), str(items[0]), self._token(items[0]), items[1])

    def train(self, meta: Meta, items: list[Any]) -> ast.TrainDecl:
        return ast.TrainDecl(self._span(meta), tuple(items))

    def body(self, meta: Meta, items: list[Any]) -> tuple[ast.Statement, ...]:
        return tuple(items)

    def input(self, meta: Meta, items: list[Any]) -> ast.InputDecl:
        return ast.InputDecl(self._span(meta), str(items[0]), self._token(items[0]), items[1])

    def output(self, meta: Meta, items: list[Any]) -> ast.OutputDecl:
        return ast.OutputDecl(self._span(meta), str(items[0]), self._token(items[0]), items[1])

    def assign(self, meta: Meta, items: list[Any]) -> ast.Assign:
        return ast.Assign(self._span(meta), str(items[0]), self._token(items[0]), items[1])

    def repeat(self, meta: Meta, items: list[Any]) -> ast.Repeat:
        return ast.Repeat(self._span(meta), items[0], items[1])

    def chain(self, meta: Meta, items: list[Any]) -> ast.Chain:
        return ast.Chain(self._span(meta), tuple(items))

    def bare(self, meta: Meta, items: list[Any]) -> ast.Call:
        span = self._span(meta)
        return ast.Call(span, str(items[0]), span, None)

    def call(self, meta: Meta, items: list[Any]) -> ast.Call:
        name, *arguments = items
        given = tuple(a for a in arguments if a is not None)
        return ast.Call(self._span(meta), str(name), self._token(name), given)

    def argument(self, meta: Meta, items: list[Any]) -> ast.Argument:
        name = None if items[0] is None else str(items[0])
        return ast.Argument(self._span(meta), name, items[1])

    def setting(self, meta: Meta, items: list[Any]) -> ast.Setting:
        key, head, values, then, subject = items
        return ast.Setting(
            self._span(meta), str(key), self._token(key), head, values, then or (), subject or ()
        )

    def head(self, meta: Meta, items: list[Any]) -> ast.Name:
        return items[0]  # type: ignore[no-any-return]

    def values(self, meta: Meta, items: list[Any]) -> tuple[ast.Expr, ...]:
        return tuple(items)

    then = subject = values

    def condition(self, meta: Meta, items: list[Any]) -> ast.Condition:
        return ast.Condition(self._span(meta), str(items[0]), str(items[1]), items[2])

    def binary(self, meta: Meta, items: list[Any]) -> ast.Binary:
        node = ast.Binary(self._span(meta), str(items[1]), items[0], items[2])
        if _depth(node) > MAX_DEPTH:
            raise SpecError([TooDeep(node.span)])
        return node

    product = binary

    def negate(self, meta: Meta, items: list[Any]) -> ast.Negate:
        node = ast.Negate(self._span(meta), items[0])
        if _depth(node) > MAX_DEPTH:
            raise SpecError([TooDeep(node.span)])
        return node

    def number(self, meta: Meta, items: list[Any]) -> ast.Number:
        text = str(items[0])
        if len(text) > MAX_DIGITS and text.isdigit():
            raise SpecError([NumberTooLong(self._span(meta))])
        return ast.Number(self._span(meta), int(text) if text.isdigit() else float(text))

    def size(self, meta: Meta, items: list[Any]) -> ast.Size:
        parts = str(items[0]).split("x")
        if any(len(part) > MAX_DIGITS for part in parts):
            raise SpecError([NumberTooLong(self._span(meta))])
        return ast.Size(self._span(meta), tuple(int(part) for part in parts))

    def text(self, meta: Meta, items: list[Any]) -> ast.Text:
        return ast.Text(self._span(meta), str(items[0])[1:-1])

    def name(self, meta: Meta, items: list[Any]) -> ast.Name | ast.Switch:
        word = str(items[0])
        if word in ("on", "off"):
            return ast.Switch(self._span(meta), word == "on")
        return ast.Name(self._span(meta), word)


def _depth(expr: ast.Expr) -> int:
    """How many operators stand inside each other, counted no further than the limit."""
    depth, level = 0, [expr]
    while level and depth <= MAX_DEPTH + 1:
        level = [e for node in level for e in _operands(node)]
        depth += 1
    return depth


def _operands(expr: ast.Expr) -> tuple[ast.Expr, ...]:
    if isinstance(expr, ast.Binary):
        return (expr.left, expr.right)
    return (expr.operand,) if isinstance(expr, ast.Negate) else ()
