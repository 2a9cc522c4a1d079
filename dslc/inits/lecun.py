"""lecun: N(0, 1 / n_in) (LeCun et al. 1998), for selu."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.inits.xavier import Xavier


@dataclass(frozen=True)
class Lecun(Xavier):
    """N(0, 1 / fan_in), which selu needs to normalize itself (LeCun et al. 1998; Klambauer et al. 2017). The notes call
    it Xavier initialization: the same numbers as `xavier`."""
