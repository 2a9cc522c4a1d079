"""Weights in the order in which the C reads them."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.numerics import Array, np
from dslc.quantization.program import Product
from dslc.quantization.reading import Reading
from dslc.quantization.vectors import NEON, Vectors


@dataclass(frozen=True)
class Packed:
    """The constants of a product, flat, and how many products make a sum."""

    weight: Array
    bias: Array
    multiplier: Array
    depth: int


def packed_plain(op: Product) -> Packed:
    """Filter after filter; of a depthwise convolution, whose filters are read side by side, tap after tap."""
    weight = op.weight.transpose(1, 2, 3, 0) if op.depthwise else op.weight
    return Packed(weight.reshape(-1), op.bias, op.multiplier, op.depth)


def packed_blocks(op: Product, how: Reading, vectors: Vectors, high: int) -> Packed:
    """Blocks of as many filters as a vector has sums: the weights of each that are multiplied together, then the next
    ones, with zeros to fill a run. The last block of a group ends with its last filter, and so repeats some of the one
    before; zeros fill a block that is alone."""
    groups, width, together = op.groups, how.width, vectors.together
    runs = op.weight.reshape(groups, -1, *how.runs, op.depth // (how.runs[0] * how.runs[1]))
    filled = np.pad(runs, [(0, 0)] * 4 + [(0, how.run - runs.shape[-1])]).reshape(groups, -1, how.depth)
    at = _blocks(filled.shape[1], width)

    def each(values: Array) -> Array:
        """Values (groups, filters, ...) as (groups, blocks, width, ...)."""
        more = max(0, width - values.shape[1])
        return np.pad(values, [(0, 0), (0, more)] + [(0, 0)] * (values.ndim - 2))[:, at]

    weight = each(filled).reshape(groups, len(at), width, -1, together).transpose(0, 1, 3, 2, 4)
    bias = op.bias.astype(np.int64)
    if vectors is NEON and high == 255:  # its bytes are signed: 128 less
        bias = bias + 128 * op.weight.reshape(len(op.weight), -1).astype(np.int64).sum(axis=1)
    biases, multipliers = (each(a.reshape(groups, -1)).reshape(-1) for a in (bias, op.multiplier))
    return Packed(weight.reshape(-1), biases.astype(np.int32), multipliers, how.depth)


def packed_depthwise(op: Product, lanes: int) -> Packed:
    """Blocks of 4 * lanes channels: four taps of each, then the next four, with zeros to fill. In a block there are
    four vectors: the first has the channels 0 to 3 of each 16, and so on. The last block ends with the last channel."""
    taps = op.weight.reshape(len(op.weight), -1)
    taps = np.pad(taps, [(0, 0), (0, -taps.shape[1] % 4)])
    at = _blocks(len(taps), 4 * lanes).reshape(-1, lanes // 4, 4, 4).transpose(0, 2, 1, 3).reshape(-1, 4 * lanes)
    weight = taps[at].reshape(len(at), 4 * lanes, -1, 4).transpose(0, 2, 1, 3)
    return Packed(weight.reshape(-1), op.bias[at].reshape(-1), op.multiplier[at].reshape(-1), taps.shape[1])


def _blocks(count: int, width: int) -> Array:
    """The places (blocks, width) of so many values in blocks, the last of which ends with the last value; a single
    block may be longer than they are."""
    starts = [min(start, max(0, count - width)) for start in range(0, count, width)]
    return np.array(starts)[:, None] + np.arange(width)


def rounds_up(op: Product, high: int) -> bool:
    """Whether it does not matter how halves are rounded, since no sum times its multiplier lies halfway: that is an odd
    multiple of 2^(shift - 1), and no sum is as large as that over the power of two in the multiplier. And whether the
    shift is at least 32, so that what matters is in the upper half of a product."""
    if op.shift < 32:
        return False
    weights = np.abs(op.weight.reshape(len(op.bias), -1).astype(np.int64)).sum(axis=1)
    largest, multipliers = np.abs(op.bias.astype(np.int64)) + high * weights, op.multiplier.astype(np.int64)
    twos = multipliers & -multipliers
    return bool((largest * twos < 1 << (op.shift - 1)).all())
