"""category: a column of words, a number or a row of a learned table for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from dslc.columns import Kind
from dslc.language.arguments import OneOf, Whole


@dataclass(frozen=True)
class Category(Kind):
    """One of some values, as a number for each: 1 for that of the example, and 0 for the others (one-hot). `values` are
    None where the training set is to tell them. `missing=own`: one more value, for cells that are missing. With an
    `embedding` the column is the number of its value, by which a row of a learned table is found: so many numbers."""

    values: tuple[str, ...] | None = None
    missing: Annotated[str, OneOf(("error", "own"))] = "error"
    embedding: Annotated[int | None, Whole(1)] = None

    @property
    def count(self) -> int:
        """How many values, the missing one included; one stands for those that are not known yet."""
        return len(self.values or ("?",)) + (self.missing == "own")

    @property
    def width(self) -> int:
        """A number for each value; one with an embedding."""
        return self.count if self.embedding is None else 1

    @property
    def open(self) -> bool:
        """Whether its values are not known yet."""
        return self.values is None
