"""Layers that see a value as matrices or along some axes, as ONNX operators."""

from __future__ import annotations

from collections.abc import Mapping

from dslc.export.onnx.place import Form, Place, channels_to_end, channels_to_front
from dslc.shape import Shape


def _matmul(at: Place) -> str:
    """Of the last two axes of the language, where the channels are last."""
    turned = (_matrix(at, x, shape, turn) for x, shape, turn in
              zip(at.x, at.node.input_shapes, at.layer.turned, strict=True))  # fmt: skip
    return at.op("Transpose", at.op("MatMul", *turned), perm=channels_to_front(at.result))


def _matrix(at: Place, x: str, shape: Shape, turned: bool) -> str:
    axes = channels_to_end(shape)
    return at.op("Transpose", x, perm=[*axes[:-2], axes[-1], axes[-2]] if turned else axes)


def _permute(at: Place) -> str:
    end, front = channels_to_end(at.shape), channels_to_front(at.result)
    order = (0, *(axis + 1 for axis in at.layer.order))
    return at.op("Transpose", *at.x, perm=[end[order[axis]] for axis in front])


def _reduction(kind: str) -> Form:
    """Along axes of the language, after which the last that is left is that of the channels."""

    def form(at: Place) -> str:
        last = len(at.shape) - 1
        stored = [last, *range(last)]
        over = at.layer.over(at.shape)
        axes = [1 + stored.index(axis) for axis in over]
        where = {} if kind == "ReduceSum" else {"axes": axes}  # of this opset only ReduceSum has them as an input
        inputs = (*at.x, at.indices("axes", axes)) if kind == "ReduceSum" else at.x
        made = at.op(kind, *inputs, keepdims=int(at.layer.keep), **where)
        left = [axis for axis in stored if axis not in over]
        if at.layer.keep:
            return made
        if not left:
            return at.reshaped(made, "number", 1)
        wanted = [max(left), *sorted(left)[:-1]]
        return at.op("Transpose", made, perm=[0, *(1 + left.index(axis) for axis in wanted)])

    return form


def _distance(at: Place) -> str:
    return at.op("ReduceL2", at.op("Add", at.op("Sub", *at.x), at.number(at.layer.eps)), axes=[1], keepdims=1)


FORMS: Mapping[str, Form] = {
    "distance": _distance,
    "matmul": _matmul,
    "permute": _permute,
    "reduce_max": _reduction("ReduceMax"),
    "reduce_mean": _reduction("ReduceMean"),
    "reduce_sum": _reduction("ReduceSum"),
}
"""By the name of the layer."""
