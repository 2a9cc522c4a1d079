"""Initial values of parameters: sampled by their init, or fitted to the training set."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from dslc.ir import Network, Parameter
from dslc.runtime.data.examples import DataNote

Array = np.ndarray[Any, Any]
SHOWN = 10
"""Up to how many class weights a note tells."""
FAR = 1000
"""Deviations from zero from which on targets lose what float32 can tell apart."""


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
    fitted = {node.name for node in network.nodes if node.layer.first or node.layer.of_target}
    return fitted | {p.name.partition(".")[0] for p in map(network.class_weights, network.heads) if p is not None}


def fitted(
    network: Network, layers: Collection[str], inputs: list[Array], targets: list[Array], weights: Array | None
) -> Iterator[tuple[str, Array]]:
    """The parameters of these layers, computed from the training set: inputs and targets, each (n, *shape) in the
    network's order, targets of numbers in double precision. weights: what each example counts."""
    by_name = {value.name: x for value, x in zip(network.inputs, inputs, strict=True)}
    for node in network.nodes:
        if node.name in layers and node.layer.first:
            for role, array in node.layer.fitted(by_name[node.inputs[0].name], weights).items():
                yield f"{node.name}.{role}", array
    for head, target in zip(network.heads, targets, strict=True):
        last = network.producer(head.value)
        if last is None or last.name not in layers:
            continue
        if last.layer.of_target:
            found = last.layer.fitted(target, weights)
            _note_units(head.name, found["mean"], found["std"], target, network.precision)
            for role, array in found.items():
                yield f"{last.name}.{role}", array
        balanced = network.class_weights(head)
        if balanced is not None:
            yield balanced.name, balanced_weights(head.name, target, head.value.shape[-1], weights)


def balanced_weights(head: str, target: Array, classes: int, weights: Array | None) -> Array:
    """n / (classes that occur * n of the class), for class numbers (n,), as scikit-learn's compute_class_weight; 1 for
    a class that does not occur. weights: what each example counts. A note tells them."""
    counts = np.bincount(target, None if weights is None else weights.astype(np.float64), minlength=classes)
    there = counts > 0
    found = np.ones(classes)
    found[there] = counts.sum() / (there.sum() * counts[there])
    shown = ", ".join(f"{w:.4g}" for w in found[:SHOWN]) + (", ..." if classes > SHOWN else "")
    warnings.warn(f"target {head}: the balanced weights of classes 0, 1, ... are {shown}", DataNote, stacklevel=5)
    return found


def _note_units(head: str, mean: Array, std: Array, targets: Array, precision: str) -> None:
    """Tells of targets that are all the same, and of some that lie so far from zero that rounding blurs them."""
    columns = targets.reshape(-1, targets.shape[-1])
    for c in range(columns.shape[1]):
        which = f"target {head}" if columns.shape[1] == 1 else f"target {head}, number {c} (counted from 0)"
        if np.nanmin(columns[:, c]) == np.nanmax(columns[:, c]):
            text = f"{which} is always {mean[c]:g}: it has no deviation to be standardized by, and is only shifted"
            warnings.warn(text, DataNote, stacklevel=5)
        elif precision == "float32" and abs(mean[c]) > FAR * std[c]:
            text = f"{which} lies {abs(mean[c]) / std[c]:.2g} deviations from 0: float32 rounds it, float64 does not"
            warnings.warn(f"{text}; or subtract {mean[c]:g} beforehand", DataNote, stacklevel=5)
