"""`.net` text to `ast.Program`. The only importer of lark."""

from __future__ import annotations

import gc
import hashlib
import io
import json
import math
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any

from lark import Lark, Token, Tree
from lark import __version__ as lark_version
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark.tree import Meta

from dslc.cache import cache_folder, write_whole
from dslc.language import ast
from dslc.language.diagnostics import LEARNING_RATE, LEARNING_RATE_HELP, Diagnostic, SpecError
from dslc.language.record import record
from dslc.language.shipped import names_like, shipped, spec_file
from dslc.language.source import Source, Span

MAX_BYTES = 1_000_000
MAX_WORDS = 40_000
"""Words, numbers, texts and signs, of which the parser reads about as many in a second."""
MAX_DEPTH = 100
MAX_DIGITS = 18
UNITS = {"k": 10**3, "M": 10**6, "G": 10**9}
"""What the letter before the B of bytes stands for."""
WORD = re.compile(r'#[^\n]*|("(?:\\.|[^"\\\n]++)*"|[\w.]+|->|\n|[^\s\w])')
"""A comment is no word: its group is empty."""


@record
class NotReadable(Diagnostic):
    """The file cannot be opened: it does not exist, is a folder, or may not be read."""

    reason: str
    hint: str = ""
    hints = ("{hint}",)

    @property
    def title(self) -> str:
        """Gives the operating system's reason."""
        return f"cannot read the spec: {self.reason}"


@record
class NotText(Diagnostic):
    """The file is not UTF-8 or contains a zero byte, such as a saved model given in place of its spec."""

    @property
    def title(self) -> str:
        """Says which encoding a spec has."""
        return "this file is not text: a spec is UTF-8"


@record
class TooLarge(Diagnostic):
    """The file is larger than any spec, in megabytes, or in words, numbers and signs."""

    size: str
    most: str

    @property
    def title(self) -> str:
        """Gives both sizes."""
        return f"this file has {self.size}; a spec has at most {self.most}"


@record
class FannFile(Diagnostic):
    """A network saved by the FANN library, whose files end in .net too: the text starts with `FANN_`."""

    @property
    def title(self) -> str:
        """Names both programs, since the file itself is fine."""
        return "this is a network saved by FANN, which uses the ending .net too; dslc reads network specs"


@record
class TooDeep(Diagnostic):
    """Too many brackets or operators inside each other, as in `dense(((( ... 8 ... ))))`."""

    @property
    def title(self) -> str:
        """Gives the limit."""
        return f"more than {MAX_DEPTH} brackets or operators inside each other"


@record
class NumberTooLong(Diagnostic):
    """A number of more digits than fit: `dense(12345678901234567890)`."""

    @property
    def title(self) -> str:
        """Gives the limit."""
        return f"this number is too long; at most {MAX_DIGITS} digits fit"


@record
class NumberTooLarge(Diagnostic):
    """A number that no float64 holds: `adam(1e999)`."""

    message = "this number is too large"


@record
class NestedDeclaration(Diagnostic):
    """A declaration before the `}` of the one above: `net A { ... train { ... }`. `brace` is the open one."""

    what: str
    brace: Span
    message = "{what} is not allowed inside other braces"

    @property
    def notes(self) -> tuple[str, ...]:
        """Names the line of the brace that is still open."""
        return (f"help: the {{ of line {self.brace.line} is still open here; close it before {self.what}",)


