"""What kernels are told of operations that belong to no layer: penalties, updates, limits, total losses."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.optimizers import Rule
from dslc.scalar import Scalar

CHUNKS = 16
"""Long sums go through this many parts, whatever the number of threads: the bits stay the same."""


@dataclass(frozen=True)
class ParameterDetail:
    """Operations on all elements of one parameter: a formula in `w`, or the optimizer's rule and what it sees in
    place of `g`."""

    parameter: str
    formula: Scalar | None = None
    rule: Rule | None = None
    clipped: Scalar | None = None


@dataclass(frozen=True)
class TotalDetail:
    """Heads as (name, weight) and how many penalties follow them."""

    heads: tuple[tuple[str, float], ...]
    penalties: int


@dataclass(frozen=True)
class ClipDetail:
    """The largest norm that all gradients may have together."""

    limit: float


@dataclass(frozen=True)
class ConstraintDetail:
    """A limit for every unit of a layer; `units` is the axis of the weights along which they lie."""

    limit: float
    units: int
