"""What layers mean. One file per layer: its arguments, size rule, parameters, NumPy reference and operations.

The file's name is the layer's name in the language; CONTRIBUTING.md shows how to add one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from dslc.inits import Init
from dslc.lowering.site import Site
from dslc.numerics import Array
from dslc.operation import OUTPUT
from dslc.scalar import Scalar, variable
from dslc.shape import Shape


@dataclass(frozen=True)
class Weights:
    """A parameter as a layer declares it. `init` is its init or the name of one; None leaves the choice to the spec or
    to the activation that follows.

    `decays`, `fan_in`, `fan_out`, `trained` and `units` are as in `ir.Parameter`.
    """

    role: str
    shape: Shape
    init: Init | str | None = None
    decays: bool = False
    fan_in: int = 1
    fan_out: int = 1
    trained: bool = True
    units: int = 0
    usual: bool = False
    """An `init=` of the layer's call replaces `init`."""


@dataclass(frozen=True)
class Mode:
    """How a reference runs: in training or at prediction, and which random numbers it draws (see
    `philox.random_words`)."""

    training: bool
    seed: int = 0
    step: int = 0
    stream: int = 0


Pull = Callable[[Array], tuple[tuple[Array, ...], dict[str, Array]]]


@dataclass(frozen=True)
class Reference:
    """A layer's result in NumPy. `pull(dy)` gives the gradients of the inputs and, by role, of the parameters;
    `updates` are running averages after the step."""

    y: Array
    pull: Pull
    updates: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Example:
    """A layer with its arguments (as in the language) and the shapes of its inputs: a test case for every kind of
    test."""

    text: str
    inputs: tuple[Shape, ...]


Portion = tuple[Array, Array | None]
"""Some examples of the training set (n, *input), and what each of them counts (n,); None where all count alike."""


class Layer:
    """Base class of all layers; a subclass is a frozen dataclass whose annotated fields are the layer's arguments."""

    merges: ClassVar[bool] = False
    """Takes several values: `add(a, b)`."""
    takes: ClassVar[tuple[str, ...]] = ()
    """Arguments that name further values, in this order: an input, `lstm(32, lengths=n)`, through which nothing
    learns, but for those in `flows`."""
    flows: ClassVar[tuple[str, ...]] = ()
    """Which of these name any value, `attention(4, memory=h)`, through which gradients flow."""
    counts: ClassVar[bool] = False
    """Its result is a number of steps, which such an argument may name too."""
    first: ClassVar[bool] = False
    """Must come directly after an input, because `fit` fits it to the data: see `fitted`."""
    of_target: ClassVar[bool] = False
    """Ends a head: `fit` fits it to the targets, (target - mean) / std is compared with its input."""
    augments: ClassVar[bool] = False
    """Changes examples at random in training, so it must come before every layer that learns."""
    drops: ClassVar[bool] = False
    """In training leaves out a part of its input at random."""
    mixes: ClassVar[bool] = False
    """In training an example's result depends on the others of the mini-batch."""
    by_slice: ClassVar[bool] = True
    """Where a mini-batch is worked through in slices, `after` comes behind each; else behind the last alone."""
    smooth: ClassVar[bool] = True
    """Differentiable everywhere: finite differences need not avoid kinks."""
    suits: ClassVar[str | None] = None
    """For activations: the init that suits the layer before it."""
    examples: ClassVar[tuple[Example, ...]] = ()

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The output's shape. Raises SizeProblem if the inputs do not fit."""
        raise NotImplementedError

    def formula(self, inputs: tuple[Shape, ...]) -> str:
        """The size formula with its numbers, for the table of `dslc check`; empty if there is nothing to explain."""
        return ""

    def unreached(self, inputs: tuple[Shape, ...]) -> str:
        """Rows or columns that no window reaches because of the stride, in words; empty if there are none."""
        return ""

    @property
    def hyperparameters(self) -> Mapping[str, float]:
        """Arguments that may be numbers at run time: when it is lowered, they are names. None where they switch the
        layer off."""
        return {}

    def with_bf16(self) -> Layer:
        """The layer as `precision mixed` computes it: itself, unless it has products that are worth it."""
        return self

    def parameters(self, inputs: tuple[Shape, ...]) -> tuple[Weights, ...]:
        """What the layer learns or keeps for inputs of these shapes; empty for most layers."""
        return ()

    def fitted(self, portions: Iterable[Portion]) -> dict[str, Array]:
        """For a layer with `first`: its parameters, by role, from the training set in portions."""
        raise NotImplementedError

    def fitted_to_target(self, target: Array, weights: Array | None) -> dict[str, Array]:
        """For a layer with `of_target`: its parameters, by role, from the training set's targets (n, *output). weights:
        what each example counts (n,)."""
        raise NotImplementedError

    def multiply_adds(self, inputs: tuple[Shape, ...]) -> int:
        """Multiply-adds for one example, forward."""
        return 0

    def whole_numbers(self, inputs: tuple[Shape, ...]) -> Mapping[int, tuple[int, int]]:
        """For values that count something: the least and the largest whole number that may stand there, by the place of
        the value among those that the layer takes."""
        return {}

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """The layer in NumPy, written from its definition. `xs` are (n, *input), `p` the parameters by role."""
        raise NotImplementedError

    def forward(self, site: Site) -> None:
        """Emits the operations that compute `site.y` from `site.x`."""
        raise NotImplementedError

    def backward(self, site: Site) -> None:
        """Emits the operations that compute `site.dx` and the parameters' gradients from `site.dy`."""
        raise NotImplementedError

    def after(self, site: Site) -> None:
        """Emits what else changes when a step is accepted, such as running averages."""


