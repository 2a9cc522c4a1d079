"""category: a column of words, a number for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from dslc.columns import Kind
from dslc.language.arguments import OneOf


@dataclass(frozen=True)
class Category(Kind):
    """One of some values, as a number for each: 1 for that of the example, and 0 for the others (one-hot). `values` are
    None where the training set is to tell them. `missing=own`: one more number, 1 where the cell is missing."""

    values: tuple[str, ...] | None = None
    missing: Annotated[str, OneOf(("error", "own"))] = "error"

    @property
    def width(self) -> int:
        """A number for each value; one in their place where they are not known yet."""
        return len(self.values or ("?",)) + (self.missing == "own")

    @property
    def open(self) -> bool:
        """Whether its values are not known yet."""
        return self.values is None
