"""What every error looks like, and how errors are printed.

An error is a frozen dataclass that derives from `Diagnostic` and is defined next to the check that reports it: its
fields are the facts, its properties put them into words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from types import MappingProxyType
from typing import ClassVar

from dslc.language.codes import code_of
from dslc.language.record import Record, record
from dslc.language.source import Span

MAX_SHOWN_LINE = 160
MAX_SHOWN_ERRORS = 20
LEARNING_RATE = ("lr", "learning_rate")
LEARNING_RATE_HELP = "help: the learning rate is an argument of the optimizer: optimizer adam(lr=0.001)"


@record
class Diagnostic(Record):
    """Something wrong with a spec (or, with severity `note`, worth knowing) and its place.

    A subclass gives `message`, `marker` and `hints` as texts with its fields in braces, or overrides the property where
    that is not enough.
    """

    span: Span

    severity: ClassVar[str] = "error"
    message: ClassVar[str] = ""
    marker: ClassVar[str] = ""
    hints: ClassVar[tuple[str, ...]] = ()

    def _fill(self, text: str) -> str:
        return text.format(**{f.name: getattr(self, f.name) for f in fields(self)})

    @property
    def code(self) -> str:
        """`DSLC012`: what `dslc explain` takes."""
        return code_of(type(self))

    @property
    def title(self) -> str:
        """The first line: what is wrong, in the reader's terms."""
        return self._fill(self.message)

    @property
    def label(self) -> str:
        """A few words next to the underlined place; may be empty."""
        return self._fill(self.marker)

    @property
    def notes(self) -> tuple[str, ...]:
        """Further lines, such as the size formula with its numbers, or `help: ...`. Empty ones are not printed."""
        return tuple(self._fill(hint) for hint in self.hints)


class SpecError(Exception):
    """A spec that cannot be compiled. `diagnostics` holds every error, in the order of the file. params: those with a
    value from outside, and what was said."""

    def __init__(self, diagnostics: Iterable[Diagnostic], params: Mapping[str, str] = MappingProxyType({})) -> None:
        self.diagnostics = tuple(sorted(diagnostics, key=lambda d: (d.span.start, d.span.end)))
        super().__init__(render_all(self.diagnostics, params))


class UsageError(Exception):
    """A call that cannot be carried out for a reason outside the spec; its text is written for users."""


class CallError(UsageError):
    """A call whose arguments make no sense, such as --epochs 0."""


class DataError(ValueError):
    """Data that does not fit the network; the text names what was expected and what was found."""


class ExampleError(DataError):
    """Data of which one example does not fit, by its place `example` in the array that was given. `text` tells of it
    with `{}` where the example is named."""

    def __init__(self, text: str, example: int) -> None:
        super().__init__(text.replace("{}", f"example {example}", 1))
        self.text, self.example = text, int(example)

    def within(self, part: str) -> ExampleError:
        """The same of a part of the data, whose name stands before it."""
        return ExampleError(f"{part}: {self.text}", self.example)

    def at(self, place: str) -> DataError:
        """The same with the example named as its owner finds it."""
        return DataError(self.text.replace("{}", place, 1))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`help: did you mean 'x'?`, or an empty text if no known word is close."""
    close = get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return f"help: did you mean '{close[0]}'?" if close else ""


def one_of(words: Iterable[str]) -> str:
    """The words in alphabetical order, separated by commas."""
    return ", ".join(sorted(words))


def render(diagnostic: Diagnostic, params: Mapping[str, str] = MappingProxyType({})) -> str:
    """The diagnostic as text: title, place, the line with the place underlined, and the notes; a last one says which
    values that the line shows or names are others, given from outside. params: as for `SpecError`."""
    span = diagnostic.span.as_written
    code = f"[{diagnostic.code}]" if diagnostic.code else ""
    head = f"{diagnostic.severity}{code}: {diagnostic.title}\n"
    if not span.source.text:
        return head + f"  --> {span.source.name}\n" + _notes(diagnostic.notes, "")
    line_number, column = span.source.position(span.start)
    line = span.source.line(line_number)
    gutter = " " * len(str(line_number))
    width = max(1, min(span.end - span.start, len(line) - column + 1))
    line, column = _window(line, column)
    label = f" {diagnostic.label}" if diagnostic.label else ""
    pad = "".join("\t" if char == "\t" else " " for char in line[: column - 1]).ljust(column - 1)
    return (
        head
        + f"{gutter} --> {span}\n"
        + f"{gutter}  |\n"
        + f" {line_number} | {line}\n"
        + f"{gutter}  | {pad}{'^' * min(width, max(1, len(line) - column + 1))}{label}\n"
        + _notes((*diagnostic.notes, _from_outside(diagnostic.span, params)), gutter)
    )


def _window(line: str, column: int) -> tuple[str, int]:
    """A very long line is cut to the part around the column."""
    if len(line) <= MAX_SHOWN_LINE:
        return _printable(line), column
    start = max(0, column - 1 - MAX_SHOWN_LINE // 2)
    return _printable(line[start : start + MAX_SHOWN_LINE]), column - start


def _printable(text: str) -> str:
    """With a question mark for each control character, which must not reach the terminal."""
    return "".join(c if c.isprintable() or c == "\t" else "?" for c in text)


def _notes(notes: Iterable[str], gutter: str) -> str:
    return "".join(f"{gutter}  = {note}\n" for note in notes if note)


def _from_outside(span: Span, params: Mapping[str, str]) -> str:
    words = re.findall(r"\w+", span.line_text) if params else []
    said = ", ".join([*span.given_beside, *(params[word] for word in dict.fromkeys(words) if word in params)])
    return f"note: given from outside the file: {said}" if said else ""


def render_all(diagnostics: Sequence[Diagnostic], params: Mapping[str, str] = MappingProxyType({})) -> str:
    """The diagnostics one after the other, separated by empty lines: the first 20, then how many are left out."""
    more = len(diagnostics) - MAX_SHOWN_ERRORS
    rest = f"\n... and {more} more\n" if more > 0 else ""
    return "\n".join(render(d, params) for d in diagnostics[:MAX_SHOWN_ERRORS]) + rest
