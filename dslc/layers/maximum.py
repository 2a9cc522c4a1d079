"""maximum: the largest of two or more values at each place."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.layers import Example
from dslc.layers._extremes import Extreme


@dataclass(frozen=True)
class Maximum(Extreme):
    """y = max(a, b, ...)."""

    largest = True
    examples = (
        Example("maximum", ((7,), (7,), (7,))),
        Example("maximum", ((3, 2, 5), (5,))),
    )
