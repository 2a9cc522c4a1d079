"""bf16: the upper half of a float32, a sign, 8 bits of exponent and 7 of the fraction.

What `precision mixed` rounds before it multiplies. Two of them, a pair, lie in the place of one float32.
"""

from __future__ import annotations

from dslc.numerics import Array, np


def rounded(x: Array) -> Array:
    """Numbers of any shape and type, each rounded to the nearest bf16, ties to the even one; a NaN stays one."""
    result: Array = _upper_halves(x).view(np.float32).astype(x.dtype)
    return result


def pairs(first: Array, second: Array) -> Array:
    """Two arrays of one shape, rounded, as pairs in the bits of float32: the first in the lower half."""
    return (_upper_halves(first) >> np.uint32(16) | _upper_halves(second)).view(np.float32)


def _upper_halves(x: Array) -> Array:
    """The bits of the numbers, rounded to their upper 16."""
    bits = np.ascontiguousarray(x, np.float32).reshape(x.shape).view(np.uint32)
    nearest = bits + np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1))
    kept = np.where(bits & np.uint32(0x7FFFFFFF) > np.uint32(0x7F800000), bits | np.uint32(0x400000), nearest)
    return kept & np.uint32(0xFFFF0000)
