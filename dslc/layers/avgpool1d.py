"""avgpool1d: the mean of each window of steps."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.language.arguments import Flag
from dslc.layers import Example
from dslc.layers._pooling import AveragePooling, WindowedSteps


@dataclass(frozen=True)
class AvgPool1d(WindowedSteps, AveragePooling):
    """The mean over windows of `size` steps, `stride` steps apart; padding counts only with `count_pad`, what `ceil`
    adds never."""

    count_pad: Flag = False

    kind = "avgpool1d"
    examples = (
        Example("avgpool1d(2)", ((7, 3),)),
        Example("avgpool1d(3, stride=2, pad=1, ceil=on, count_pad=on)", ((8, 5),)),
    )

    @property
    def counts_padding(self) -> bool:
        """As `count_pad` says."""
        return self.count_pad