X, Y = variable("x"), variable("y")


@dataclass(frozen=True)
class MapDetail:
    """A formula in `x` and `y` for every element; for a gradient, the derivative that dy is multiplied by."""

    formula: Scalar

    @property
    def variables(self) -> tuple[str, ...]:
        """Which of x and y the formula reads; the other need not be kept for the backward pass."""
        return tuple(name for name in ("x", "y") if self.formula.reads(name))


class Activation(Layer):
    """An elementwise activation: a subclass gives the value in terms of X, and the derivative in terms of X and Y."""

    def value(self) -> Scalar:
        """y as a formula in X."""
        raise NotImplementedError

    def derivative(self) -> Scalar:
        """dy/dx as a formula in X (the input) and Y (the result); what it does not use need not be kept in memory."""
        raise NotImplementedError

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The shape of the input."""
        return inputs[0]

    def inner_value(self) -> Scalar:
        """The value inside the network; it may carry what the derivative needs in the sign of a zero. Prediction uses
        it too, so that both run the same C."""
        return self.value()

    def forward(self, site: Site) -> None:
        """One `map` of the formula over all elements."""
        value = self.value() if site.y.role == OUTPUT else self.inner_value()
        site.op("map", "forward", site.x, (site.y,), MapDetail(value))

    def backward(self, site: Site) -> None:
        """dx = dy * derivative, elementwise, in one `map_gradient`."""
        detail = MapDetail(self.derivative())
        known = {"x": site.x[0], "y": site.y}
        if (dx := site.dx[0]) is not None:
            reads = (site.dy, *(known[name] for name in detail.variables))
            site.op("map_gradient", "backward", reads, (dx,), detail)


class Passing(Layer):
    """A layer that passes its numbers on unchanged; only the shape may change."""

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The shape of the input."""
        return inputs[0]

    def forward(self, site: Site) -> None:
        """One `identity`, which mostly costs nothing: see `kernels/identity.py`."""
        site.op("identity", "forward", site.x, (site.y,))

    def backward(self, site: Site) -> None:
        """dx is dy."""
        if site.dx[0] is not None:
            site.op("identity", "backward", (site.dy,), (site.dx[0],))
