"""attention as ONNX operators: matrix products and a softmax, in the order of torch.nn.MultiheadAttention."""

from __future__ import annotations

import math
from collections.abc import Mapping

from dslc.export.onnx.place import Form, Place
from dslc.export.onnx.sequences import steps_within
from dslc.numerics import np

UNSEEN = -1e30
"""The score of a key that is not seen, whose share is 0 beside any other."""


def _attention(at: Place) -> str:
    steps, channels = at.shape
    heads = at.layer.heads
    sums = _product(at, at.op("Transpose", at.x[0], perm=[0, 2, 1]), "input")
    apart = at.op("Transpose", at.reshaped(sums, "heads", steps, 3, heads, channels // heads), perm=[2, 0, 3, 1, 4])
    axis = at.indices("first", (0,))
    q, k, v = (at.op("Squeeze", part, axis) for part in at.split(apart, outputs=3, axis=0))
    scores = at.op("MatMul", q, at.op("Transpose", k, perm=[0, 1, 3, 2]))
    shares = _shares(at, at.op("Div", scores, at.number(math.sqrt(channels // heads))))
    together = at.op("Transpose", at.op("MatMul", shares, v), perm=[0, 2, 1, 3])
    return at.op("Transpose", _product(at, at.reshaped(together, "whole", steps, channels), "output"), perm=[0, 2, 1])


def _product(at: Place, x: str, role: str) -> str:
    """x W^T + b."""
    made = at.op("MatMul", x, at.weight(f"weight_{role}", at.parameters[f"weight_{role}"].T))
    return at.op("Add", made, at.weight(f"bias_{role}")) if at.layer.bias else made


def _shares(at: Place, scores: str) -> str:
    """The softmax over the keys that are seen; 0 where none is."""
    seen = [steps_within(at, 4)] if len(at.x) > 1 else []
    if at.layer.causal:
        steps = at.shape[0]
        seen.append(at.parts.constant(f"{at.node.name}/causal", np.tri(steps, dtype=bool)))
    if not seen:
        return at.op("Softmax", scores, axis=-1)
    mask = seen[0] if len(seen) == 1 else at.op("And", *seen)
    shares = at.op("Softmax", at.op("Where", mask, scores, at.number(UNSEEN)), axis=-1)
    return at.op("Where", mask, shares, at.number(0))


FORMS: Mapping[str, Form] = {"attention": _attention}
"""By the name of the layer."""
