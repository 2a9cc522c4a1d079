"""global_avgpool: the mean of each channel, as a vector."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.layers import Example
from dslc.layers._pooling import AveragePooling, Global


@dataclass(frozen=True)
class GlobalAvgPool(Global, AveragePooling):
    """Mean over all rows and columns, or over all steps."""

    kind = "global_avgpool"
    examples = (
        Example("global_avgpool", ((4, 5, 3),)),
        Example("global_avgpool(keep=on)", ((4, 5, 3),)),
        Example("global_avgpool", ((7, 3),)),
        Example("global_avgpool", ((70, 3), (1,))),
    )
