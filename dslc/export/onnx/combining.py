"""Layers that join values, as ONNX operators."""

from __future__ import annotations

from collections.abc import Mapping

from dslc.export.onnx.place import Form, Place, axes_of
from dslc.layers._arithmetic import aligned


def _alike(at: Place) -> tuple[str, ...]:
    """The inputs with as many axes: beside an image a vector of channels is an image of one pixel."""
    axes = len(at.result)
    return tuple(
        name if len(shape) == axes else at.reshaped(name, f"pixel{i}", *axes_of(aligned(shape, axes)))
        for i, (name, shape) in enumerate(zip(at.x, at.node.input_shapes, strict=True))
    )


def _of_many(kind: str) -> Form:
    """An operator of any number of values."""
    return lambda at: at.op(kind, *_alike(at))


def _of_two(kind: str) -> Form:
    """An operator of two values, from the first to the last."""

    def form(at: Place) -> str:
        first, *others = _alike(at)
        for other in others:
            first = at.op(kind, first, other)
        return first

    return form


def _concat(at: Place) -> str:
    return at.op("Concat", *at.x, axis=1)


FORMS: Mapping[str, Form] = {
    "add": _of_two("Add"),
    "concat": _concat,
    "divide": _of_two("Div"),
    "maximum": _of_many("Max"),
    "mean": _of_many("Mean"),
    "minimum": _of_many("Min"),
    "multiply": _of_two("Mul"),
    "subtract": _of_two("Sub"),
}
"""By the name of the layer."""
