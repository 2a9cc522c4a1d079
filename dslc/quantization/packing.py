"""Weights in the order in which the C reads them."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.numerics import Array, np
from dslc.quantization.program import Product


@dataclass(frozen=True)
class Packed:
    """The constants of a product, flat, and the length of its rows."""

    weight: Array
    bias: Array
    multiplier: Array
    depth: int


def packed(op: Product, lanes: int) -> Packed:
    """Plain C reads filter after filter; of a depthwise convolution, where all filters are read side by side, tap after
    tap. Vectors read blocks of `lanes` filters: four weights of each, then the next four, with zeros to fill."""
    if op.depthwise:
        return Packed(op.weight.transpose(1, 2, 3, 0).reshape(-1), op.bias, op.multiplier, op.depth)
    rows = op.weight.reshape(op.groups, -1, op.depth)
    if lanes == 1:
        return Packed(rows.reshape(-1), op.bias, op.multiplier, op.depth)
    filters, depth = -(-rows.shape[1] // lanes) * lanes, -(-op.depth // 4) * 4
    more = (0, filters - rows.shape[1])
    filled = np.pad(rows, [(0, 0), more, (0, depth - op.depth)])
    blocks = filled.reshape(op.groups, -1, lanes, depth // 4, 4).transpose(0, 1, 3, 2, 4)
    bias, multiplier = (np.pad(a.reshape(op.groups, -1), [(0, 0), more]).reshape(-1) for a in (op.bias, op.multiplier))
    return Packed(blocks.reshape(-1), bias, multiplier, depth)
