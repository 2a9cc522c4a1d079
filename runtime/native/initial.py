"""What parameters are before the first update: drawn by their init, or fitted to the training set."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from dslc.ir import Network, Parameter

Array = np.ndarray[Any, Any]


def start(parameter: Parameter, seed: int) -> Array:
    """Fresh values from a stream of the parameter's own, so that a layer more does not change the others."""
    stream = int.from_bytes(hashlib.sha256(parameter.name.encode()).digest()[:4], "little")
    random = np.random.Generator(np.random.Philox(key=[seed, stream]))
    return parameter.init.sample(random, parameter.shape, parameter.fan_in, parameter.fan_out)


def drawn(network: Network, seed: int) -> Iterator[tuple[str, Array]]:
    """Fresh parameters: each from a stream of its own, so that a layer more does not change the others."""
    for p in network.parameters:
        yield p.name, start(p, seed)


def first_layers(network: Network) -> set[str]:
    """Layers such as standardize, which look at the training set before anything learns."""
    return {node.name for node in network.nodes if node.layer.first}


def fitted(network: Network, layers: Collection[str], inputs: list[Array]) -> Iterator[tuple[str, Array]]:
    """The parameters of these first layers, from the training set."""
    by_name = {value.name: x for value, x in zip(network.inputs, inputs, strict=True)}
    for node in network.nodes:
        if node.name in layers:
            for role, array in node.layer.fitted(by_name[node.inputs[0].name]).items():
                yield f"{node.name}.{role}", array
