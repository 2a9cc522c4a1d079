"""Arithmetic as a target rounds it: with or without fused multiply-adds, where C leaves that to the compiler."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.numerics import Array, np


@dataclass(frozen=True)
class Arithmetic:
    """Numbers of `itemsize` bytes. `fuses`: the target has multiply-adds of one rounding, which compilers use."""

    itemsize: int
    fuses: bool

    @property
    def dtype(self) -> type:
        """The NumPy type of its numbers."""
        return np.float32 if self.itemsize == 4 else np.float64

    def number(self, value: float) -> Array:
        """A literal, rounded."""
        return np.asarray(value, self.dtype)

    def multiply_add(self, a: Array, b: Array, c: Array) -> Array:
        """a b + c as the target rounds it. Fused in float64 it is rounded twice here: NumPy has no wider numbers."""
        if not self.fuses or self.itemsize == 8:
            return a * b + c
        return _rounded_once(np.asarray(a, np.float64) * np.asarray(b, np.float64), np.asarray(c, np.float64))


def _rounded_once(product: Array, summand: Array) -> Array:
    """The sum of two numbers in float64, rounded to float32 once: float64 rounds to odd in between (Boldo and
    Melquiond, 'Emulation of a FMA and correctly rounded sums', 2008). Its error is that of Knuth's TwoSum."""
    total = product + summand
    back = total - product
    error = (product - (total - back)) + (summand - back)
    even = (total.view(np.int64) & 1) == 0
    towards = np.where(error > 0, np.inf, -np.inf)
    odd = np.where((error != 0) & even, np.nextafter(total, towards), total)
    return odd.astype(np.float32)
