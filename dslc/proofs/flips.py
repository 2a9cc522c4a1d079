"""How far `precision mixed` may be off because operands lie near the middle between two bf16 numbers.

The C computes in float32 what the interpreter computes in float64. Where an operand of a product lies so near to the
middle between two neighbours that the two round it apart, the operand is a 256th off, or less, and so are its products.
How much that makes of a result is measured: by interpreters whose operands are moved at random before they are rounded,
as far as results in float32 may differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dslc.ir import MIXED, Network, Node
from dslc.layers import Layer, Mode, Reference
from dslc.layers.dense import Dense
from dslc.numerics import Array, np
from dslc.proofs.reference import Arrays, Interpreter

DRAWS = 3
"""How often operands are moved."""
MARGIN = 2.0
"""What the largest difference that was drawn is multiplied by: the C's may be larger than those of a few draws."""


def with_exact_products(network: Network) -> Network:
    """The network with float32's products, whose terms have the same sizes."""
    if network.precision != MIXED:
        return network
    layers = (replace(n.layer, bf16=False) if isinstance(n.layer, Dense) else n.layer for n in network.nodes)
    nodes = tuple(replace(node, layer=layer) for node, layer in zip(network.nodes, layers, strict=True))
    return replace(network, nodes=nodes)


def flips(
    interpreter: Interpreter, x: Mapping[str, Array], y: Mapping[str, Array], by: float, seed: int
) -> tuple[dict[str, float], dict[str, float]]:
    """How far outputs by head and gradients by parameter may be off, largest differences; 0 but for `mixed`.

    x, y: a mini-batch, in float64. by: how far an operand may be off, relative to the largest number of its array.
    """
    network, random = interpreter.network, np.random.default_rng(seed)
    heads = [head.name for head in network.answers]
    outputs, gradients = dict.fromkeys(heads, 0.0), {p.name: 0.0 for p in network.parameters if p.learns}
    if network.precision != MIXED:
        return outputs, gradients
    exact = _results(interpreter, x, y)
    for _ in range(DRAWS):
        nodes = tuple(_moving(node, network, by, random) for node in network.nodes)
        moved = _results(replace(interpreter, network=replace(network, nodes=nodes)), x, y)
        for largest, found, wanted in zip((outputs, gradients), moved, exact, strict=True):
            for name in wanted:
                largest[name] = max(largest[name], MARGIN * float(np.abs(found[name] - wanted[name]).max(initial=0)))
    return outputs, gradients


def _results(interpreter: Interpreter, x: Mapping[str, Array], y: Mapping[str, Array]) -> tuple[Arrays, Arrays]:
    trains = interpreter.network.training is not None
    return interpreter.predict(x), interpreter.loss_and_gradients(x, y)[1] if trains else {}


def _moving(node: Node, network: Network, by: float, random: np.random.Generator) -> Node:
    """The node with moved operands, if it rounds them. What the caller gives is the same number in both."""
    if not (isinstance(node.layer, Dense) and node.layer.bf16):
        return node
    return replace(node, layer=_Moved(node.layer, node.inputs[0] in network.inputs, by, random))


class _Moved(Layer):
    """A layer that sees the gradient of its output a little off, and its input, unless that is `given`."""

    def __init__(self, layer: Layer, given: bool, by: float, random: np.random.Generator) -> None:
        self.layer, self.given, self.by, self.random = layer, given, by, random

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """That of the layer, of moved operands."""
        found = self.layer.reference(xs if self.given else (self._moved(xs[0]),), p, mode)
        return replace(found, pull=lambda dy: found.pull(self._moved(dy)))

    def _moved(self, x: Array) -> Array:
        moved: Array = x + self.by * np.abs(x).max(initial=0) * self.random.uniform(-1, 1, x.shape)
        return moved