@record
class BadCharacter(Diagnostic):
    """A character that starts no word of the language, `flatten;`, or a size that is none, `conv(2, 3x-1)`."""

    character: str

    @property
    def title(self) -> str:
        """Quotes the character, or the size."""
        if len(self.character) > 1:
            return f"'{self.character}' is no size: its parts are whole numbers from 1 on"
        return f"the character {self.character!r} has no meaning here"

    @property
    def notes(self) -> tuple[str, ...]:
        """What to write instead, for characters of other languages and for numbers that are cut off."""
        hints = {
            ";": "help: one statement a line, without a semicolon",
            "'": 'help: text goes in double quotes: "..."',
            '"': "help: this quote is never closed on its line; a \\ in quotes is written twice",
            "|": "help: write -> between two layers",
            "[": "help: lists use round brackets: choice(1, 2, 3)",
            "×": "help: write sizes with the letter x: 28x28x1",
            "→": "help: write -> between two layers",
            "%": "help: write a rate as a number: 0.5",
        }
        if self.character[0].isdigit() or self.character == ".":
            numbers = "a number is written 3, 0.5 or 1e-3, a size 5x5 or 28x28x1, memory 500kB, 50MB or 2GB"
            return (f"help: {numbers}; a name starts with a letter",)
        return (hints.get(self.character, ""),)


@record
class UnexpectedWord(Diagnostic):
    """A word that the grammar does not allow at this place: `conv(8, 3x3) relu`."""

    found: str
    expected: tuple[str, ...]
    hint: str

    @property
    def title(self) -> str:
        """Names what was found, which may be the end of the line."""
        return f"{self.found} is not expected here"

    @property
    def label(self) -> str:
        """What could be here instead, if that is a short list."""
        if not self.expected or len(self.expected) > 6:
            return ""
        return "expected " + " or ".join(self.expected)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was probably meant, if it can be guessed."""
        return (f"help: {self.hint}",) if self.hint else ()


@record
class NeverClosed(Diagnostic):
    """The file ends inside a bracket: `train {` without its `}`."""

    bracket: str

    @property
    def title(self) -> str:
        """Quotes the bracket."""
        return f"this {self.bracket} is never closed"


def read(path: str | Path) -> Source:
    """The file as a source: UTF-8 with or without a byte order mark, with CR LF read as LF. A name such as `lenet5`
    that is no file is the spec of this name that ships with the package, and a run folder the `spec.net` in it.

    Raises:
        SpecError: the path cannot be read, is too large, or is not text.
    """
    nowhere = Span(Source(str(path), ""), 0, 0)
    try:
        path = spec_file(Path(path))
        with (shipped(str(path)) or path).open("rb") as file:
            data = file.read(MAX_BYTES + 1)  # what has no end, such as /dev/zero, would take all memory
            size = max(len(data), os.fstat(file.fileno()).st_size)
    except OSError as error:
        hint = names_like(str(path)) if isinstance(error, FileNotFoundError) else ""
        raise SpecError([NotReadable(nowhere, (error.strerror or str(error)).lower(), hint)]) from None
    except ValueError as error:
        raise SpecError([NotReadable(nowhere, str(error))]) from None
    if size > MAX_BYTES:
        raise SpecError([_too_many_bytes(nowhere, size)])
    return decode(data, str(path))


def decode(data: bytes, name: str) -> Source:
    """The bytes of a file as a source, see `read`. `name` is shown in errors.

    Raises:
        SpecError: the file is too large, or is not text.
    """
    nowhere = Span(Source(name, ""), 0, 0)
    if len(data) > MAX_BYTES:
        raise SpecError([_too_many_bytes(nowhere, len(data))])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SpecError([NotText(nowhere)]) from None
    if "\0" in text:
        raise SpecError([NotText(nowhere)])
    return Source(name, text.replace("\r\n", "\n"))


def parse(source: Source) -> ast.Program:
    """The syntax tree of a source.

    Raises:
        SpecError: with one diagnostic, at the first place where the text stops being a spec.
    """
    if len(source.text) > MAX_BYTES:
        raise SpecError([_too_many_bytes(Span(Source(source.name, ""), 0, 0), len(source.text))])
    if source.text.startswith("FANN_"):
        raise SpecError([FannFile(Span(source, 0, source.text.find("\n")))])
    _check_brackets(source)
    _check_words(source)
    with _nothing_is_garbage():
        try:
            tree = _grammar().parse(source.text)
        except UnexpectedInput as error:
            raise SpecError([_explain(error, source)]) from None
        program: ast.Program = _Builder(source).built(tree)
    return program


@contextmanager
def _nothing_is_garbage() -> Iterator[None]:
    """While a tree grows, the collector would look through all of it again and again, for a third of the time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@cache
