"""linear: the identity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.layers import Example, Mode, Passing, Reference
from dslc.numerics import Array


@dataclass(frozen=True)
class Linear(Passing):
    """y = x: states that no activation is intended."""

    suits = "glorot"
    examples = (Example("linear", ((4,),)),)

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = x, dx = dy."""
        return Reference(xs[0], lambda dy: ((dy,), {}))
