"""Products with matrices of weights."""

from __future__ import annotations

from collections.abc import Mapping

from dslc.interchange.arranging import as_vector, complete
from dslc.interchange.operators._at import At, Translation
from dslc.interchange.values import Constant, Flowing, Lacking, rows_along
from dslc.numerics import Array, np


def product(at: At, x: Flowing, weight: Array, bias: Array | None, place: int = 1) -> Flowing:
    """The last axis of x times weight (inputs, units): `dense` of a vector, `conv` of 1x1 where there is a row for each
    pixel."""
    if x.index.shape[-1] != weight.shape[0]:
        raise Lacking(f"its weights have {weight.shape[0]} inputs, and there are {x.index.shape[-1]}")
    units = weight.shape[1]
    if x.index.size == weight.shape[0]:
        flat = as_vector(at.draft, complete(at.draft, x))
        ours = np.empty((units, weight.shape[0]), np.float32)
        ours[:, flat.index.ravel()] = weight.T
        given = {"weight": ours, "bias": bias}
        step = at.emit("dense", flat, parameters=given, weight=place, units=units, bias=bias is not None)
        return Flowing(step.result, step.shape, np.arange(units, dtype=np.int32).reshape(*x.index.shape[:-1], units))
    rows = rows_along(x, x.index.ndim - 1)
    if rows is None or len(x.shape) != 3 or sorted(rows.channels) != list(range(x.shape[-1])):
        raise Lacking("it multiplies rows that are not the pixels of an image")
    ours = np.empty((1, 1, *weight.shape), np.float32)
    ours[0, 0, rows.channels] = weight
    given = {"weight": ours, "bias": bias}
    step = at.emit("conv", x, parameters=given, weight=place, filters=units, size=(1, 1), bias=bias is not None)
    index = rows.pixels[:, None] * units + np.arange(units)
    return Flowing(step.result, step.shape, index.reshape(*x.index.shape[:-1], units).astype(np.int32))


def _gemm(at: At) -> Flowing:
    """alpha * A B + beta * C."""
    weight, bias = at.weights(1), at.weights(2)
    if weight is None or weight.ndim != 2 or at.whole("transA", 0):
        raise Lacking("it multiplies with something else than a matrix of weights")
    weight = (weight.T if at.whole("transB", 0) else weight) * np.float32(at.real("alpha", 1.0))
    x = at.flowing()
    if x.index.ndim != 1:
        raise Lacking(f"its input has {x.index.ndim + 1} axes with the batch, and should have two")
    if bias is not None:
        bias = np.broadcast_to(bias.ravel() * np.float32(at.real("beta", 1.0)), (weight.shape[1],))
    return product(at, x, weight, bias)


def _matmul(at: At) -> Flowing:
    if isinstance(at.value(0), Constant):
        raise Lacking("it multiplies weights with values: the language has values times weights")
    weight = at.weights(1)
    if weight is None or weight.ndim != 2:
        raise Lacking("it multiplies with something else than a matrix of weights")
    return product(at, at.flowing(), weight, None)


TRANSLATIONS: Mapping[str, Translation] = {"Gemm": _gemm, "MatMul": _matmul}
"""By the name of the operator."""
