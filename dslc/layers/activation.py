"""activation: an activation that the spec writes, `activation(x * sigmoid(1.702 * x))`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from dslc.formula import Formula
from dslc.formula_reference import evaluated
from dslc.language.arguments import FormulaOf
from dslc.layers import Activation, Example, Mode, Reference, X
from dslc.numerics import Array, np
from dslc.scalar import Scalar


@dataclass(frozen=True)
class FormulaActivation(Activation):
    """A formula of x for every element, which the compiler differentiates."""

    y: Annotated[Formula, FormulaOf(("x",))]

    examples = (
        Example("activation(x * sigmoid(1.702 * x))", ((7,),)),
        Example("activation((x^2 + 1)^0.5 - tanh(x) / (2 + exp(-x)) + log(softplus(x) + 1)^3)", ((3, 5, 2),)),
        Example("activation(2 * x)", ((17,),)),
    )

    def value(self) -> Scalar:
        """The formula."""
        return self.y.scalar({"x": X})

    def derivative(self) -> Scalar:
        """Its derivative with respect to x."""
        return self.y.derivative("x").scalar({"x": X})

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = the formula at x, and dx = dy times its derivative, both forward through the tree."""
        y, slope = evaluated(self.y, {"x": xs[0]}, "x")
        shape = xs[0].shape
        return Reference(np.broadcast_to(y, shape), lambda dy: ((dy * slope,), {}))
