"""What layers mean. One file a layer: its arguments, size rule, parameters, NumPy reference and operations.

The file's name is the layer's name in the language; see CONTRIBUTING.md for the recipe to add one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from dslc.lowering.site import Site
from dslc.numerics import Array
from dslc.operation import OUTPUT
from dslc.scalar import Scalar, variable
from dslc.shape import Shape, SizeProblem, show_shape


@dataclass(frozen=True)
class Weights:
    """A parameter as a layer declares it. `init` names the default init; None asks for the one that suits what follows.

    `decays`, `fan_in`, `fan_out`, `trained`, `units` mean what they mean in `ir.Parameter`.
    """

    role: str
    shape: Shape
    init: str | None = None
    decays: bool = False
    fan_in: int = 1
    fan_out: int = 1
    trained: bool = True
    units: int = 0


@dataclass(frozen=True)
class Mode:
    """How a reference runs: in training or prediction, and which numbers random layers draw."""

    training: bool
    seed: int = 0
    step: int = 0
    stream: int = 0


Pull = Callable[[Array], tuple[tuple[Array, ...], dict[str, Array]]]


@dataclass(frozen=True)
class Reference:
    """A layer's result in NumPy. `pull(dy)` gives the gradients of the inputs and, by role, of the parameters;
    `updates` holds running averages after the step."""

    y: Array
    pull: Pull
    updates: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Example:
    """A layer with arguments (as in the language) on inputs of these shapes: a test case of every kind."""

    text: str
    inputs: tuple[Shape, ...]


class Layer:
    """Base of all layers; a subclass is a frozen dataclass whose annotated fields are the layer's arguments."""

    merges: ClassVar[bool] = False
    """Takes several values: `add(a, b)`."""
    first: ClassVar[bool] = False
    """Stands directly after an input, because `fit` fits it on the data: see `fitted`."""
    augments: ClassVar[bool] = False
    """Changes examples at random in training, and stands before everything that learns."""
    smooth: ClassVar[bool] = True
    """Has no kinks: finite differences need no care."""
    suits: ClassVar[str | None] = None
    """For activations: the init that suits the layer before it."""
    examples: ClassVar[tuple[Example, ...]] = ()

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The output's shape. Raises SizeProblem where the inputs do not fit."""
        raise NotImplementedError

    def formula(self, inputs: tuple[Shape, ...]) -> str:
        """The size formula with its numbers, for the table of `dslc check`."""
        return ""

    def unreached(self, inputs: tuple[Shape, ...]) -> str:
        """Rows or columns that the stride never reaches, in words; empty where there are none."""
        return ""

    def parameters(self, inputs: tuple[Shape, ...]) -> tuple[Weights, ...]:
        return ()

    def fitted(self, x: Array) -> dict[str, Array]:
        """Of a layer that stands first: its parameters, by role, for the training set x (n, *input)."""
        raise NotImplementedError

    def multiply_adds(self, inputs: tuple[Shape, ...]) -> int:
        """Multiply-adds for one example, forward."""
        return 0

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """The layer in NumPy, written from its definition; arrays have the batch in front."""
        raise NotImplementedError

    def forward(self, site: Site) -> None:
        """The operations from `site.x` to `site.y`."""
        raise NotImplementedError

    def backward(self, site: Site) -> None:
        """The operations from `site.dy` to `site.dx` and the gradients of the parameters."""
        raise NotImplementedError

    def after(self, site: Site) -> None:
        """What else changes when a step is accepted: running averages."""


X, Y = variable("x"), variable("y")


@dataclass(frozen=True)
class MapDetail:
    """One formula for every element, in `x` and `y`; for a gradient the derivative, which dy is multiplied by."""

    formula: Scalar

    @property
    def variables(self) -> tuple[str, ...]:
        """Which of x and y the formula needs: the others need not be kept."""
        return tuple(name for name in ("x", "y") if re.search(rf"\b{name}\b", self.formula.code))


class Activation(Layer):
    """An activation of one element: a subclass gives the value in terms of X and the derivative in terms of X and Y."""

    def value(self) -> Scalar:
        raise NotImplementedError

    def derivative(self) -> Scalar:
        raise NotImplementedError

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        return inputs[0]

    def inner_value(self) -> Scalar:
        """The same value inside the network, where it may hide what the derivative wants to know: the sign of a zero.
        Prediction uses it too, so that both run the same C."""
        return self.value()

    def forward(self, site: Site) -> None:
        value = self.value() if site.y.role == OUTPUT else self.inner_value()
        site.op("map", "forward", site.x, (site.y,), MapDetail(value))

    def backward(self, site: Site) -> None:
        detail = MapDetail(self.derivative())
        known = {"x": site.x[0], "y": site.y}
        if (dx := site.dx[0]) is not None:
            reads = (site.dy, *(known[name] for name in detail.variables))
            site.op("map_gradient", "backward", reads, (dx,), detail)


class Passing(Layer):
    """A layer that hands its value on as it is; only the shape may change."""

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        return inputs[0]

    def forward(self, site: Site) -> None:
        site.op("identity", "forward", site.x, (site.y,))

    def backward(self, site: Site) -> None:
        if site.dx[0] is not None:
            site.op("identity", "backward", (site.dy,), (site.dx[0],))


def require_alike(inputs: Iterable[Shape], what: str) -> Shape:
    """The shape that all inputs of a merge share."""
    shapes = list(dict.fromkeys(inputs))
    if len(shapes) > 1:
        found = " and ".join(show_shape(s) for s in shapes)
        raise SizeProblem(f"{what} needs values of one size; here are {found}")
    return shapes[0]
