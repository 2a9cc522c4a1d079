"""What keeps weights small. One file a regularizer: the file's name is its name in the language.

A penalty is added to the loss, divided by m, the number of examples in the mini-batch (notes: 'Regularization').
A constraint holds after every update, whatever the loss says.
"""

from __future__ import annotations

from dataclasses import dataclass

from dslc.language.arguments import Positive
from dslc.numerics import Array
from dslc.scalar import Scalar


@dataclass(frozen=True)
class Regularizer:
    """Base: `strength` is the number in the brackets, the notes' lambda or the limit of a constraint."""

    strength: Positive


class Penalty(Regularizer):
    """A term of the loss."""

    def penalty(self) -> Scalar:
        """What one weight `w` adds, before the division by m."""
        raise NotImplementedError

    def slope(self) -> Scalar:
        """Its derivative."""
        raise NotImplementedError

    def reference(self, w: Array, m: int) -> tuple[float, Array]:
        """The whole penalty in NumPy, and its gradient."""
        raise NotImplementedError


class Constraint(Regularizer):
    """What is done to weights after the update: the operation that is called like the constraint."""

    def reference(self, w: Array, units: int) -> Array:
        """The weights in NumPy after it; `units` is the axis along which the units of the layer lie."""
        raise NotImplementedError
