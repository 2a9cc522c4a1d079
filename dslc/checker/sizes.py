"""Sizes that do not fit, numbers that are too many, and what a stride never reaches."""

from __future__ import annotations

from dataclasses import field

from dslc.inits import Init
from dslc.language.diagnostics import Diagnostic
from dslc.language.record import record
from dslc.language.source import Span
from dslc.layers import Weights
from dslc.shape import SizeProblem

MAX_ELEMENTS = 2**31 - 1


@record
class SizesDoNotFit(Diagnostic):
    """`site`: the call of the block that the layer stands in."""

    problem: SizeProblem = field(compare=False)
    site: Span | None = field(default=None, compare=False)

    @property
    def title(self) -> str:
        return self.problem.title

    @property
    def label(self) -> str:
        return self.problem.label

    @property
    def notes(self) -> tuple[str, ...]:
        if self.site is None:
            return self.problem.notes
        return (*self.problem.notes, f"in the block that line {self.site.line} calls: {self.site.text}")


@record
class TooManyElements(Diagnostic):
    what: str
    count: int

    @property
    def title(self) -> str:
        return f"{self.what} would have {self.count:.3g} elements; at most {MAX_ELEMENTS:.3g} fit"


@record
class Unreached(Diagnostic):
    layer: str
    what: str
    severity = "note"
    message = "the stride of {layer} never reaches the last {what}"


def misfit(init: Init, declared: tuple[Weights, ...]) -> SizeProblem | None:
    """Why weights that name no init of their own cannot start like this."""
    try:
        for weights in declared:
            if weights.init is None:
                init.check(weights.shape)
    except SizeProblem as problem:
        return problem
    return None
