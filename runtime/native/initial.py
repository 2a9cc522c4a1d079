"""Initial values of parameters: sampled by their init, or fitted to the training set."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

import numpy as np

from dslc.ir import Network, Parameter
from dslc.runtime.data.examples import DataNote

Array = np.ndarray[Any, Any]
SHOWN = 10
"""Up to how many class weights a note tells."""
DRAWN_AT_ONCE = 1 << 18
FAR = 1000
"""Deviations from zero from which on targets lose what float32 can tell apart."""


def start(parameter: Parameter, seed: int, precision: str) -> Array:
    """Initial values of one parameter, from a random stream of its own: adding a layer does not change the others. They
    are drawn in double precision, a part at a time where that makes no difference: a layer may be large."""
    stream = int.from_bytes(hashlib.sha256(parameter.name.encode()).digest()[:4], "little")
    random = np.random.Generator(np.random.Philox(key=[seed, stream]))
    init, fans = parameter.init, (parameter.fan_in, parameter.fan_out)
    if not init.elementwise:
        return init.sample(random, parameter.shape, *fans)
    drawn = np.empty(parameter.elements, precision)
    for begin in range(0, len(drawn), DRAWN_AT_ONCE):
        part = drawn[begin : begin + DRAWN_AT_ONCE]
        part[:] = init.sample(random, part.shape, *fans)
    return drawn.reshape(parameter.shape)


def initial_parameters(network: Network, seed: int) -> Iterator[tuple[str, Array]]:
    """Initial values of all parameters, as pairs of name and array in the language's shape, one after another."""
    for p in network.parameters:
        yield p.name, start(p, seed, network.dtype)


def fitted_layers(network: Network) -> set[str]:
    """The names of layers such as standardize, which are fitted on the training set before the first epoch."""
    fitted = {node.name for node in network.nodes if node.layer.first or node.layer.of_target}
    return fitted | {p.name.partition(".")[0] for p in map(network.class_weights, network.heads) if p is not None}


def wants_targets(network: Network, layers: Collection[str]) -> bool:
    """Whether some of these layers are fitted to targets."""
    of_target = any(node.layer.of_target and node.name in layers for node in network.nodes)
    weights = (p for p in map(network.class_weights, network.heads) if p is not None)
    return of_target or any(p.name.partition(".")[0] in layers for p in weights)


def fitted(
    network: Network,
    layers: Collection[str],
    portions: Callable[[], Iterable[tuple[list[Array], Array | None]]],
    targets: list[Array],
    weights: Array | None,
) -> Iterator[tuple[str, Array]]:
    """The parameters of these layers, computed from the training set. portions: the inputs (n, *shape) in the network's
    order and what each example counts, None where all count alike; each layer goes through them. targets: whole, those
    of numbers in double precision, with their weights; empty where no layer asks for them."""
    place = {value.name: i for i, value in enumerate(network.inputs)}
    for node in network.nodes:
        if node.name in layers and node.layer.first:
            at = place[node.inputs[0].name]
            for role, array in node.layer.fitted((inputs[at], each) for inputs, each in portions()).items():
                yield f"{node.name}.{role}", array
    for head, target in zip(network.heads if targets else (), targets, strict=True):
        last = network.producer(head.value)
        if last is None or last.name not in layers:
            continue
        if last.layer.of_target:
            found = last.layer.fitted_to_target(target, weights)
            _note_units(head.name, found["mean"], found["std"], target, network.dtype)
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
