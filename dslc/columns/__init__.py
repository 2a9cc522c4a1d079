"""Columns of a table that an input declares: `age: number missing=median`. A kind of column is the file of its name.

A column says how many numbers of the input come from it; how its cells become them is `runtime/data/encoding.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from dslc.language.source import Span

MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?")
"""Cells that stand for a value that is not there."""
WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]*))\.0+")


class Kind:
    """What a column holds. The annotated fields of a kind are its options in the language."""

    @property
    def width(self) -> int:
        """How many numbers of the input come from the column."""
        raise NotImplementedError

    @property
    def open(self) -> bool:
        """Whether the width is not known before there are data."""
        return False

    @property
    def useless(self) -> str:
        """An option that has no effect beside the others; empty where all have one."""
        return ""


@dataclass(frozen=True)
class Column:
    """A column by its name, as it stands there. `span` is the declaration, `kind_span` the word for the kind in it."""

    name: str
    kind: Kind
    span: Span = field(compare=False)
    kind_span: Span = field(compare=False)

    @property
    def declared(self) -> str:
        """The kind with its options, as they are written."""
        return self.span.text[self.kind_span.start - self.span.start :]


@dataclass(frozen=True)
class Table:
    """The columns of an input, in the order of its numbers."""

    input: str
    columns: tuple[Column, ...]

    @property
    def width(self) -> int:
        """How many numbers an example has."""
        return sum(column.kind.width for column in self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns by name."""
        return tuple(column.name for column in self.columns)

    @property
    def open(self) -> tuple[Column, ...]:
        """The columns whose values the training set tells."""
        return tuple(column for column in self.columns if column.kind.open)


def as_word(text: str) -> str:
    """A value as it is compared: without spaces around it, `3.0` as `3`, as tables of numbers with gaps have it, `True`
    as `true`."""
    text = text.strip()
    if text in ("True", "TRUE", "False", "FALSE"):
        return text.lower()
    whole = WHOLE.fullmatch(text)
    return whole[1] if whole else text
