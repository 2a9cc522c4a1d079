"""How gradients are kept from growing too large. One file per clip: the file's name is its name in the language.

Gradients are clipped after the regularizers and before the optimizer, in the training step only: `gradients` and
gradient checking see the unclipped gradients of the loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from dslc.language.arguments import Positive
from dslc.numerics import Array
from dslc.scalar import Scalar, variable

SCALE = variable("scale[0]")
"""One number for all gradients of the network, at most 1."""


@dataclass(frozen=True)
class Clip:
    """Base. `needs_all_gradients`: the formula reads SCALE, so that all gradients must be known before the first
    update."""

    limit: Positive
    needs_all_gradients: ClassVar[bool] = False

    def clipped(self) -> Scalar:
        """What the optimizer gets in place of one element `g` of a gradient."""
        raise NotImplementedError

    def reference(self, gradients: Mapping[str, Array]) -> dict[str, Array]:
        """All gradients of the network, by parameter, clipped in NumPy."""
        raise NotImplementedError
