"""alpha_dropout: dropout for selu (Klambauer et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.layers import Example
from dslc.layers.dropout import Dropout
from dslc.layers.selu import ALPHA, SCALE


@dataclass(frozen=True)
class AlphaDropout(Dropout):
    """In training sets each element with probability `rate` to the lowest value of selu, and then scales and shifts all
    so that mean 0 and variance 1 remain; does nothing at prediction (Klambauer et al. 2017)."""

    low = -SCALE * ALPHA
    examples = (Example("alpha_dropout(0.4)", ((9, 5, 3),)), Example("alpha_dropout(keep=0.8)", ((33,),)))

    @property
    def scale(self) -> float:
        """a = 1 / sqrt(keep * (1 + rate * low^2)), so that x becomes a * x + b, and what is dropped a * low + b, with
        b = -a * rate * low."""
        variance = (1 - self.drop) * (1 + self.drop * self.low**2)
        factor: float = variance**-0.5
        return factor
