"""maxpool: the maximum of each window (notes: 'Max pooling', 'Max Pooling - Backward Pass')."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.layers import Example
from dslc.layers._pooling import MaxPooling, Windowed


@dataclass(frozen=True)
class MaxPool(Windowed, MaxPooling):
    """The maximum over windows of `size`, `stride` pixels apart; the stride is the size unless given."""

    kind = "maxpool"
    examples = (
        Example("maxpool(2x2)", ((6, 4, 3),)),
        Example("maxpool(3x3, stride=2)", ((7, 9, 2),)),
        Example("maxpool(3, stride=2, pad=1)", ((6, 5, 17),)),
        Example("maxpool(3x2, stride=2x3, ceil=on)", ((8, 9, 3),)),
    )
