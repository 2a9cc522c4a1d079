"""ema: an exponential moving average of the parameters (Polyak and Juditsky 1992)."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.averages import Average
from dslc.language.arguments import Fraction
from dslc.numerics import Array


@dataclass(frozen=True)
class Ema(Average):
    """average = decay * average + (1 - decay) * w; the parameters themselves after the first update, as in PyTorch's
    AveragedModel."""

    decay: Fraction = 0.999

    @property
    def keep(self) -> float:
        """The decay."""
        return self.decay

    def reference(self, average: Array, w: Array, step: int) -> Array:
        """The formula of the class."""
        return w if step == 1 else self.decay * average + (1 - self.decay) * w
