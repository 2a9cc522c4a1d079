"""A network as the stages that integers compute: batch norm is folded into the layer before, relu is part of it, and
what does nothing at prediction is gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from dslc.ir import Network, Node, Value
from dslc.language.diagnostics import Diagnostic, SpecError
from dslc.language.record import record
from dslc.numerics import Array
from dslc.quantization.forms import FORMS, Affine, Form, Joined, followed_by
from dslc.registry import name_of

IN_FLOAT = ("softmax", "log_softmax", "sigmoid", "tanh", "target_unit")
"""Layers that are computed in float where they end a head."""
SATURATING = ("relu", "relu6")
"""What the limits of an encoding do by themselves: results below 0 are 0, and above the largest the largest."""


@record
class NotInIntegers(Diagnostic):
    """A layer that `dslc quantize` has no integer form for."""

    layer: str
    message = "{layer} has no form in 8-bit integers"
    hints = (
        "help: dense, convolutions, batchnorm, scale, pooling, add, subtract, concat and activations of one number "
        "have one",
    )


@dataclass(frozen=True)
class Stage:
    """One integer operation: what it reads, the value that it makes, and the layers that are in it, the first of which
    names it."""

    reads: tuple[str, ...]
    output: Value
    form: Form
    layers: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of the first layer."""
        return self.layers[0]


@dataclass(frozen=True)
class Source:
    """An input as the stages read it: with the layer that standardizes it, if there is one."""

    input: Value
    output: Value
    standardize: Node | None = None


@dataclass(frozen=True)
class Stages:
    """A network in stages. `ends`: by head the value that integers compute for it, and the layers behind that."""

    sources: tuple[Source, ...]
    stages: tuple[Stage, ...]
    ends: Mapping[str, tuple[str, tuple[str, ...]]]


def stages_of(network: Network, parameters: Mapping[str, Array]) -> Stages:
    """The stages of what predictions need. parameters: arrays by name, in the shapes of the language.

    Raises:
        SpecError: some layers have no form in integers; it names their places.
    """
    return _Folding(network, parameters).stages()


class _Folding:
    """Goes through the nodes in their order. `known` gives the value that stands for each value of the network, `uses`
    how many nodes and heads read it."""

    def __init__(self, network: Network, parameters: Mapping[str, Array]) -> None:
        self.network, self.parameters = network, parameters
        self.nodes = [n for n in network.nodes if n.name in network.predicting]
        self.uses = Counter(v.name for n in self.nodes for v in n.inputs)
        self.uses.update(head.value.name for head in network.answers)
        self.ends = {h.name: self._end(h.value) for h in network.answers}
        behind = {name for _, layers in self.ends.values() for name in layers}
        self.nodes = [n for n in self.nodes if n.name not in behind]
        self.known = {v.name: v.name for v in network.inputs}
        self.sources = {v.name: Source(v, v) for v in network.inputs}
        self.found: dict[str, Stage] = {}

    def _end(self, value: Value) -> tuple[str, tuple[str, ...]]:
        """The value before the layers that are computed in float, and these."""
        layers: list[str] = []
        while self.uses[value.name] == 1 and (node := self.network.producer(value)) and name_of(node.layer) in IN_FLOAT:
            layers.insert(0, node.name)
            value = node.inputs[0]
        return value.name, tuple(layers)

    def stages(self) -> Stages:
        wrong: list[Diagnostic] = []
        for node in self.nodes:
            if not (self._is_transparent(node) or self._standardizes(node) or self._joins_the_last(node)):
                form = FORMS.get(name_of(node.layer), FORMS[""])(node, self._own(node))
                if form is None:
                    wrong.append(NotInIntegers(node.call, node.name))
                    form = Joined()
                reads = tuple(self.known[v.name] for v in node.inputs)
                self._add(node, Stage(reads, node.output, form, (node.name,)))
        if wrong:
            raise SpecError(wrong)
        ends = {head: (self.known[value], layers) for head, (value, layers) in self.ends.items()}
        return Stages(tuple(self.sources.values()), tuple(self.found.values()), ends)

    def _own(self, node: Node) -> dict[str, Array]:
        return {role: self.parameters[p.name] for role, p in node.roles.items()}

    def _add(self, node: Node, stage: Stage) -> None:
        self.found[stage.output.name] = stage
        self.known[node.output.name] = stage.output.name

    def _is_transparent(self, node: Node) -> bool:
        """Whether the bytes stay as they are."""
        layer = node.layer
        same = node.output.shape == node.inputs[0].shape
        if not (name_of(layer) in ("flatten", "reshape", "linear") or layer.drops or (layer.augments and same)):
            return False
        self.known[node.output.name] = self.known[node.inputs[0].name]
        return True

    def _standardizes(self, node: Node) -> bool:
        """Whether it is part of how an input becomes bytes."""
        name = node.inputs[0].name
        if name_of(node.layer) != "standardize" or name not in self.sources or self.uses[name] > 1:
            return False
        del self.sources[name]
        self.sources[node.output.name] = Source(node.inputs[0], node.output, node)
        self.known[node.output.name] = node.output.name
        return True

    def _joins_the_last(self, node: Node) -> bool:
        """Whether it becomes part of the stage that makes its input, which nothing else reads."""
        before = self.found.get(self.known[node.inputs[0].name])
        if before is None or self.uses[node.inputs[0].name] > 1 or before.output.name != node.inputs[0].name:
            return False
        form, name = before.form, name_of(node.layer)
        if not isinstance(form, (Affine, Joined)) or form.saturates:
            return False
        if name in SATURATING:
            return self._replace(before, node, replace(form, saturates=name))
        further = followed_by(form, node, self._own(node)) if isinstance(form, Affine) else None
        return further is not None and self._replace(before, node, further)

    def _replace(self, before: Stage, node: Node, form: Form) -> bool:
        """Puts a node into a stage."""
        del self.found[before.output.name]
        self._add(node, replace(before, output=node.output, form=form, layers=(*before.layers, node.name)))
        return True
