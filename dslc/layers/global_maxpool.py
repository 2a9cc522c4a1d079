"""global_maxpool: the largest pixel of each channel, as a vector."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.geometry import Window
from dslc.ir import Shape
from dslc.layers import Example
from dslc.layers._pooling import MaxPooling


@dataclass(frozen=True)
class GlobalMaxPool(MaxPooling):
    """Maximum over all rows and columns."""

    kind = "global_maxpool"
    examples = (Example("global_maxpool", ((4, 5, 3),)),)

    def window_for(self, shape: Shape) -> Window:
        return Window((shape[0], shape[1]))
