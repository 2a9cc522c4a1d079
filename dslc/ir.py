"""The second stage: a checked network. Every name is resolved, every argument has its value, every size is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod

from dslc.averages import Average
from dslc.clips import Clip
from dslc.columns import Table
from dslc.html_pieces import html_table
from dslc.inits import Init
from dslc.language.diagnostics import Diagnostic
from dslc.language.source import Source, Span
from dslc.layers import Layer
from dslc.losses import Loss
from dslc.objective import Objective
from dslc.optimizers import Optimizer
from dslc.regularizers import Constraint, Penalty
from dslc.schedules import Schedule
from dslc.shape import Shape, show_shape

MIXED = "mixed"
"""The precision in which dense layers and attention multiply in bf16 and all else is float32."""
PRECISIONS = ("float32", "float64", MIXED)
LAYER_COLUMNS = ("layer", "output", "parameters", "multiply-adds")
"""What is told of each layer in a table."""


@dataclass(frozen=True)
class Value:
    """What flows between layers: an input or the result of a node. `name` is unique in the network."""

    name: str
    shape: Shape

    @property
    def elements(self) -> int:
        """Numbers in one example."""
        return prod(self.shape)


@dataclass(frozen=True)
class Parameter:
    """An array that belongs to a layer, under its full name `<layer>.<parameter>`.

    `decays`: regularizers apply to it (weights of dense and conv). `trained`: the optimizer updates it, which running
    averages are not, with `lr_factor` times the learning rate. `fan_in`, `fan_out`: the numbers of inputs and outputs
    that inits scale by. `units`: the axis of the units or filters. `own_regularizers`: the layer's call gives the
    regularizers, not `train`.
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
    own_regularizers: bool = False
    constraints: tuple[Constraint, ...] = ()
    lr_factor: float = 1.0

    @property
    def elements(self) -> int:
        """Numbers in the array."""
        return prod(self.shape)

    @property
    def learns(self) -> bool:
        """Whether the optimizer updates it: `trained`, and its layer is not frozen."""
        return self.trained and not self.frozen


@dataclass(frozen=True)
class Node:
    """A layer in its place: its inputs, its output, the parameters it owns, and those that it shares with an earlier
    node, which owns them (`borrowed`). `span` is the call in the net, that of a block for the layers in it; `call` is
    the layer's own call, and `block` names this run of the outermost block. `rounds_weight`: in training its weight is
    rounded to 8-bit integers, see `layers/_fake_quantize.py`."""

    name: str
    layer: Layer
    inputs: tuple[Value, ...]
    output: Value
    parameters: tuple[Parameter, ...]
    span: Span
    call: Span
    block: str = ""
    borrowed: tuple[Parameter, ...] = ()
    rounds_weight: bool = False

    @cached_property
    def roles(self) -> dict[str, Parameter]:
        """What the layer computes with, by role: what it owns or shares. The parameter `conv1.weight` has the role
        `weight`."""
        return {p.name.partition(".")[2]: p for p in (*self.parameters, *self.borrowed)}

    @property
    def learns(self) -> bool:
        """Whether the optimizer updates something that the layer computes with."""
        return any(p.learns for p in self.roles.values())

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        """The shape of one example of each input."""
        return tuple(value.shape for value in self.inputs)

    @property
    def frozen(self) -> bool:
        """Has parameters, and all of them stay as they are: in training too it does what it does at prediction."""
        return bool(self.roles) and all(p.frozen for p in self.roles.values())

    def parameter(self, role: str) -> Parameter | None:
        """The parameter of a role; None if the layer has none (a conv with bias=off)."""
        return self.roles.get(role)


@dataclass(frozen=True)
class Head:
    """An output of the network and its loss (None in a network without `train`). One that is `train_only` has a loss in
    training, and at prediction is not computed."""

    name: str
    value: Value
    loss: Loss | None = None
    train_only: bool = False


def class_weights_role(head: str) -> str:
    """The parameter of a head's last layer that holds balanced class weights."""
    return f"{head}_class_weights"


