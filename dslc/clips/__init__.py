"""How gradients are kept from growing too large. One file a clip: the file's name is its name in the language.

Clipping comes after the regularizers and before the optimizer, in the step that trains: `gradients` and gradient
checking see the slopes of the loss as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from dslc.language.arguments import Positive
from dslc.numerics import Array
from dslc.scalar import Scalar, variable

SCALE = variable("scale[0]")
"""A number of the whole network, the same for all of its gradients: at most 1."""


@dataclass(frozen=True)
class Clip:
    """Base. `together`: the formula reads SCALE, for which all gradients must be known before the first update."""

    limit: Positive
    together: ClassVar[bool] = False

    def clipped(self) -> Scalar:
        """What the optimizer sees in place of one element `g` of a gradient."""
        raise NotImplementedError

    def reference(self, gradients: Mapping[str, Array]) -> dict[str, Array]:
        """All gradients of the network, clipped, in NumPy."""
        raise NotImplementedError
