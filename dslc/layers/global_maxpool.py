"""global_maxpool: the maximum of each channel, as a vector."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.layers import Example
from dslc.layers._pooling import Global, MaxPooling


@dataclass(frozen=True)
class GlobalMaxPool(Global, MaxPooling):
    """Maximum over all rows and columns, or over all steps."""

    kind = "global_maxpool"
    examples = (
        Example("global_maxpool", ((4, 5, 3),)),
        Example("global_maxpool(keep=on)", ((4, 5, 3),)),
        Example("global_maxpool(keep=on)", ((7, 3),)),
        Example("global_maxpool(keep=on)", ((9, 17), (1,))),
    )
