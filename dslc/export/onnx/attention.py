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
    q, k, v = _queries_keys_values(at)
    scores = at.op("MatMul", q, at.op("Transpose", k, perm=[0, 1, 3, 2]))
    shares = _shares(at, at.op("Div", scores, at.number(math.sqrt(channels // at.layer.heads))))
    together = at.op("Transpose", at.op("MatMul", shares, v), perm=[0, 2, 1, 3])
    return at.op("Transpose", _product(at, at.reshaped(together, "whole", steps, channels), "output"), perm=[0, 2, 1])


def _queries_keys_values(at: Place) -> list[str]:
    """(batch, heads, steps, size) each: all from the input, or keys and values from a memory."""
    if not _crossed(at):
        return _apart(at, at.x[0], "input", at.shape[0], 3)
    return [*_apart(at, at.x[0], "query", at.shape[0], 1), *_apart(at, at.x[1], "memory", _keys(at), 2)]


def _crossed(at: Place) -> bool:
    return "weight_memory" in at.parameters


def _keys(at: Place) -> int:
    return at.node.inputs[int(_crossed(at))].shape[0]


def _apart(at: Place, x: str, role: str, steps: int, count: int) -> list[str]:
    """What `count` of queries, keys and values are of a sequence with so many steps."""
    heads, channels = at.layer.heads, at.shape[1]
    sums = _product(at, at.op("Transpose", x, perm=[0, 2, 1]), role)
    rows = at.reshaped(sums, f"{role}_heads", steps, count, heads, channels // heads)
    apart, axis = at.op("Transpose", rows, perm=[2, 0, 3, 1, 4]), at.indices("first", (0,))
    parts = at.split(apart, outputs=count, axis=0) if count > 1 else [apart]
    return [at.op("Squeeze", part, axis) for part in parts]


def _product(at: Place, x: str, role: str) -> str:
    """x W^T + b."""
    made = at.op("MatMul", x, at.weight(f"weight_{role}", at.parameters[f"weight_{role}"].T))
    return at.op("Add", made, at.weight(f"bias_{role}")) if at.layer.bias else made


def _shares(at: Place, scores: str) -> str:
    """The softmax over the keys that are seen; 0 where none is."""
    seen = [steps_within(at, 4, _keys(at))] if len(at.x) > 1 + _crossed(at) else []
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
