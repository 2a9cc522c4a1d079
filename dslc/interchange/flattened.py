"""In which order another program counts the numbers of a vector that was, or becomes, an image."""

from __future__ import annotations

from math import prod

from dslc.ir import Network, Node, Value
from dslc.layers.flatten import Flatten
from dslc.layers.reshape import Reshape
from dslc.numerics import Array, np
from dslc.shape import Shape


def orders(network: Network) -> dict[str, Array]:
    """For each vector by name whose numbers are those of an image: where the number at each place of ours stands with
    the channels first."""
    found: dict[str, Array] = {}
    for node in network.nodes:
        found |= _behind(node, found)
    for node in reversed(network.nodes):
        found |= _before(node, network, found)
    return found


def _first(shape: Shape) -> Array:
    """The place of each number of ours among those with the channels first."""
    places = np.arange(prod(shape)).reshape(shape[-1], *shape[:-1])
    return np.moveaxis(places, 0, -1).ravel()


def _behind(node: Node, found: dict[str, Array]) -> dict[str, Array]:
    given, result = node.inputs[0], node.output
    if len(result.shape) != 1:
        return {}
    if isinstance(node.layer, Flatten | Reshape) and len(given.shape) > 1:
        return {result.name: _first(given.shape)}
    if len(node.inputs) > 1 and type(node.layer).__name__ == "Concat":
        parts = [found.get(v.name, np.arange(v.elements)) for v in node.inputs]
        starts = np.cumsum([0, *(v.elements for v in node.inputs)])
        return {result.name: np.concatenate([p + s for p, s in zip(parts, starts, strict=False)])}
    if given.name in found and _passes(node):
        return {result.name: found[given.name]}
    return {}


def _before(node: Node, network: Network, found: dict[str, Array]) -> dict[str, Array]:
    """What a reshape makes an image of has that image's order."""
    given, result = node.inputs[0], node.output
    if len(given.shape) != 1 or given.name in found or _is_input(given, network):
        return {}
    if isinstance(node.layer, Reshape) and len(result.shape) > 1:
        return {given.name: _first(result.shape)}
    if result.name in found and len(result.shape) == 1 and _passes(node):
        return {given.name: found[result.name]}
    return {}


def _is_input(value: Value, network: Network) -> bool:
    return any(value.name == given.name for given in network.inputs)


def _passes(node: Node) -> bool:
    """Whether each number of a vector stays at its place: in layers without weights, and those with numbers of their
    own for each."""
    size = node.inputs[0].shape
    return node.output.shape == size and all(p.shape == size for p in node.parameters)
