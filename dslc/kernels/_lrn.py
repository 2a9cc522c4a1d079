"""For the kernels of lrn: blocks of channels, and s^-beta."""

from __future__ import annotations

from dslc.layers.lrn import LrnDetail
from dslc.scalar import Scalar, constant, exp, log, sqrt, variable

BLOCK = 128
"""Channels that are normalized at a time: their sums stay in the L1 cache."""


def block(d: LrnDetail) -> int:
    """Channels in a block: BLOCK, or all if they are fewer."""
    return min(d.channels, BLOCK)


def power(beta: float) -> Scalar:
    """s^-beta; AlexNet's 0.75 by square roots, which are exact and fast."""
    s = variable("s")
    if beta == 0.75:
        return constant(1) / (sqrt(s) * sqrt(sqrt(s)))
    return exp(-beta * log(s))
