"""maxpool1d: the maximum of each window of steps."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.layers import Example
from dslc.layers._pooling import MaxPooling, WindowedSteps


@dataclass(frozen=True)
class MaxPool1d(WindowedSteps, MaxPooling):
    """The maximum over windows of `size` steps, `stride` steps apart; the stride is the size unless given."""

    kind = "maxpool1d"
    examples = (
        Example("maxpool1d(2)", ((7, 3),)),
        Example("maxpool1d(3, stride=2, pad=causal, ceil=on)", ((8, 5),)),
    )
