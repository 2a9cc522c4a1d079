"""alpha_dropout: dropout for selu (Klambauer et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.layers import Example
from dslc.layers.dropout import Dropout, DropoutDetail
from dslc.layers.selu import ALPHA, SCALE


@dataclass(frozen=True)
class AlphaDropout(Dropout):
    """In training sets each element with probability `rate` to the lowest value of selu, and then scales and shifts all
    so that mean 0 and variance 1 remain; does nothing at prediction (Klambauer et al. 2017)."""

    examples = (Example("alpha_dropout(0.4)", ((9, 5, 3),)), Example("alpha_dropout(keep=0.8)", ((33,),)))

    def detail(self, stream: int) -> DropoutDetail:
        """With low = -scale * alpha: a * low + b for dropped x and a * x + b for others, where
        a = 1 / sqrt(keep * (1 + rate * low^2)) and b = -a * rate * low."""
        low, keep = -SCALE * ALPHA, 1 - self.drop
        return DropoutDetail(self.drop, (keep * (1 + self.drop * low**2)) ** -0.5, stream, low)
