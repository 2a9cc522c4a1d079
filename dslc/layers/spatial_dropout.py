"""spatial_dropout: dropout of whole channels (Tompson et al. 2015)."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.layers import Example
from dslc.layers.dropout import Dropout
from dslc.shape import Shape, require_places


@dataclass(frozen=True)
class SpatialDropout(Dropout):
    """In training drops each channel of each image or sequence with probability `rate` and divides the others by
    1 - rate; does nothing at prediction. Neighboring pixels are alike, so that dropping some of them drops little
    (Tompson et al. 2015)."""

    kind = "channel_dropout"
    examples = (
        Example("spatial_dropout(0.4)", ((3, 5, 7),)),
        Example("spatial_dropout(keep=0.7)", ((2, 3, 130),)),
        Example("spatial_dropout(0.4)", ((4, 4, 16),)),
        Example("spatial_dropout(0.4)", ((6, 5),)),
    )

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The shape of the input. Raises SizeProblem for a vector, and unless one of `rate` and `keep` is given."""
        require_places(inputs[0], "spatial_dropout")
        return super().infer(inputs)

    def mask(self, shape: Shape) -> Shape:
        """One draw a channel: (1, 1, channels), of a sequence (1, channels)."""
        return (*(1,) * (len(shape) - 1), shape[-1])
