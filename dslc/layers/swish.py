"""swish: another name of silu (Ramachandran et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.layers import Example
from dslc.layers.silu import Silu


@dataclass(frozen=True)
class Swish(Silu):
    """x * sigmoid(x), which is silu (Ramachandran et al. 2017)."""

    examples = (Example("swish", ((7,),)), Example("swish", ((3, 5, 2),)))
