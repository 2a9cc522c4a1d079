"""minimum: the smallest of two or more values at each place."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.layers import Example
from dslc.layers._extremes import Extreme


@dataclass(frozen=True)
class Minimum(Extreme):
    """y = min(a, b, ...)."""

    largest = False
    examples = (
        Example("minimum", ((7,), (7,), (7,))),
        Example("minimum", ((3, 2, 5), (5,))),
    )
