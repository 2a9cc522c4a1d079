"""avgpool: the mean of each window (notes: 'Average pooling', 'Average Pooling - Backward Pass')."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.layers import Example
from dslc.layers._pooling import AveragePooling, Windowed


@dataclass(frozen=True)
class AvgPool(Windowed, AveragePooling):
    """The mean over windows of `size`, `stride` pixels apart; padding is not counted."""

    kind = "avgpool"
    examples = (
        Example("avgpool(2x2)", ((6, 4, 3),)),
        Example("avgpool(3x2, stride=2x1, pad=1)", ((7, 5, 2),)),
        Example("avgpool(3, stride=2, pad=same)", ((5, 6, 17),)),
    )
