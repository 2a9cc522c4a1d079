"""The second stage: a checked network. Every name is resolved, every argument has its value, every size is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING

from dslc.source import Source, Span

if TYPE_CHECKING:
    from dslc.clips import Clip
    from dslc.diagnostics import Diagnostic
    from dslc.inits import Init
    from dslc.layers import Layer
    from dslc.losses import Loss
    from dslc.objective import Objective
    from dslc.optimizers import Optimizer
    from dslc.regularizers import Constraint, Penalty
    from dslc.schedules import Schedule

Shape = tuple[int, ...]
"""Size of one example: `(features,)` or `(height, width, channels)`."""


def show_shape(shape: Shape) -> str:
    return "x".join(str(n) for n in shape)


@dataclass(frozen=True)
class Value:
    """Something that flows: an input or the result of a node. `name` is unique in the network."""

    name: str
    shape: Shape

    @property
    def elements(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True)
class Parameter:
    """An array that belongs to a layer, under its full name `<layer>.<parameter>`.

    `decays`: regularizers touch it (weights of dense and conv). `trained`: the optimizer updates it; running
    averages are not. `fan_in`, `fan_out`: the numbers of inputs and outputs that the inits scale by.
    `units`: the axis along which the units or filters lie.
    """

    name: str
    shape: Shape
    init: Init
    trained: bool = True
    decays: bool = False
    frozen: bool = False
    fan_in: int = 1
    fan_out: int = 1
    units: int = 0
    regularizers: tuple[Penalty, ...] = ()
    constraints: tuple[Constraint, ...] = ()

    @property
    def elements(self) -> int:
        return prod(self.shape)

    @property
    def learns(self) -> bool:
        return self.trained and not self.frozen


@dataclass(frozen=True)
class Node:
    """A layer at its place: what flows in, what flows out, which parameters it owns."""

    name: str
    layer: Layer
    inputs: tuple[Value, ...]
    output: Value
    parameters: tuple[Parameter, ...]
    span: Span

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        return tuple(value.shape for value in self.inputs)

    def parameter(self, role: str) -> Parameter | None:
        """The parameter `<layer>.<role>`, or None where the layer has none (a conv with bias=off)."""
        return next((p for p in self.parameters if p.name == f"{self.name}.{role}"), None)


@dataclass(frozen=True)
class Head:
    """An output of the network and the loss that judges it (None in a network without `train`)."""

    name: str
    value: Value
    loss: Loss | None = None


@dataclass(frozen=True)
class Training:
    """What `train` says. `batch` is None for `batch all`; `objective` says which epoch is the best one. `precise`: only
    algorithms that round as little as the plain sum of products do, in prediction too."""

    optimizer: Optimizer
    schedule: Schedule | None
    batch: int | None
    epochs: int
    shuffle: bool
    patience: int | None
    objective: Objective
    metrics: tuple[str, ...]
    confusion: bool
    seed: int
    clip: Clip | None = None
    precise: bool = False


@dataclass(frozen=True)
class Range:
    """What a search may choose from. `bounds`: the lower and the upper end, or the values of a `choice`."""

    kind: str
    bounds: tuple[object, ...]


@dataclass(frozen=True)
class ParamValue:
    """A `param` of the file with the value it has in this network; `range` if it is searchable."""

    name: str
    value: object
    range: Range | None


@dataclass(frozen=True)
class Network:
    """A whole checked file. `nodes` are in an order in which they can run."""

    name: str
    source: Source
    inputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    heads: tuple[Head, ...]
    training: Training | None
    precision: str
    params: tuple[ParamValue, ...]
    notes: tuple[Diagnostic, ...] = field(default=(), compare=False)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return tuple(p for node in self.nodes for p in node.parameters)

    @property
    def precise(self) -> bool:
        """Whether `train` asks for the most accurate algorithms."""
        return self.training is not None and self.training.precise

    def producer(self, value: Value) -> Node | None:
        """The node that makes a value; None for an input."""
        return next((node for node in self.nodes if node.output == value), None)

    def verify(self) -> None:
        """Every node's inputs are made before it; names are unique; sizes are what the layers say."""
        known = {value.name: value for value in self.inputs}
        assert len(known) == len(self.inputs)
        for node in self.nodes:
            assert all(known.get(v.name) == v for v in node.inputs), node.name
            assert node.output.name not in known, node.name
            assert node.layer.infer(node.input_shapes) == node.output.shape, node.name
            known[node.output.name] = node.output
        assert self.heads and all(known.get(h.value.name) == h.value for h in self.heads)
        names = [p.name for p in self.parameters]
        assert len(set(names)) == len(names)
        assert self.training is None or all(h.loss is not None for h in self.heads)