STOP, SKIP, HALVE_LR = ON_NAN = ("stop", "skip", "halve_lr")
"""What becomes of training at a step whose loss or gradients are not finite: it ends, goes on without the step, or
does so with half the learning rate."""


@dataclass(frozen=True)
class MemoryLimit:
    """`memory low`, where `bytes` is None, or `memory 500MB`: the most that training may take. What it keeps too little
    of is computed again. `span` is where the file says it."""

    bytes: int | None
    span: Span = field(compare=False, repr=False)

    def __str__(self) -> str:
        return "low" if self.bytes is None else str(self.bytes)


@dataclass(frozen=True)
class Training:
    """What `train` says. `batch` is None for `batch all`; it is worked through in `slices` parts of equal size, whose
    gradients are accumulated, or as the planner finds best where they are None. With an `average`, predictions use the
    average of the parameters. `objective` decides which epoch is best. `precise`: only algorithms with no more
    rounding error than the plain sum of products, in prediction too. `on_nan`: what becomes of training at a step that
    is not finite. `memory`: None where every activation is kept that the backward pass reads. `quantize`: `int8` where
    training rounds as integers will."""

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
    slices: int | None = None
    average: Average | None = None
    on_nan: str = STOP
    memory: MemoryLimit | None = None
    quantize: str | None = None

    @property
    def checks_gradients(self) -> bool:
        """Whether all gradients are looked at before the first update: who goes on needs parameters as before."""
        return self.on_nan != STOP

    @property
    def divided(self) -> bool:
        """Whether the file divides the mini-batch."""
        return self.slices is not None and self.slices > 1

    @property
    def slice(self) -> int | None:
        """The most examples that the file lets layers see together; None for `batch all`."""
        return None if self.batch is None else self.batch // (self.slices or 1)


