"""Penalties on weights. One file a regularizer: the file's name is its name in the language.

A penalty is added to the loss, divided by m, the number of examples in the mini-batch (notes: 'Regularization').
"""

from __future__ import annotations

from dataclasses import dataclass

from dslc.arguments import Positive
from dslc.numerics import Array
from dslc.scalar import Scalar


@dataclass(frozen=True)
class Regularizer:
    """Base: `strength` is the notes' lambda."""

    strength: Positive

    def penalty(self) -> Scalar:
        """What one weight `w` adds, before the division by m."""
        raise NotImplementedError

    def slope(self) -> Scalar:
        """Its derivative."""
        raise NotImplementedError

    def reference(self, w: Array, m: int) -> tuple[float, Array]:
        """The whole penalty in NumPy, and its gradient."""
        raise NotImplementedError