def _grammar() -> Lark:
    """The parser. Its tables take a quarter of a second to make, so they are kept in the cache."""
    text = resources.files("dslc.grammar").joinpath("net.lark").read_text("utf-8")
    key = hashlib.sha256(f"{text}\0{lark_version}\0{sys.version}".encode()).hexdigest()[:20]
    kept = cache_folder() / f"grammar-{key}"
    try:
        with kept.open("rb") as file:
            return Lark.load(file)
    except Exception:  # unreadable tables are made again, whatever the reason
        made = Lark(text, parser="lalr", start="program", propagate_positions=True, maybe_placeholders=True)
    tables = io.BytesIO()
    made.save(tables)
    with suppress(OSError):  # a full disk: they are made again
        write_whole(kept, tables.getvalue())
    return made


def _too_many_bytes(span: Span, size: int) -> TooLarge:
    """The error for so many bytes, or for more where there is no telling."""
    found = f"{size / 1e6:.1f} MB" if size > MAX_BYTES + 1 else f"more than {MAX_BYTES / 1e6:.0f} MB"
    return TooLarge(span, found, f"{MAX_BYTES / 1e6:.0f} MB")


def _check_words(source: Source) -> None:
    count = sum(map(bool, WORD.findall(source.text)))
    if count > MAX_WORDS:
        words = (word for word in WORD.finditer(source.text) if word[1])
        span = Span(source, *next(islice(words, MAX_WORDS, None)).span())
        raise SpecError([TooLarge(span, f"{count:,} words, numbers and signs", f"{MAX_WORDS:,}")])


def _check_brackets(source: Source) -> None:
    depth = 0
    for offset, char in _brackets(source):
        depth += 1 if char in "({" else -1
        if depth > MAX_DEPTH:
            raise SpecError([TooDeep(Span(source, offset, offset + 1))])


def _brackets(source: Source, end: int | None = None) -> Iterator[tuple[int, str]]:
    """Every bracket with its offset; those in comments and texts do not count."""
    skipping, escaped = "", False
    for offset, char in enumerate(source.text[:end]):
        if skipping:
            if not escaped and char in (skipping, "\n"):
                skipping = ""
            escaped = char == "\\" and skipping == '"' and not escaped
        elif char in '#"':
            skipping = "\n" if char == "#" else '"'
        elif char in "(){}":
            yield offset, char


def _open_brackets(source: Source, end: int | None = None) -> list[int]:
    """The offsets of the brackets without a partner, the innermost last."""
    open_at: list[int] = []
    for offset, char in _brackets(source, end):
        if char in "({":
            open_at.append(offset)
        elif open_at:
            open_at.pop()
    return open_at


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
OPERATORS = {
    "PLUS",
    "MINUS",
    "STAR",
    "SLASH",
    "FLOOR",
    "COMPARISON",
    "EQUALITY",
    "AND",
    "OR",
    "DOT",
    "CARET",
    "_ELSE",
    "TRAIN_ONLY",
}
STATEMENT = {"NAME", "IN", "INPUT", "OUTPUT", "REPEAT", "WHEN", "NUMBER", "SIZE", "STRING", "LPAR"}
DECLARATION = re.compile(r"[ \t]*(param|block|net|train)\b")
IN_A_TABLE = re.compile(r"\btable\s*\{[^}]*$")
SIZE_REST = re.compile(r"x[0-9]*(x[0-9]+)*")
SIZE_BEFORE = re.compile(r"[0-9]x[0-9]+$")
NO_SIZE = re.compile(r"[0-9.]+x(-?[0-9][\w.]*|\w*)")
"""What begins like a size, where the lexer has found none: `3x-1`, `3x`."""


