"""What a layer sees of the ONNX graph that it becomes a part of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dslc.ir import Node
from dslc.numerics import Array, np
from dslc.shape import Shape


@dataclass
class GraphParts:
    """The nodes and constants of a model that grows. `nodes` are protobuf messages, `constants` arrays by name."""

    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    results: set[str] = field(default_factory=set)

    def op(self, name: str, kind: str, inputs: Sequence[str], outputs: int = 1, **attributes: Any) -> list[str]:
        """Adds an operator `kind` and gives the names of its results, which begin with `name`."""
        from onnx import helper

        names = [self._unused(name if outputs == 1 else f"{name}/{i}") for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=names[0], **attributes))
        return names

    def constant(self, name: str, array: Array) -> str:
        """Adds a constant and gives its name. One of this name with the same numbers is used again."""
        known = self.constants.get(name)
        if known is not None and not np.array_equal(known, array):
            return self.constant(f"{name}_", array)
        self.constants[name] = array
        return name

    def _unused(self, name: str) -> str:
        while name in self.results:
            name += "_"
        self.results.add(name)
        return name


@dataclass(frozen=True)
class Place:
    """A layer in its place. `x` are the names of its inputs in ONNX, `parameters` its arrays by role, in the shapes of
    the language."""

    parts: GraphParts
    node: Node
    x: tuple[str, ...]
    parameters: Mapping[str, Array]

    @property
    def layer(self) -> Any:
        """The layer with its arguments."""
        return self.node.layer

    @property
    def shape(self) -> Shape:
        """The shape of the first input, channels last."""
        return self.node.inputs[0].shape

    @property
    def result(self) -> Shape:
        """The shape of the result, channels last."""
        return self.node.output.shape

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """An operator with one result, whose name this gives."""
        return self.parts.op(f"{self.node.name}/{kind}", kind, inputs, **attributes)[0]

    def split(self, *inputs: str, outputs: int, axis: int) -> list[str]:
        """The equal parts of a value."""
        return self.parts.op(f"{self.node.name}/Split", "Split", inputs, outputs, axis=axis)

    def number(self, value: float) -> str:
        """A constant that is one number."""
        return self.parts.constant(f"{value:.9g}", np.array(value, np.float32))

    def indices(self, role: str, values: Sequence[int]) -> str:
        """A constant that is a list of whole numbers: a shape, axes."""
        return self.parts.constant(f"{self.node.name}/{role}", np.array(values, np.int64))

    def weight(self, role: str, array: Array | None = None) -> str:
        """A parameter as a constant, one for all layers that share it; `array` in its place where ONNX wants another
        order of axes."""
        found = self.parameters[role] if array is None else array
        owned = self.node.parameter(role)
        name = f"{self.node.name}.{role}" if owned is None else owned.name
        return self.parts.constant(name, np.ascontiguousarray(found, np.float32))

    def by_channel(self, role: str) -> str:
        """A parameter (channels,) as (channels, 1, 1) where the input is an image: as many axes as that has."""
        return self.weight(role, self.parameters[role].reshape(-1, *(1 for _ in self.shape[1:])))

    def reshaped(self, x: str, role: str, *shape: int) -> str:
        """(batch, ...) as (batch, *shape)."""
        return self.op("Reshape", x, self.indices(role, (0, *shape)))

    def part(self, x: str, starts: Sequence[int], ends: Sequence[int], axes: Sequence[int]) -> str:
        """What lies between starts and ends along some axes."""
        where = (self.indices(role, values) for role, values in (("starts", starts), ("ends", ends), ("axes", axes)))
        return self.op("Slice", x, *where)


Form = Callable[[Place], str]
"""Adds a layer to the graph and gives the name of its result."""


def axes_of(shape: Shape) -> Shape:
    """A shape of the language as ONNX has it: channels first."""
    return (shape[-1], *shape[:-1])


def channels_to_front(shape: Shape) -> list[int]:
    """The axes (batch, ..., channels) of an example of this shape in the order (batch, channels, ...)."""
    return [0, len(shape), *range(1, len(shape))]


def channels_to_end(shape: Shape) -> list[int]:
    """The axes (batch, channels, ...) of an example of this shape in the order (batch, ..., channels)."""
    return [0, *range(2, len(shape) + 1), 1]
