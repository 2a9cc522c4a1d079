"""number: a column of numbers, standardized."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from dslc.columns import Kind
from dslc.language.arguments import BadValue, Flag, Real, Symbol, show

FILLS = ("error", "median", "mean")


@dataclass(frozen=True)
class Fill:
    """`error`, `median`, `mean`, or a number."""

    def convert(self, value: object) -> str | float:
        """Words as text, a number as a float. Raises BadValue for anything else."""
        if isinstance(value, Symbol) and value.name in FILLS:
            return value.name
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise BadValue(f"expected error, median, mean or a number, not {show(value)}")
        return Real().convert(value)


@dataclass(frozen=True)
class Number(Kind):
    """A number of each example. `missing`: what stands for a missing one, or that it is an error; `indicator`: a second
    number, 1 where the first was missing and else 0; `standardize`: the training set's mean is subtracted, and the rest
    divided by its standard deviation."""

    missing: Annotated[str | float, Fill()] = "error"
    indicator: Flag = False
    standardize: Flag = True

    @property
    def width(self) -> int:
        """One, two with an indicator."""
        return 1 + self.indicator

    @property
    def useless(self) -> str:
        """An indicator where nothing may be missing."""
        return "indicator" if self.indicator and self.missing == "error" else ""