@dataclass(frozen=True)
class Range:
    """What a search may choose from. `bounds` are the lower and the upper end, or the values of a `choice`."""

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
    """A whole checked file. `nodes` are in an order in which they can run; `tables` are the inputs that declare
    columns."""

    name: str
    source: Source
    inputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    heads: tuple[Head, ...]
    training: Training | None
    precision: str
    params: tuple[ParamValue, ...]
    notes: tuple[Diagnostic, ...] = field(default=(), compare=False)
    tables: tuple[Table, ...] = ()

    @property
    def open(self) -> bool:
        """Whether a column's values, and with them the sizes of layers, are not known before there are data."""
        return any(table.open for table in self.tables)

    def table(self, input_name: str) -> Table | None:
        """The columns of an input; None if it declares none."""
        return next((table for table in self.tables if table.input == input_name), None)

    @property
    def answers(self) -> tuple[Head, ...]:
        """The heads that are computed at prediction. They come first among the heads."""
        return tuple(head for head in self.heads if not head.train_only)

    @property
    def predicting(self) -> frozenset[str]:
        """The nodes that the answers depend on, by name."""
        return self._before(self.answers)

    def _before(self, heads: tuple[Head, ...]) -> frozenset[str]:
        needed = {head.value.name for head in heads}
        found: set[str] = set()
        for node in reversed(self.nodes):
            if node.output.name in needed:
                found.add(node.name)
                needed.update(value.name for value in node.inputs)
        return frozenset(found)

    def needed(self) -> Network:
        """The network without nodes that no head depends on. What they share with one that is left it owns then."""
        nodes: list[Node] = []
        owned: set[str] = set()
        names = self._before(self.heads)
        for node in (n for n in self.nodes if n.name in names):
            adopted = tuple(p for p in node.borrowed if p.name not in owned)
            kept = tuple(p for p in node.borrowed if p.name in owned)
            nodes.append(replace(node, parameters=(*node.parameters, *adopted), borrowed=kept))
            owned.update(p.name for p in nodes[-1].parameters)
        return replace(self, nodes=tuple(nodes))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters of all nodes, in the order of the nodes."""
        return tuple(p for node in self.nodes for p in node.parameters)

    @property
    def dtype(self) -> str:
        """The NumPy type of its numbers: that of the precision, and float32 for `mixed`."""
        return "float32" if self.precision == MIXED else self.precision

    @property
    def precise(self) -> bool:
        """Whether `train` asks for the most accurate algorithms."""
        return self.training is not None and self.training.precise

    def class_weights(self, head: Head) -> Parameter | None:
        """The balanced class weights of a head; None where the file gives numbers or none."""
        role = class_weights_role(head.name)
        return next((p for node in self.nodes if (p := node.parameter(role)) is not None), None)

    @property
    def whole_numbers(self) -> dict[Value, tuple[int, int]]:
        """For inputs that count something or name words: the least and the largest whole number that all layers which
        read them take."""
        found: dict[Value, tuple[int, int]] = {}
        for value, _, least, most in self.counts():
            low, high = found.get(value, (least, most))
            found[value] = (max(low, least), min(high, most))
        return found

    def weights_bytes(self, itemsize: int) -> int:
        """The bytes of a copy of all parameters, as `fit` keeps those of the best epoch."""
        return sum(p.elements for p in self.parameters) * itemsize

    def counts(self) -> Iterator[tuple[Value, str, int, int]]:
        """Inputs that count something or name words: who reads them, and the least and the largest whole number that
        this takes."""
        for node in self.nodes:
            for place, (least, most) in node.layer.whole_numbers(node.input_shapes).items():
                if node.inputs[place] in self.inputs:
                    yield node.inputs[place], node.name, least, most
        for head in self.heads:
            if (lengths := self.lengths_of(head)) is not None:
                yield lengths, f"the loss of {head.name}", 0, head.value.shape[0]

    def lengths_of(self, head: Head) -> Value | None:
        """The input that tells a head's loss how many steps each example has; None where it asks for none."""
        name = None if head.loss is None else head.loss.lengths
        return next((value for value in self.inputs if value.name == name), None)

    @property
    def users(self) -> dict[str, tuple[str, ...]]:
        """By a parameter's name the nodes that compute with it: its owner, then those that share it."""
        found: dict[str, tuple[str, ...]] = {}
        for node in self.nodes:
            for p in node.roles.values():
                found[p.name] = (*found.get(p.name, ()), node.name)
        return found

    def averages(self, parameter: Parameter) -> bool:
        """Whether predictions use an average of the parameter over the updates."""
        return parameter.learns and self.training is not None and self.training.average is not None

    def producer(self, value: Value) -> Node | None:
        """The node that makes a value; None for an input."""
        return next((node for node in self.nodes if node.output == value), None)

    @property
    def title(self) -> str:
        """The name, with the sizes of the inputs."""
        inputs = ", ".join(f"{value.name} {show_shape(value.shape)}" for value in self.inputs)
        return f"{self.name}: input {inputs}, {self.precision}"

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Words on every layer, under LAYER_COLUMNS."""
        return [
            (
                node.name,
                show_shape(node.output.shape),
                f"{sum(p.elements for p in node.parameters if p.trained):,}",
                f"{node.layer.multiply_adds(node.input_shapes):,}",
            )
            for node in self.nodes
        ]

    def _repr_html_(self) -> str:
        """A table of the layers, for notebooks."""
        return html_table(self.title, LAYER_COLUMNS, self.rows())

    def verify(self) -> None:
        """Asserts that inputs are computed before they are used, that names are unique, and that sizes are as the
        layers say."""
        known = {value.name: value for value in self.inputs}
        assert len(known) == len(self.inputs)
        for node in self.nodes:
            assert all(known.get(v.name) == v for v in node.inputs), node.name
            assert node.output.name not in known, node.name
            assert node.layer.infer(node.input_shapes) == node.output.shape, node.name
            known[node.output.name] = node.output
        assert self.answers == self.heads[: len(self.answers)]
        assert self.answers and all(known.get(h.value.name) == h.value for h in self.heads)
        names = [p.name for p in self.parameters]
        assert len(set(names)) == len(names)
        assert all(p in self.parameters for node in self.nodes for p in node.borrowed)
        assert self.training is None or all(h.loss is not None for h in self.heads)
