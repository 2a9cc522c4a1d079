"""Sizes that do not fit, too many elements, and what a stride never reaches."""

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
    """What a layer or an init cannot take: `conv(8, 3x3)` after `flatten`. `site`: the call of the block around the
    layer."""

    problem: SizeProblem = field(compare=False)
    site: Span | None = field(default=None, compare=False)

    @property
    def title(self) -> str:
        """What the layer says."""
        return self.problem.title

    @property
    def label(self) -> str:
        """What the layer says about the underlined argument."""
        return self.problem.label

    @property
    def notes(self) -> tuple[str, ...]:
        """The layer's formula and help, and which call of the block it is about."""
        if self.site is None:
            return self.problem.notes
        return (*self.problem.notes, f"in the block that line {self.site.line} calls: {self.site.text}")


@record
class TooManyElements(Diagnostic):
    """An array that 32-bit indices cannot address: `input x: 100000x100000x3`."""

    what: str
    count: int

    @property
    def title(self) -> str:
        """Gives the number of elements and the limit."""
        return f"{self.what} would have {self.count:.3g} elements; at most {MAX_ELEMENTS:.3g} fit"


@record
class Unreached(Diagnostic):
    """A note: the last rows or columns have no effect, as with `maxpool(2x2)` over 5x5."""

    layer: str
    what: str
    severity = "note"
    message = "the stride of {layer} never reaches the last {what}"


def misfit(init: Init, declared: tuple[Weights, ...]) -> SizeProblem | None:
    """Why an init cannot fill the weights that declare none of their own, or None."""
    try:
        for weights in declared:
            if weights.init is None or weights.usual:
                init.check(weights.shape)
    except SizeProblem as problem:
        return problem
    return None
