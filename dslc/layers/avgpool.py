"""avgpool: the mean of each window (notes: 'Average pooling', 'Average Pooling - Backward Pass')."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.language.arguments import Flag
from dslc.layers import Example
from dslc.layers._pooling import AveragePooling, Windowed


@dataclass(frozen=True)
class AvgPool(Windowed, AveragePooling):
    """The mean over windows of `size`, `stride` pixels apart; padding counts only with `count_pad`, what `ceil` adds
    never."""

    count_pad: Flag = False

    kind = "avgpool"
    examples = (
        Example("avgpool(2x2)", ((6, 4, 3),)),
        Example("avgpool(3x2, stride=2x1, pad=1)", ((7, 5, 2),)),
        Example("avgpool(3, stride=2, pad=same)", ((5, 6, 17),)),
        Example("avgpool(3x2, stride=2, pad=1, ceil=on, count_pad=on)", ((7, 6, 3),)),
        Example("avgpool(2, stride=3, ceil=on)", ((7, 5, 4),)),
        Example("avgpool(3, stride=1, pad=1, count_pad=on)", ((3, 1, 17),)),
    )

    @property
    def counts_padding(self) -> bool:
        """As `count_pad` says."""
        return self.count_pad