def _explain(error: UnexpectedInput, source: Source) -> Diagnostic:
    if isinstance(error, UnexpectedCharacters):
        at = error.pos_in_stream or 0
        size = NO_SIZE.match(source.text, at)
        end = size.end() if size else at + 1
        return BadCharacter(Span(source, at, end), source.text[at:end])
    assert isinstance(error, UnexpectedToken)
    token, expected = error.token, set(error.accepts or error.expected)
    if token.type == "$END":
        return _unclosed(source) or UnexpectedWord(_end_of(source), "the end of the file", _readable(expected), "")
    start = token.start_pos or 0
    if nested := _nested(source, start):
        return nested
    span = Span(source, start, max(start + 1, start + len(token.rstrip())))
    if token.type == "_NL":
        span = Span(source, start, start + 1)
        found = "the end of the line"
    else:
        found = f"'{token.strip()}'"
    return UnexpectedWord(span, found, _readable(expected), _hint(token, expected, source.text[:start]))


def _nested(source: Source, start: int) -> Diagnostic | None:
    """The error for a declaration inside braces, which mostly were never closed; None if that is not the case."""
    line_start = source.text.rfind("\n", 0, start) + 1
    found = DECLARATION.match(source.text, line_start, start)
    if found is None or not (open_at := _open_brackets(source, found.start(1))):
        return None
    brace = Span(source, open_at[-1], open_at[-1] + 1)
    return NestedDeclaration(Span(source, found.start(1), found.end(1)), found[1], brace)


def _readable(expected: set[str]) -> tuple[str, ...]:
    if {"NUMBER", "NAME", "SIZE"} <= expected and "INPUT" not in expected:
        return ("a value",)
    shown = expected - OPERATORS - {"_NL"} if len(expected) > 1 else expected
    words: list[str] = []
    if "_NL" in expected and not expected & {"NAME", "PARAM"}:
        words, shown = ["a new line"], shown - {"RBRACE", "LBRACE", "$END"}
    elif {"NAME", "INPUT", "OUTPUT"} <= shown:
        words, shown = ["a statement"], shown - STATEMENT
    elif {"NAME", "IN"} <= shown:
        words, shown = ["a layer"], shown - {"NAME", "IN"}
    return (*words, *sorted(TERMINALS.get(name, f"'{name.lower()}'") for name in shown))


def _hint(token: Token, expected: set[str], before: str) -> str:
    """What was probably meant. `before` is the text up to the token."""
    if token.type == "_ARROW":
        return _arrow_hint(expected)
    if token.type in ("EQUAL", "COLON"):
        return _sign_hint(token, expected, before)
    if token.type in ("NAME", "NUMBER", "SIZE", "STRING"):
        return _word_hint(token, expected, before)
    if token.type == "_NL":
        return _line_end_hint(expected)
    if token.type in ("COMPARISON", "EQUALITY") and "AND" in expected:
        return "write two comparisons: 1 < a and a < 9"
    return _bracket_hint(token, expected)


def _arrow_hint(expected: set[str]) -> str:
    if "RPAR" in expected:
        return "close the bracket before ->"
    if "INPUT" in expected:
        return "a chain needs a layer before its first ->"
    return "" if "NAME" in expected else "a chain goes on lines of its own and starts with a layer or a value"


def _sign_hint(token: Token, expected: set[str], before: str) -> str:
    word = (before.split() or [""])[-1]
    if "NUMBER" in expected and word in LEARNING_RATE:
        return LEARNING_RATE_HELP.removeprefix("help: ")
    if "NUMBER" in expected and "RPAR" not in expected:
        return f"settings of train have no '{token}': batch 64"
    if IN_A_TABLE.search(before):
        return "columns stand one a line or with commas between them, each with a colon: age: number missing=0"
    if token.type == "COLON":
        return "write = here" if "EQUAL" in expected else ""
    if "COLON" in expected:
        return "an input is declared with a colon: input image: 28x28x1"
    return "write -> between two layers; a name goes before its chain: h = ..." if "_ARROW" in expected else ""


