"""The layers that a model becomes, as they are collected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import dslc.layers
from dslc import registry
from dslc.interchange.values import MOST, Flowing, Lacking
from dslc.layers import Layer
from dslc.numerics import Array
from dslc.shape import Shape, SizeProblem, show_shape


@dataclass(frozen=True)
class Step:
    """A layer: its kind and arguments, what it reads, its result and that one's shape, its parameters by role, and the
    name that the model has for it ("" for none)."""

    kind: str
    arguments: Mapping[str, Any]
    inputs: tuple[str, ...]
    result: str
    shape: Shape
    parameters: Mapping[str, Array] = field(default_factory=dict)
    label: str = ""
    frozen: bool = False

    @property
    def layer(self) -> Layer:
        """The layer itself."""
        return layer_of(self.kind, self.arguments)


def layer_of(kind: str, arguments: Mapping[str, Any]) -> Layer:
    """The layer of a name with its arguments. Raises Lacking if the language has none of this name."""
    found = registry.find(dslc.layers, kind, Layer)
    if found is None:
        raise Lacking(f"the language has no layer {kind}")
    return found(**arguments)


@dataclass
class Draft:
    """Layers by their results, in an order in which they can run. `shared`: results that several nodes of the model
    read, which therefore stay as they are."""

    shapes: dict[str, Shape] = field(default_factory=dict)
    steps: dict[str, Step] = field(default_factory=dict)
    shared: set[str] = field(default_factory=set)
    popular: set[object] = field(default_factory=set)
    """Values that several nodes read and for which no layers are emitted yet."""
    known: dict[object, Flowing] = field(default_factory=dict)
    """What was made for a value before, by what it is for."""

    def emit(
        self, kind: str, inputs: tuple[str, ...], parameters: Mapping[str, Array] | None = None, label: str = "",
        frozen: bool = False, **arguments: Any,
    ) -> Step:  # fmt: skip
        """Adds a layer that reads these values.

        Raises:
            Lacking: the sizes do not fit the layer, or the parameters are not those that it has.
        """
        shapes = tuple(self.shapes[name] for name in inputs)
        layer, given = layer_of(kind, arguments), dict(parameters or {})
        try:
            shape = layer.infer(shapes)
        except SizeProblem as problem:
            raise Lacking(" ".join((problem.title, problem.label)).strip()) from None
        if prod(shape) > MOST:
            raise Lacking(f"its result has {prod(shape):,} numbers in an example")
        for weights in layer.parameters(shapes):
            if given.get(weights.role) is None or given[weights.role].shape != weights.shape:
                found = "none" if weights.role not in given else show_shape(given[weights.role].shape)
                raise Lacking(f"its {weights.role} should have the shape {show_shape(weights.shape)}, not {found}")
        step = Step(kind, arguments, inputs, f"{kind}:{len(self.steps)}", shape, given, label, frozen)
        self.shapes[step.result], self.steps[step.result] = shape, step
        return step

    def alone(self, source: str, *kinds: str) -> Step | None:
        """The layer that makes a value, if it is of one of these kinds and nothing else reads the value."""
        step = self.steps.get(source)
        return step if step is not None and step.kind in kinds and source not in self.shared else None

    def again(self, step: Step, parameters: Mapping[str, Array] | None = None, **arguments: Any) -> Step:
        """The same layer with other parameters or arguments; the first one is left out where nothing reads it."""
        changed = {**step.parameters, **(parameters or {})}
        return self.emit(step.kind, step.inputs, changed, step.label, step.frozen, **{**step.arguments, **arguments})

    def needed(self, outputs: tuple[str, ...]) -> list[Step]:
        """The layers that the outputs depend on, in order."""
        wanted, found = set(outputs), []
        for step in reversed(self.steps.values()):
            if step.result in wanted:
                wanted.update(step.inputs)
                found.append(step)
        return found[::-1]
