"""Calls of layers, losses, optimizers and all other things: arguments are drawn by the types of their fields."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from math import prod
from typing import Any

from hypothesis import strategies as st

from dslc import inits, optimizers, registry
from dslc.checker.formulas import FormulaReader
from dslc.formula import Formula
from dslc.inits import Init
from dslc.language import arguments, ast
from dslc.language.arguments import BALANCED, Items, Slot, Symbol, show, slots
from dslc.language.parse import parse
from dslc.language.source import Source
from dslc.layers import Layer
from dslc.layers._reduction import AXES
from dslc.optimizers import Optimizer
from dslc.optimizers.lookahead import Lookahead
from dslc.shape import Shape, SizeProblem, as_image
from fuzzing.draw import Draw
from fuzzing.rules import REALS, REALS_OF, counts, settled

FORMULAS = {
    ("x",): ("x * sigmoid(1.702 * x)", "max(x, 0.1 * x) - tanh(x)^2", "(x^2 + 1)^0.5 / (2 + abs(x))"),
    ("y", "t"): ("(y - t)^2 * 0.5", "log(1 + (y - t)^2)", "softplus(-y * t) + min(abs(y - t), 1)"),
}
SIDES_OF = {"stride": (1, 2, 3, 4), "dilation": (1, 2, 3), "scale": (2, 1, 3), "pad": (1, 0, 2), "output_pad": (0, 1)}
"""Heights and widths by the name of the argument; those of windows depend on the image."""
INNER = {name: kind for name, kind in registry.every(optimizers, Optimizer).items() if kind is not Lookahead}


def written(name: str, given: Mapping[str, Any]) -> str:
    """A call in the language."""
    inside = ", ".join(f"{key}={show(value)}" for key, value in given.items())
    return f"{name}({inside})" if inside else name


def made(thing: type[Any], given: Mapping[str, Any]) -> Any:
    """The layer, loss, ... itself."""
    return thing(**{s.field: s.convert(given[s.name]) for s in slots(thing) if s.name in given})


def fitting(layer: type[Layer], given: Mapping[str, Any], shape: Shape) -> tuple[Layer, dict[str, Any]] | None:
    """A layer behind a value of this shape with as many of the arguments as fit, and these; None where none do."""
    kept = dict(given)
    while True:
        try:
            found: Layer = made(layer, kept)
            found.infer((shape,))
            return found, kept
        except SizeProblem as problem:
            free = [s.name for s in slots(layer) if s.name in kept and not s.required]
            if not free:
                return None
            del kept[problem.argument if problem.argument in free else free[-1]]


def layer_arguments(draw: Draw, layer: type[Layer], shape: Shape) -> dict[str, Any]:
    """Arguments by name; windows are mostly squares with a stride of 1 or their size."""
    found = arguments_of(draw, layer, shape)
    if _takes_padding(layer) and draw.chance(2):
        found = {**{key: value for key, value in found.items() if key not in _WINDOW}, **_usual_window(draw, layer)}
    if {"groups", "filters"} <= found.keys():
        found["filters"] = found["groups"] * -(-found["filters"] // found["groups"])
    return found


_WINDOW = ("size", "stride", "pad", "dilation", "ceil", "count_pad")


def arguments_of(draw: Draw, thing: type[Any], shape: Shape) -> dict[str, Any]:
    """Arguments by name: those that must be given, and some of the others. Those that name layers and inputs are not
    drawn: few would fit."""
    free = [s for s in slots(thing) if not isinstance(s.kind, arguments.NameOf)]
    chosen = [s for s in free if s.required or draw.chance(2)]
    return {s.name: value(draw, s, shape) for s in chosen}


def call(draw: Draw, name: str, thing: type[Any], shape: Shape = (3,), without: tuple[str, ...] = ()) -> str:
    """A call of something other than a layer."""
    given = settled(name, arguments_of(draw, thing, shape), shape)
    return written(name, {key: value for key, value in given.items() if key not in without})


def one(draw: Draw, known: Mapping[str, type[Any]]) -> str:
    """A call of one of these."""
    name = draw.of(tuple(known))
    return call(draw, name, known[name])


def init(draw: Draw, size: int | None = None) -> str:
    """An init; one that lists its numbers only where few are asked for."""
    known = registry.every(inits, Init)
    lists = {name for name, kind in known.items() if any(isinstance(s.kind, arguments.Each) for s in slots(kind))}
    name = draw.of([n for n in known if n not in lists or (size and size <= 40)])
    if name in lists:
        return f"{name}({', '.join(show(draw.of((0.5, -0.25, 1.0, 0.0))) for _ in range(size or 0))})"
    return "uniform(-0.3, 0.4)" if name == "uniform" else call(draw, name, known[name])


# ----------------------------------------------------------------------------------------------- values of arguments


def value(draw: Draw, slot: Slot, shape: Shape) -> Any:
    """A value of the slot's kind, near what suits a value of this shape."""
    kind = slot.kind
    if isinstance(kind, arguments.Whole):
        return max(kind.low, draw.of(counts(slot.name, shape)))
    if isinstance(kind, arguments.Real):
        return draw.of([x for x in REALS_OF.get(slot.name, REALS) if _in_range(kind, x)])
    if isinstance(kind, arguments.HeightWidth):
        return _pair(draw, slot, shape)
    if isinstance(kind, (arguments.Border, arguments.PaddingKind, arguments.StepPaddingKind)):
        return _padding(draw, kind)
    if isinstance(kind, arguments.OnOff):
        return draw.draw(st.booleans())
    if isinstance(kind, (arguments.OneOf, arguments.AxisOrder, arguments.AxisNames)):
        return _words(draw, kind, shape)
    if isinstance(kind, arguments.Dims):
        return draw.of(turned(draw, shape) if len(shape) == 1 else ((prod(shape),), shape[::-1]))
    return _of_its_own(draw, slot, shape)


