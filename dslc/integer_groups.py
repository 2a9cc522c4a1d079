"""Which layers become one operation on integers: batch norm is folded into the layer before, relu is part of it, and
what does nothing at prediction is gone. `dslc quantize` computes with these groups, and `quantize int8` in `train`
rounds where they end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from dslc.columns.category import Category
from dslc.ir import Network, Node, Value
from dslc.language.diagnostics import Diagnostic, SpecError
from dslc.language.record import record
from dslc.layers import Activation
from dslc.layers._embedding import Embedding
from dslc.layers._pooling import Pool
from dslc.registry import name_of

AFFINE, JOINED, LARGEST, MEAN, ELEMENTWISE = "affine", "joined", "largest", "mean", "elementwise"
"""What the integers of a group compute: sums of products, values that are added or side by side, the largest or the
mean of windows, or a function of one number."""
CHANNELWISE = ("batchnorm", "scale", "standardize")
"""Layers that are a factor and a shift for each channel."""
PRODUCTS = ("conv", "conv1d", "dense", "depthwise")
IN_FLOAT = ("softmax", "log_softmax", "sigmoid", "tanh", "target_unit")
"""Layers that are computed in float where they end a head."""
SATURATING = ("relu", "relu6")
"""What the limits of an encoding do by themselves: results below 0 are 0, and above the largest the largest."""


@record
class NotInIntegers(Diagnostic):
    """A layer that `dslc quantize`, and `quantize int8` in `train`, have no integer form for."""

    layer: str
    message = "{layer} has no form in 8-bit integers"
    hints = (
        "help: dense, convolutions, batchnorm, scale, pooling, add, subtract, concat and activations of one number "
        "have one",
    )


@dataclass(frozen=True)
class Group:
    """One integer operation: the values that it reads, by name, the one that it makes, and the layers that are in it.
    `saturates`: the relu or relu6 at its end."""

    reads: tuple[str, ...]
    output: Value
    kind: str
    nodes: tuple[Node, ...]
    saturates: str = ""


@dataclass(frozen=True)
class Source:
    """An input as integers take it: with the layer that standardizes it, if there is one."""

    input: Value
    output: Value
    standardize: Node | None = None


@dataclass(frozen=True)
class Groups:
    """A network in groups. `ends`: by head the value that integers compute for it, and the layers behind that."""

    sources: tuple[Source, ...]
    groups: tuple[Group, ...]
    ends: Mapping[str, tuple[str, tuple[str, ...]]]


def groups_of(network: Network) -> Groups:
    """The groups of what predictions need.

    Raises:
        SpecError: some layers have no form in integers; it names their places.
    """
    return _Folding(network).groups()


def _kind_of(node: Node) -> str | None:
    """What a layer is to integers; None if it has no form."""
    layer, name = node.layer, name_of(node.layer)
    if name in CHANNELWISE or name in PRODUCTS:
        return AFFINE
    if name == "concat":
        return JOINED
    if name in ("add", "subtract"):
        return JOINED if len({v.shape for v in node.inputs}) == 1 else None
    if isinstance(layer, Pool) and len(node.inputs) == 1:
        return MEAN if layer.mean else LARGEST
    alone = isinstance(layer, Activation) and len(node.inputs) == 1 and not node.roles
    return ELEMENTWISE if alone else None


class _Folding:
    """Goes through the nodes in their order. `known` gives the value that stands for each value of the network, `uses`
    how many nodes and heads read it."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.nodes = [n for n in network.nodes if n.name in network.predicting]
        self.uses = Counter(v.name for n in self.nodes for v in n.inputs)
        self.uses.update(head.value.name for head in network.answers)
        self.ends = {h.name: self._end(h.value) for h in network.answers}
        behind = {name for _, layers in self.ends.values() for name in layers}
        self.nodes = [n for n in self.nodes if n.name not in behind]
        self.known = {v.name: v.name for v in network.inputs}
        self.sources = {v.name: Source(v, v) for v in network.inputs}
        self.found: dict[str, Group] = {}

    def _end(self, value: Value) -> tuple[str, tuple[str, ...]]:
        """The value before the layers that are computed in float, and these."""
        layers: list[str] = []
        while self.uses[value.name] == 1 and (node := self.network.producer(value)) and name_of(node.layer) in IN_FLOAT:
            layers.insert(0, node.name)
            value = node.inputs[0]
        return value.name, tuple(layers)

    def groups(self) -> Groups:
        wrong: list[Diagnostic] = []
        for node in self.nodes:
            if not (self._is_transparent(node) or self._standardizes(node) or self._joins_the_last(node)):
                kind = _kind_of(node)
                if kind is None:
                    wrong += self._refused(node)
                reads = tuple(self.known[v.name] for v in node.inputs)
                self._add(node, Group(reads, node.output, kind or JOINED, (node,)))
        if wrong:
            raise SpecError(wrong)
        ends = {head: (self.known[value], layers) for head, (value, layers) in self.ends.items()}
        return Groups(tuple(self.sources.values()), tuple(self.found.values()), ends)

    def _refused(self, node: Node) -> list[NotInIntegers]:
        """That a layer has no form; of the embeddings of a table, each column that has one."""
        if not isinstance(node.layer, Embedding):
            return [NotInIntegers(node.call, node.name)]
        columns = [c for table in self.network.tables if table.input == node.inputs[0].name for c in table.columns]
        return [
            NotInIntegers(column.span, f"the embedding of {column.name!r}")
            for column in columns
            if isinstance(column.kind, Category) and column.kind.embedding is not None
        ]

    def _add(self, node: Node, group: Group) -> None:
        self.found[group.output.name] = group
        self.known[node.output.name] = group.output.name

    def _is_transparent(self, node: Node) -> bool:
        """Whether the integers stay as they are."""
        layer = node.layer
        same = node.output.shape == node.inputs[0].shape
        if not (name_of(layer) in ("flatten", "reshape", "linear") or layer.drops or (layer.augments and same)):
            return False
        self.known[node.output.name] = self.known[node.inputs[0].name]
        return True

    def _standardizes(self, node: Node) -> bool:
        """Whether it is part of how an input becomes integers."""
        name = node.inputs[0].name
        if name_of(node.layer) != "standardize" or name not in self.sources or self.uses[name] > 1:
            return False
        del self.sources[name]
        self.sources[node.output.name] = Source(node.inputs[0], node.output, node)
        self.known[node.output.name] = node.output.name
        return True

    def _joins_the_last(self, node: Node) -> bool:
        """Whether it becomes part of the group that makes its input, which nothing else reads."""
        before = self.found.get(self.known[node.inputs[0].name])
        if before is None or self.uses[node.inputs[0].name] > 1 or before.output.name != node.inputs[0].name:
            return False
        name = name_of(node.layer)
        saturates = name if name in SATURATING else ""
        joins = before.kind in (AFFINE, JOINED) if saturates else before.kind == AFFINE and name in CHANNELWISE
        if before.saturates or not joins:
            return False
        del self.found[before.output.name]
        self._add(node, replace(before, output=node.output, nodes=(*before.nodes, node), saturates=saturates))
        return True
