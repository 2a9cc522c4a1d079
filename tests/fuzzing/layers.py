"""Calls of layers in a random net: what flows in and out, and what `train` and later layers must know of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import dslc.layers
from dslc import registry, regularizers
from dslc.language.arguments import Symbol as Word
from dslc.layers import Layer, Weights
from dslc.regularizers import Penalty, Regularizer
from dslc.shape import Shape, show_shape
from fuzzing.calls import fitting, init, layer_arguments, written
from fuzzing.draw import Draw
from fuzzing.rules import too_much

LAYERS = registry.every(dslc.layers, Layer)


@dataclass(frozen=True)
class Flow:
    """A value of the network: its name, its shape, and the layer that makes it (None for an input)."""

    name: str
    shape: Shape
    layer: str | None = None


@dataclass
class Layers(Draw):
    """The statements so far, and what is known of their layers."""

    lines: list[str] = field(default_factory=list)
    values: list[Flow] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    numbers: dict[str, int] = field(default_factory=dict)
    learning: list[str] = field(default_factory=list)
    """Layers that learn, and that `freeze` may name."""
    penalized: set[str] = field(default_factory=set)
    """Layers with arguments of their own that would have no effect if they were frozen."""
    weighted: list[str] = field(default_factory=list)
    """Layers with weights that learn; those with an init of their own are in `started`."""
    started: set[str] = field(default_factory=set)
    asking: list[str] = field(default_factory=list)
    owners: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Embeddings and dense layers whose weights another one may have: from so many channels to so many."""
    lengths: dict[str, int] = field(default_factory=dict)
    """Values that are numbers of steps, and the most that they may be."""

    def number(self, kind: str) -> str:
        """The name of one more layer of this kind."""
        self.numbers[kind] = self.numbers.get(kind, 0) + 1
        return f"{kind}{self.numbers[kind]}"

    def call(self, kind: str, shape: Shape) -> tuple[str, Shape]:
        """A call of the layer with arguments that fit, and what flows out; nothing where it does not fit."""
        for _ in range(2):
            found = fitting(LAYERS[kind], layer_arguments(self, LAYERS[kind], shape), shape)
            if found is None:
                continue
            layer, given = found
            result = layer.infer((shape,))
            if too_much(layer, shape, result):
                continue
            name, common = self.common(self.number(kind), layer.parameters((shape,)))
            self.own(name, kind, layer.parameters((shape,)))
            taken = self.taken(LAYERS[kind], shape, given)
            return written(kind, {**given, **common, **taken}), result
        return "", shape

    def own(self, name: str, kind: str, weights: Sequence[Weights]) -> None:
        """Remembers a layer whose weight a dense layer may share, which takes as many channels as it has columns, or
        rows if that is a dense layer."""
        if kind in ("embedding", "dense"):
            rows, columns = weights[0].shape
            self.owners[name] = (columns, rows) if kind == "embedding" else (rows, columns)

    def taken(self, layer: type[Layer], shape: Shape, given: dict[str, Any]) -> dict[str, Any]:
        """Over a sequence sometimes the arguments that name inputs and values."""
        if len(shape) != 2:
            return {}
        usable = [a for a in layer.takes if not (a in layer.flows and given.get("causal"))]
        names: dict[str, Any] = {}
        steps = shape[0]
        for argument in [a for a in usable if self.chance(3)]:
            if argument in layer.flows:
                memory = self.memory(argument)
                names[argument], steps = Word(memory.name), memory.shape[0]
            else:
                names[argument] = Word(self.steps_of(steps))
        return names

    def memory(self, argument: str) -> Flow:
        """A sequence that is there, or one more input."""
        known = [v for v in self.values if len(v.shape) == 2 and v.name not in self.lengths]
        if known and self.chance(2):
            self.used.add((found := self.of(known)).name)
            return found
        flow = Flow(f"n{len(self.lines)}_{argument}", (self.of((5, 2, 17)), self.of((3, 1, 8))))
        self.lines.append(f"input {flow.name}: {show_shape(flow.shape)}")
        return flow

    def steps_of(self, steps: int) -> str:
        """What tells the steps of an example, of so many at most: a value that is there, or an input."""
        known = [name for name, most in self.lengths.items() if most == steps]
        if known and self.chance(2):
            self.used.add(found := self.of(known))
            return str(found)
        return self.input_of_steps(steps).name

    def input_of_steps(self, steps: int) -> Word:
        """One more input that tells them."""
        name = f"n{len(self.lines)}_lengths"
        self.lines.append(f"input {name}: 1")
        self.lengths[name] = steps
        return Word(name)

    def common(self, name: str, weights: Sequence[Weights]) -> tuple[str, dict[str, Any]]:
        """The layer's name, the arguments that every layer with parameters takes, and the book-keeping for `train`."""
        given: dict[str, Any] = {}
        if self.chance(12):
            name = f"named_{len(self.lines)}"
            given["name"] = Word(name)
        trained = any(w.trained for w in weights)
        frozen = trained and self.chance(12)
        if frozen:
            given["freeze"] = True
        elif trained:
            self.learning.append(name)
            if self.chance(12):
                given["lr_factor"] = self.of((0.1, 2.0))
                self.penalized.add(name)
        if any(w.decays for w in weights):
            given |= self.weight_arguments(name, weights, frozen)
        return name, given

    def weight_arguments(self, name: str, weights: Sequence[Weights], frozen: bool) -> dict[str, Any]:
        """init=, l1=, l2= and max_norm=."""
        given: dict[str, Any] = {}
        self.asking.append(name)
        if not frozen:
            self.weighted.append(name)
            for kind, regularizer in registry.every(regularizers, Regularizer).items():
                if self.chance(8):
                    given[kind] = self.of((0.1, 0.01) if issubclass(regularizer, Penalty) else (0.5, 1.0))
                    self.penalized.add(name)
        if self.chance(5):
            sizes = {prod(w.shape) for w in weights if w.decays}
            given["init"] = Word(init(self, sizes.pop() if len(sizes) == 1 else None))
            self.started.add(name)
        return given