def _word_hint(token: Token, expected: set[str], before: str) -> str:
    if SIZE_REST.fullmatch(token) and before.rstrip()[-1:].isdigit():
        return "a size is written without spaces: 28x28x1"
    if token.startswith(".") and SIZE_BEFORE.search(before):
        return "the parts of a size are whole numbers from 1 on"
    if "RPAR" in expected and "COMMA" in expected:
        return "write a comma between two arguments"
    if expected == {"NAME"}:
        return (
            "an input has a name: input image: 28x28x1" if before.endswith("input ") else "a name starts with a letter"
        )
    if token.type == "NAME" and "_ARROW" in expected and "_NL" in expected:
        return "write -> between two layers, or start a new line"
    if token.type == "NAME" and "NAME" not in expected and "PARAM" in expected:
        return "a file consists of param, block, net and train; layers go inside net { ... }"
    return ""


def _line_end_hint(expected: set[str]) -> str:
    if "RPAR" in expected:
        return "close the bracket on this line"
    if expected <= {"NAME", "IN"}:
        return "to continue a chain on the next line, start that line with ->"
    return ""


def _bracket_hint(token: Token, expected: set[str]) -> str:
    if token.type in ("INPUT", "OUTPUT", "REPEAT", "WHEN") and "_NL" in expected:
        return "start a new line"
    if token.type == "FLOOR" and "_ARROW" in expected:
        return "a comment starts with #"
    if token.type == "LBRACE" and expected == {"LPAR"}:
        return "a block without parameters has empty brackets: block NAME() { ... }"
    if token.type == "RBRACE" and "PARAM" in expected:
        return "there is one } too many"
    if token.type == "COMMA" and "_NL" in expected:
        return "one statement a line, without a comma"
    return ""


def _end_of(source: Source) -> Span:
    end = len(source.text.rstrip())
    return Span(source, max(0, end - 1), end)


def _unclosed(source: Source) -> Diagnostic | None:
    """The innermost bracket without a partner."""
    open_at = _open_brackets(source)
    if not open_at:
        return None
    return NeverClosed(Span(source, open_at[-1], open_at[-1] + 1), source.text[open_at[-1]])


# ------------------------------------------------------------------------------------------- tree to ast nodes


