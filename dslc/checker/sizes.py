"""Sizes that do not fit, too many elements, and what a stride never reaches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field, replace

from dslc.checker.names import in_block
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
        return (*self.problem.notes, *in_block(self.site))


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
    """A note: the last rows or columns have no effect, as with `maxpool(2x2)` over 5x5. `layers`: those of which this
    can be said, the first at the place that is shown."""

    layers: tuple[str, ...]
    what: str
    severity = "note"

    @property
    def title(self) -> str:
        """Names one layer, or how many there are."""
        first, *others = self.layers
        if not others:
            return f"the stride of {first} never reaches the last {self.what}"
        more = others[0] if len(others) == 1 else f"{len(others)} more layers"
        return f"the strides of {first} and {more} never reach the last {self.what}"


def gathered(notes: Iterable[Diagnostic]) -> list[Diagnostic]:
    """The notes with one `Unreached` for all layers of which the same can be said."""
    found: dict[object, Diagnostic] = {}
    for note in notes:
        if not isinstance(note, Unreached):
            found[note] = note
            continue
        first = found.get(note.what, note)
        if isinstance(first, Unreached) and first is not note:
            note = replace(first, layers=(*first.layers, *note.layers))
        found[note.what] = note
    return list(found.values())


def misfit(init: Init, declared: tuple[Weights, ...]) -> SizeProblem | None:
    """Why an init cannot fill the weights that declare none of their own, or None."""
    try:
        for weights in declared:
            if weights.init is None or weights.usual:
                init.check(weights.shape)
    except SizeProblem as problem:
        return problem
    return None
