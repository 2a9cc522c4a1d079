"""Where text comes from: a source file and the spans inside it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True)
class Given:
    """A value from outside in a text: `said`, such as `batch=8`, made the characters `start` to `end` (exclusive),
    which stand where the file has those from `was_start` to `was_end`."""

    said: str
    start: int
    end: int
    was_start: int
    was_end: int


@dataclass(frozen=True)
class Source:
    """The text of one `.net` file. `name` is what diagnostics show: the path as the user gave it.

    Where values from outside have changed the text, `file` is the source as the user wrote it and `given` has the
    changes, in the order of the text.
    """

    name: str
    text: str = field(repr=False)
    file: Source | None = field(default=None, repr=False)
    given: tuple[Given, ...] = ()

    @cached_property
    def line_starts(self) -> tuple[int, ...]:
        """The offset of the first character of every line."""
        return (0, *(i + 1 for i, char in enumerate(self.text) if char == "\n"))

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset into the text, both counted from 1."""
        line = bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a line, counted from 1, without its end."""
        start = self.line_starts[number - 1]
        end = self.text.find("\n", start)
        return self.text[start : len(self.text) if end < 0 else end].rstrip("\r")

    def offset_in_file(self, offset: int) -> int:
        """Where an offset into this text is in the file, which values from outside have not changed."""
        moved = 0
        for given in self.given:
            if offset < given.end:
                return min(offset - moved, given.was_start)
            moved = given.end - given.was_end
        return offset - moved


@dataclass(frozen=True)
class Span:
    """The characters `start` to `end` (exclusive) of a source."""

    source: Source
    start: int
    end: int

    @property
    def as_written(self) -> Span:
        """The same place for the user's eyes: in the file, or the value that was given from outside in its stead."""
        if self.source.file is None:
            return self
        for given in self.source.given:
            if given.start <= self.start and self.end <= given.end:
                return Span(Source(f"{given.said}, given from outside the file", ""), 0, 0)
        start, end = self.source.offset_in_file(self.start), self.source.offset_in_file(self.end)
        return Span(self.source.file, start, end).as_written

    @property
    def given_beside(self) -> tuple[str, ...]:
        """The values from outside that stand on the line of this place, where the file shows others."""
        number = self.source.position(self.start)[0]
        first = self.source.line_starts[number - 1]
        end = first + len(self.source.line(number))
        return tuple(given.said for given in self.source.given if first <= given.start and given.end <= end)

    @property
    def line(self) -> int:
        """The line of the file with the first character, counted from 1."""
        return self.as_written.source.position(self.as_written.start)[0]

    @property
    def line_text(self) -> str:
        """This line of the file, without its end."""
        return self.as_written.source.line(self.line)

    @property
    def column(self) -> int:
        """The column of the first character in the file, counted from 1."""
        return self.as_written.source.position(self.as_written.start)[1]

    @property
    def text(self) -> str:
        """The characters themselves."""
        return self.source.text[self.start : self.end]

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Edit:
    """The characters from `start` to `end` (exclusive) become `text`, because of what was `said` outside: `batch=8`."""

    start: int
    end: int
    text: str
    said: str


def edited(source: Source, edits: Iterable[Edit]) -> Source:
    """The source with edits that do not overlap; it knows where each of them is."""
    text, given, done = "", [], 0
    for edit in sorted(edits, key=lambda edit: edit.start):
        text += source.text[done : edit.start]
        given.append(Given(edit.said, len(text), len(text) + len(edit.text), edit.start, edit.end))
        text, done = text + edit.text, edit.end
    return Source(source.name, text + source.text[done:], source, tuple(given))
