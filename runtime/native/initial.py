"""Initial values of parameters: sampled by their init, or fitted to the training set."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

import numpy as np

from dslc.ir import Network, Parameter

Array = np.ndarray[Any, Any]


def start(parameter: Parameter, seed: int) -> Array:
    """Initial values of one parameter, from a random stream of its own: adding a layer does not change the others."""
    stream = int.from_bytes(hashlib.sha256(parameter.name.encode()).digest()[:4], "little")
    random = np.random.Generator(np.random.Philox(key=[seed, stream]))
    return parameter.init.sample(random, parameter.shape, parameter.fan_in, parameter.fan_out)


def initial_parameters(network: Network, seed: int) -> Iterator[tuple[str, Array]]:
    """Initial values of all parameters, as pairs of name and array in the language's shape."""
    for p in network.parameters:
        yield p.name, start(p, seed)


def fitted_layers(network: Network) -> set[str]:
    """The names of layers such as standardize, which are fitted on the training set before the first epoch."""
    return {node.name for node in network.nodes if node.layer.first}


def fitted(
    network: Network, layers: Collection[str], portions: Callable[[], Iterable[list[Array]]]
) -> Iterator[tuple[str, Array]]:
    """The parameters of these layers, computed from the training set, of which each layer goes through the portions:
    the inputs (n, *shape) in the network's order."""
    place = {value.name: i for i, value in enumerate(network.inputs)}
    for node in network.nodes:
        if node.name in layers:
            at = place[node.inputs[0].name]
            for role, array in node.layer.fitted(inputs[at] for inputs in portions()).items():
                yield f"{node.name}.{role}", array
