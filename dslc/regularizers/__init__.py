"""What keeps weights small. One file per regularizer: the file's name is its name in the language.

A penalty is added to the loss, divided by m, the number of examples in the mini-batch (notes: 'Regularization'). A
constraint is enforced after every update, whatever the loss.
"""

from __future__ import annotations

from dataclasses import dataclass

from dslc.language.arguments import NonNegative, Positive
from dslc.numerics import Array
from dslc.scalar import Scalar


@dataclass(frozen=True)
class Regularizer:
    """Base: `strength` is the argument in brackets, the notes' lambda or the limit of a constraint."""

    strength: NonNegative


class Penalty(Regularizer):
    """A term of the loss; of strength 0, which means off, none."""

    def penalty(self) -> Scalar:
        """What one weight `w` adds to the loss, before the division by m."""
        raise NotImplementedError

    def slope(self) -> Scalar:
        """The derivative of `penalty` with respect to `w`."""
        raise NotImplementedError

    def reference(self, w: Array, m: float) -> tuple[float, Array]:
        """The whole penalty in NumPy for a mini-batch of m examples, and its gradient (of the shape of w)."""
        raise NotImplementedError


@dataclass(frozen=True)
class Constraint(Regularizer):
    """Applied to weights after the update, by the operation with the name of the constraint."""

    strength: Positive

    def reference(self, w: Array, units: int) -> Array:
        """The constrained weights in NumPy; `units` is the axis of the units or filters."""
        raise NotImplementedError