class _Builder:
    """One method for each rule of the grammar, which takes what was built of the rule's parts."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def built(self, tree: Tree[Token], depth: int = 0) -> Any:
        """What the tree's rule makes. `1 + 1 + ...` is deep without brackets, and from here on all is recursive."""
        if depth > MAX_DEPTH:
            raise SpecError([TooDeep(self._span(tree.meta))])
        parts = [self.built(part, depth + 1) if isinstance(part, Tree) else part for part in tree.children]
        return getattr(self, tree.data)(tree.meta, parts)

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
        return ast.InputDecl(self._span(meta), str(items[0]), self._token(items[0]), items[1], items[2])

    def columns(self, meta: Meta, items: list[Any]) -> tuple[ast.Column, ...]:
        return tuple(item for item in items if item is not None)

    def column(self, meta: Meta, items: list[Any]) -> ast.Column:
        name, kind, *options = items
        word = _unquoted(name) if name.type == "STRING" else str(name)
        return ast.Column(self._span(meta), word, self._token(name), kind, tuple(options))

    def output(self, meta: Meta, items: list[Any]) -> ast.OutputDecl:
        return ast.OutputDecl(self._span(meta), str(items[0]), self._token(items[0]), items[1], items[2] is not None)

    def assign(self, meta: Meta, items: list[Any]) -> ast.Assign | ast.AssignMany:
        if isinstance(items[0], tuple):
            return ast.AssignMany(self._span(meta), items[0], items[1])
        return ast.Assign(self._span(meta), str(items[0]), self._token(items[0]), items[1])

    def shared(self, meta: Meta, items: list[Any]) -> ast.Shared:
        return ast.Shared(self._span(meta), str(items[0]), self._token(items[0]), items[1])

    def results(self, meta: Meta, items: list[Any]) -> ast.Results:
        return ast.Results(self._span(meta), items[0])

    def names(self, meta: Meta, items: list[Any]) -> tuple[ast.Name, ...]:
        return tuple(ast.Name(self._token(item), str(item)) for item in items)

    def repeat(self, meta: Meta, items: list[Any]) -> ast.Repeat:
        return ast.Repeat(self._span(meta), items[0], items[1])

    def when(self, meta: Meta, items: list[Any]) -> ast.When:
        """`else when` is a branch that holds another `when`."""
        condition, body, *rest = items
        found = next((item for item in rest if isinstance(item, (tuple, ast.When))), ())
        return ast.When(self._span(meta), condition, body, (found,) if isinstance(found, ast.When) else found)

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

    option = argument

    def setting(self, meta: Meta, items: list[Any]) -> ast.Setting:
        key, head, values, slices, then, subject = items
        at, word = self._span(meta), self._token(key)
        return ast.Setting(at, str(key), word, head, values, slices, then or (), subject or ())

    def slices(self, meta: Meta, items: list[Any]) -> ast.Expr:
        """The number after `in`."""
        expr: ast.Expr = items[-1]
        return expr

    def head(self, meta: Meta, items: list[Any]) -> ast.Name:
        """A name, also where the word is `on` or `off`."""
        return ast.Name(items[0].span, items[0].span.text)

    def values(self, meta: Meta, items: list[Any]) -> tuple[ast.Expr, ...]:
        return tuple(items)

    then = subject = values

    def condition(self, meta: Meta, items: list[Any]) -> ast.Condition:
        return ast.Condition(self._span(meta), str(items[0]), str(items[1]), items[2])

    def binary(self, meta: Meta, items: list[Any]) -> ast.Binary:
        return ast.Binary(self._span(meta), str(items[1]), items[0], items[2])

    product = power = compare = both = either = binary

    def negate(self, meta: Meta, items: list[Any]) -> ast.Negate:
        return ast.Negate(self._span(meta), items[-1])

    def deny(self, meta: Meta, items: list[Any]) -> ast.Not:
        return ast.Not(self._span(meta), items[-1])

    def member(self, meta: Meta, items: list[Any]) -> ast.Member:
        name, _, member = items
        return ast.Member(self._span(meta), str(name), self._token(name), str(member))

    def number(self, meta: Meta, items: list[Any]) -> ast.Number:
        token = items[0]
        text, unit = (str(token)[:-2], UNITS[str(token)[-2]]) if token.type == "BYTES" else (str(token), 1)
        if len(text) > MAX_DIGITS and text.isdigit():
            raise SpecError([NumberTooLong(self._span(meta))])
        value = int(text) if text.isdigit() else float(text)
        if not math.isfinite(value):
            raise SpecError([NumberTooLarge(self._span(meta))])
        return ast.Number(self._span(meta), value if unit == 1 else round(value * unit))

    def size(self, meta: Meta, items: list[Any]) -> ast.Size:
        parts = str(items[0]).split("x")
        if any(len(part) > MAX_DIGITS for part in parts):
            raise SpecError([NumberTooLong(self._span(meta))])
        return ast.Size(self._span(meta), tuple(int(part) for part in parts))

    def items(self, meta: Meta, items: list[Any]) -> ast.Items:
        return ast.Items(self._span(meta), tuple(items))

    def text(self, meta: Meta, items: list[Any]) -> ast.Text:
        return ast.Text(self._span(meta), _unquoted(items[0]))

    def name(self, meta: Meta, items: list[Any]) -> ast.Name | ast.Switch:
        word = str(items[0])
        if word in ("on", "off"):
            return ast.Switch(self._span(meta), word == "on")
        return ast.Name(self._span(meta), word)


def _unquoted(token: Token) -> str:
    r"""What stands between quotes, where \" and \\ and \n mean what they do in JSON."""
    return json.loads(token, strict=False)  # type: ignore[no-any-return]
