"""`a, b = split`: one value becomes several, each a `slice` of its channels or features."""

from __future__ import annotations

from itertools import accumulate, pairwise

from dslc.checker.expressions import Scope, WrongValue, evaluate
from dslc.language import ast
from dslc.language.arguments import BadValue, Whole
from dslc.language.diagnostics import Diagnostic
from dslc.language.record import record
from dslc.layers.slice import Slice
from dslc.shape import Shape, show_shape

SPLIT = "split"


@record
class SplitDoesNotFit(Diagnostic):
    """Parts that do not add up to the channels: `a, b = split(3, 4)` of 8, or three equal parts of them."""

    reason: str
    size: str
    message = "split of {size}: {reason}"


def parts(link: ast.Call, scope: Scope, shape: Shape, names: int) -> tuple[Slice, ...]:
    """The slices that a call of `split` stands for: parts of the sizes that it lists, or as many equal ones as there
    are names. Raises Failed after reporting."""
    given = link.arguments or ()
    whole = shape[-1]
    if not given and (names < 2 or whole % names):
        reason = "give every part a name: a, b = ..."
        if names > 1:
            reason = f"{whole} cannot be divided into {names} equal parts"
        raise scope.fail(SplitDoesNotFit(link.span, reason, show_shape(shape)))
    sizes = [_size(argument, scope) for argument in given] or [whole // names] * names
    if sum(sizes) != whole:
        listed = " + ".join(map(str, sizes))
        raise scope.fail(SplitDoesNotFit(link.span, f"{listed} = {sum(sizes)}, not {whole}", show_shape(shape)))
    return tuple(Slice(start, end) for start, end in pairwise(accumulate(sizes, initial=0)))


def _size(argument: ast.Argument, scope: Scope) -> int:
    try:
        return Whole().convert(evaluate(argument.value, scope))
    except BadValue as error:
        raise scope.fail(WrongValue(argument.value.span, "a part of split", str(error))) from None