def _of_its_own(draw: Draw, slot: Slot, shape: Shape) -> Any:
    """What only one or two things of the language take."""
    kind = slot.kind
    if isinstance(kind, arguments.Weighting):
        weights = Items(tuple(draw.of((1.0, 0.5, 2.0, 3.0)) for _ in range(shape[-1])))
        return Symbol(BALANCED) if draw.chance(3) else weights
    if isinstance(kind, arguments.Increasing):
        return Items((1, draw.of((2, 3))))
    if isinstance(kind, arguments.FormulaOf):
        return _formula(draw.of(FORMULAS[kind.variables]), kind.variables)
    if isinstance(kind, optimizers.Inner):
        return Symbol(one(draw, INNER))
    assert isinstance(kind, arguments.MetricName), f"no values for {slot.name}, a {type(kind).__name__}"
    return Symbol("dev_loss")


def turned(draw: Draw, shape: Shape) -> list[Shape]:
    """The same numbers as a vector, as some sequence and as some image, but for what they are, in any order."""
    size = prod(shape)
    rows = draw.of([n for n in range(1, size + 1) if size % n == 0])
    columns = draw.of([n for n in range(1, size // rows + 1) if size // rows % n == 0])
    steps = shape[0] * shape[1] if len(shape) == 3 else rows
    others: list[Shape] = [(size,), (steps, size // steps), (rows, columns, size // rows // columns)]
    return draw.some([other for other in others if len(other) != len(shape)], least=2)


def _words(draw: Draw, kind: arguments.OneOf | arguments.AxisOrder | arguments.AxisNames, shape: Shape) -> Any:
    """One of some words; all axes in some order, or the names of some."""
    if isinstance(kind, arguments.OneOf):
        return Symbol(draw.of(kind.words))
    if isinstance(kind, arguments.AxisOrder):
        return Items(tuple(draw.draw(st.permutations(range(max(2, len(shape)))))))
    names = draw.some(AXES[len(shape)])
    return Items(tuple(map(Symbol, names))) if len(names) > 1 else Symbol(names[0])


def _padding(draw: Draw, kind: arguments.Border | arguments.PaddingKind | arguments.StepPaddingKind) -> Any:
    """`same` or `valid`, for both directions, or for each side; of steps also `causal`."""
    if isinstance(kind, arguments.StepPaddingKind):
        return draw.of((*map(Symbol, ("same", "causal", "valid")), 1, 0, 2, Items((0, 1)), Items((2, 0))))
    words, side = isinstance(kind, arguments.PaddingKind), st.integers(0, 2)
    both, sides = st.tuples(side, side), st.tuples(side, side, side, side).map(Items)
    return draw.draw(st.one_of(*[st.sampled_from((Symbol("same"), Symbol("valid")))] * words, both, sides))


def _pair(draw: Draw, slot: Slot, shape: Shape) -> tuple[int, int]:
    """Height and width: a window up to the whole image, a stride also beyond it."""
    sides = (3, 3) if len(shape) == 1 else as_image(shape)[:2]
    windows = [tuple(n for n in (3, 1, 2, 5, side, 4, 7) if n <= side) for side in sides]
    height, width = [SIDES_OF[slot.name]] * 2 if slot.name in SIDES_OF else windows
    both = draw.of(height)
    return (both, both) if both in width and not draw.chance(2) else (both, draw.of(width))


def _usual_window(draw: Draw, layer: type[Layer]) -> dict[str, Any]:
    """A square that keeps rows and columns, or halves them."""
    known = {slot.name: slot for slot in slots(layer)}
    side, steps = draw.of((3, 1, 2, 5)), isinstance(known["size"].kind, arguments.Whole)
    size, one_step = (side, 1) if steps else ((side, side), (1, 1))
    if "filters" in known or "multiplier" in known:
        return {"size": size, "pad": Symbol("same")}
    return {"size": size, "stride": one_step, "pad": Symbol("same")} if draw.chance(2) else {"size": size}


def _takes_padding(layer: type[Layer]) -> bool:
    """A window slides over an image or a sequence."""
    kinds = {slot.name: slot.kind for slot in slots(layer)}
    return "size" in kinds and isinstance(kinds.get("pad"), (arguments.PaddingKind, arguments.StepPaddingKind))


def _in_range(kind: arguments.Real, number: float) -> bool:
    try:
        kind.convert(number)
    except arguments.BadValue:
        return False
    return True


@cache
def _formula(text: str, variables: tuple[str, ...]) -> Formula:
    """A formula as the checker reads it."""
    program = parse(Source("formula.net", f"param f = {text}\n"))
    (param,) = program.declarations
    assert isinstance(param, ast.ParamDecl)
    return FormulaReader(variables, {}, ()).read(param.value)
