"""Details of operations that belong to no single layer: penalties, updates, limits, total losses, products in bf16."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.optimizers import Rule
from dslc.scalar import Scalar

CHUNKS = 16
"""Long sums are split into this many parts, whatever the number of threads, so that the bits do not depend on it."""


@dataclass(frozen=True)
class ParameterDetail:
    """An operation on all elements of one parameter: a formula in `w`, or the optimizer's rule and what it gets in
    place of `g`."""

    parameter: str
    formula: Scalar | None = None
    rule: Rule | None = None
    clipped: Scalar | None = None


@dataclass(frozen=True)
class TotalDetail:
    """The heads as (name, weight), and how many penalties follow them."""

    heads: tuple[tuple[str, float], ...]
    penalties: int


@dataclass(frozen=True)
class SlicesOfRank:
    """Ranks share a mini-batch that is worked through in slices, of some of which a rank may have no example."""


@dataclass(frozen=True)
class ClipDetail:
    """The largest joint norm that the gradients may have."""

    limit: Scalar


@dataclass(frozen=True)
class AverageDetail:
    """The share of the old average that an update keeps."""

    keep: float


@dataclass(frozen=True)
class UnitsDetail:
    """The axis of the units in the weights of a layer."""

    units: int


@dataclass(frozen=True)
class ConstraintDetail:
    """A limit for every unit of a layer; `units` is the axis of the units in the weights."""

    limit: float
    units: int


@dataclass(frozen=True)
class Bf16Detail:
    """A product of `steps` rows an example with weights (units, inputs): with `backward` the gradients of the inputs,
    dy W, else x W^T."""

    steps: int
    inputs: int
    units: int
    backward: bool = False

    @property
    def summed(self) -> int:
        """How many products each sum has."""
        return self.units if self.backward else self.inputs

    @property
    def columns(self) -> int:
        """How many numbers a row of the result has."""
        return self.inputs if self.backward else self.units
