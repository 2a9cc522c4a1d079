"""Integers that stand for real numbers, and how a scale becomes a multiplication of integers."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.numerics import Array, np

MULTIPLIER_BITS = 31
"""A multiplier is below 2^31, so a sum of 32 bits times it fits into 64."""
LARGEST_SHIFT = 62
"""With it the rounding of such a product fits into 64 bits."""


@dataclass(frozen=True)
class Encoding:
    """real = scale * (q - zero) for whole numbers q from 0 to `high` (Jacob et al. 2018, equation 1): 255, or 127 where
    activations have 7 bits. What lies outside of their range becomes the nearest of them."""

    scale: float
    zero: int
    high: int = 255

    def encode(self, x: Array) -> Array:
        """The nearest whole numbers, as uint8."""
        q = np.floor(np.asarray(x, np.float64) / self.scale + (self.zero + 0.5))
        return np.clip(q, 0, self.high).astype(np.uint8)

    def decode(self, q: Array) -> Array:
        """The real numbers, in float32: the integer difference times the scale, rounded once."""
        return (q.astype(np.int32) - self.zero).astype(np.float32) * np.float32(self.scale)


def encoding_of(low: float, top: float, high: int) -> Encoding:
    """The encoding of numbers from low to top: 0 has a whole number of its own, which padding and relu need."""
    low, top = min(low, 0.0), max(top, 0.0)
    scale = max((top - low) / high, float(np.finfo(np.float32).tiny))
    scale = float(np.float32(scale))
    return Encoding(scale, int(np.clip(np.floor(-low / scale + 0.5), 0, high)), high)


def fixed_point(scales: Array, bits: int = MULTIPLIER_BITS, most: int = LARGEST_SHIFT) -> tuple[Array, int]:
    """Whole numbers m and one shift s with m / 2^s close to the scales, the largest m below 2^bits (Jacob et al. 2018,
    section 2.2, with one shift for all channels, at most `most`).

    Raises:
        OverflowError: a scale is as large as 2^bits.
    """
    scales = np.asarray(scales, np.float64)
    largest = float(np.abs(scales).max())
    if largest == 0:
        return np.zeros(scales.shape, np.int32), 1
    shift = min(bits - int(np.frexp(largest)[1]), most)
    if np.floor(largest * 2.0**shift + 0.5) >= 2**bits:
        shift -= 1
    if shift < 1:
        raise OverflowError(f"a factor of {largest:g} between two encodings")
    return _nearest(scales * 2.0**shift).astype(np.int32), shift


def shifted(products: Array, shift: int) -> Array:
    """products / 2^shift, halves rounded away from 0, in integers: (p + 2^(shift - 1) - [p < 0]) >> shift."""
    p = np.asarray(products, np.int64)
    found: Array = (p + (1 << (shift - 1)) + (p >> 63)) >> shift
    return found


def requantize(sums: Array, multipliers: Array, shift: int, to: Encoding) -> Array:
    """Sums of 32 bits as whole numbers of another encoding."""
    q = to.zero + shifted(np.asarray(sums, np.int64) * np.asarray(multipliers, np.int64), shift)
    return limited(q, to)


def limited(q: Array, to: Encoding) -> Array:
    """Whole numbers as bytes: what lies outside of an encoding becomes the nearest of it."""
    found: Array = np.clip(q, 0, to.high).astype(np.uint8)
    return found


def quantize_weights(weight: Array, least: Array) -> tuple[Array, Array]:
    """Weights (..., units) as whole numbers from -127 to 127 and the scale of each unit, at least `least` (units,):
    symmetric, so that a weight of 0 is 0."""
    weight = np.asarray(weight, np.float64)
    largest = np.abs(weight).reshape(-1, weight.shape[-1]).max(axis=0)
    scales = np.maximum(largest / 127, least)
    scales = np.where(scales > 0, scales, 1.0)
    return np.clip(_nearest(weight / scales), -127, 127).astype(np.int8), scales


def _nearest(x: Array) -> Array:
    """The nearest whole number, halves away from 0."""
    return np.sign(x) * np.floor(np.abs(x) + 0.5)
