"""drop_path: stochastic depth (Huang et al. 2016)."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.layers import Example
from dslc.layers.dropout import Dropout
from dslc.shape import Shape


@dataclass(frozen=True)
class DropPath(Dropout):
    """In training drops everything of an example with probability `rate`, and divides that of the others by 1 - rate;
    does nothing at prediction. Before the sum of a residual block it leaves the block out for some examples (Huang et
    al. 2016)."""

    kind = "channel_dropout"
    examples = (Example("drop_path(0.4)", ((3, 5, 7),)), Example("drop_path(keep=0.7)", ((33,),)))

    def mask(self, shape: Shape) -> Shape:
        """One draw an example: as many ones as the shape has axes."""
        return (1,) * len(shape)
