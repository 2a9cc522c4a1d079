"""Operators on constants alone, such as the arithmetic of shapes: carried out at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

from dslc.interchange.operators._at import At
from dslc.interchange.values import MOST, Constant, Lacking
from dslc.numerics import Array, np

Fold = Callable[..., Array]


def _reduced(function: Callable[..., Array]) -> Callable[[At], Array]:
    def fold(at: At) -> Array:
        axes = at.listed("axes", 1)
        keep = bool(at.whole("keepdims", 1))
        return np.asarray(function(at.needed(0), axis=None if axes is None else tuple(axes), keepdims=keep))

    return fold


def _elementwise(function: Fold) -> Callable[[At], Array]:
    def fold(at: At) -> Array:
        arrays = [at.needed(i) for i in range(len(at.inputs))]
        _require_room(np.broadcast_shapes(*(a.shape for a in arrays)))
        return np.asarray(function(*arrays))

    return fold


def _require_room(shape: tuple[int, ...]) -> None:
    if prod(shape) > MOST or any(n < 0 for n in shape):
        raise Lacking(f"its result has the shape {shape}")


def _division(a: Array, b: Array) -> Array:
    """Of whole numbers towards zero."""
    if a.dtype.kind in "iu" and b.dtype.kind in "iu":
        return np.asarray(np.trunc(a / b).astype(a.dtype))
    return np.asarray(a / b)


def _constant_of_shape(at: At) -> Array:
    shape = tuple(int(n) for n in at.needed(0).ravel())
    _require_room(shape)
    value = at.node.attributes.get("value")
    filled = np.zeros(1, np.float32) if value is None else value
    return np.full(shape, np.ravel(filled)[0])


def _constant(at: At) -> Array:
    for name in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        if at.node.attributes.get(name) is not None:
            found = at.node.attributes[name]
            kind = np.float32 if "float" in name else np.int64
            return found if isinstance(found, np.ndarray) else np.asarray(found, kind)
    raise Lacking("it has no value of numbers")


def _range(at: At) -> Array:
    start, limit, step = (at.needed(i).ravel()[0] for i in range(3))
    if step == 0 or abs((limit - start) / step) > MOST:
        raise Lacking("its range has no end")
    return np.arange(start, limit, step)


def _tile(at: At) -> Array:
    x, repeats = at.needed(0), [int(n) for n in at.needed(1)]
    _require_room(tuple(n * r for n, r in zip(x.shape, repeats, strict=True)))
    return np.tile(x, repeats)


def _pow(a: Array, b: Array) -> Array:
    return np.asarray(np.power(a, b.astype(np.float64)).astype(a.dtype))


FOLDS: Mapping[str, Callable[[At], Array]] = {
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Range": _range,
    "Tile": _tile,
    "MatMul": lambda at: np.asarray(at.needed(0) @ at.needed(1)),
    **{kind: _reduced(function) for kind, function in (
        ("ReduceProd", np.prod), ("ReduceSum", np.sum), ("ReduceMean", np.mean), ("ReduceMax", np.max),
        ("ReduceMin", np.min),
    )},
    **{kind: _elementwise(function) for kind, function in (
        ("Abs", np.abs), ("Add", np.add), ("And", np.logical_and), ("Ceil", np.ceil), ("Div", _division),
        ("Equal", np.equal), ("Exp", np.exp), ("Floor", np.floor), ("Greater", np.greater), ("Less", np.less),
        ("Log", np.log), ("Mod", np.mod), ("Mul", np.multiply), ("Neg", np.negative), ("Not", np.logical_not),
        ("Or", np.logical_or), ("Pow", _pow), ("Reciprocal", np.reciprocal), ("Sqrt", np.sqrt), ("Sub", np.subtract),
        ("Where", np.where),
    )},
}  # fmt: skip
"""By the name of the operator."""


def folded(at: At) -> Constant | None:
    """The result of an operator whose inputs are all constant; None where it is not carried out here."""
    if at.node.kind not in FOLDS or not all(v is None or isinstance(v, Constant) for v in at.inputs):
        return None
    with np.errstate(all="ignore"):
        return Constant(FOLDS[at.node.kind](at))
