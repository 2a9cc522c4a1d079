"""formula: a loss that the spec writes, `loss formula((y - t)^2 * 0.5)`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from dslc.formula import Formula
from dslc.formula_reference import evaluated
from dslc.language.arguments import FormulaOf, Positive
from dslc.losses import ElementLoss, shares
from dslc.numerics import Array, np
from dslc.scalar import Scalar, variable

NAMES = {"y": variable("z"), "t": variable("t")}


@dataclass(frozen=True)
class FormulaLoss(ElementLoss):
    """The mean over mini-batch and outputs of a formula of the output y and the target t, which the compiler
    differentiates; a NaN target is missing."""

    formula: Annotated[Formula, FormulaOf(("y", "t"))]
    weight: Positive = 1.0

    def value(self) -> Scalar:
        """The formula."""
        return self.formula.scalar(NAMES)

    def slope(self) -> Scalar:
        """Its derivative with respect to y."""
        return self.formula.derivative("y").scalar(NAMES)

    def reference(self, z: Array, target: Array, weights: Array | None = None) -> tuple[float, Array]:
        """The mean of the formula over the targets that are present, and its derivative / count."""
        there, share = shares(target, weights)
        value, slope = evaluated(self.formula, {"y": z, "t": np.where(there, target, 0)}, "y")
        loss = np.where(there, value, 0)
        return self.weight * (share * loss).sum(), self.weight * share * np.where(there, slope, 0)
