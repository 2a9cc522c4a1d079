"""The scale of activations and gradients by depth: what shows vanishing and exploding (notes: 'Vanishing / Exploding
Gradients')."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from dslc.ir import Network, Node
from dslc.numerics import Array, np
from dslc.proofs.reference import Arrays, Interpreter
from dslc.shape import show_shape

FACTOR = 1000.0
"""How much smaller or larger than where it comes from a scale may be."""


@dataclass(frozen=True)
class Limits:
    """Between which numbers a scale is right."""

    low: float
    high: float

    def verdict(self, scale: float) -> str:
        """`vanishes` or `explodes`; empty where the scale is right."""
        if not math.isfinite(scale) or scale > self.high:
            return "explodes"
        return "vanishes" if scale < self.low else ""


@dataclass(frozen=True)
class LayerScale:
    """One layer: the standard deviation of its output, the share of zeros in it, and of the gradient with respect to it
    the standard deviation and the norm. Both are of one example's loss, and None where the gradient does not come by:
    at the softmax under a cross entropy, and before an augmentation."""

    layer: str
    output: str
    activation: float
    zeros: float
    gradient: float | None
    norm: float | None
    verdict: str


@dataclass(frozen=True)
class Scales:
    """All layers from the input to the output, and the limits that the verdicts go by. Gradients are judged by their
    norm: it does not depend on how many numbers a layer has, and `he` keeps it from layer to layer."""

    layers: tuple[LayerScale, ...]
    activation: Limits
    norm: Limits


def measure(judge: Interpreter, inputs: Mapping[str, Array], targets: Mapping[str, Array]) -> Scales:
    """The scales on one mini-batch, in training mode; of a network without `train`, activations at prediction.

    inputs, targets: arrays (n, *shape) by input and by head.
    """
    network = judge.network
    with np.errstate(all="ignore"):
        values, gradients = _passes(judge, inputs, targets)
        given = max(float(x.std()) for x in inputs.values())
        activation = Limits(min(given, 1.0) / FACTOR, max(given, 1.0) * FACTOR)
        at_loss = max((_norm(gradients[judge.judged(head).name]) for head in network.heads if gradients), default=0.0)
        norm = Limits(at_loss / FACTOR, at_loss * FACTOR)
        layers = [_layer(node, values, gradients, activation, norm) for node in network.nodes]
    return Scales(tuple(layers), activation, norm)


def _passes(judge: Interpreter, inputs: Mapping[str, Array], targets: Mapping[str, Array]) -> tuple[Arrays, Arrays]:
    """Every value, and the gradients of each example's own loss: the network's is their mean."""
    if judge.network.training is None:
        return judge.run(inputs, training=False)[0], {}
    values, slopes = judge.flow(inputs, targets)
    unasked = _unasked(judge.network)
    return values, {name: slope * len(slope) for name, slope in slopes.items() if name not in unasked}


def _unasked(network: Network) -> set[str]:
    """The values whose gradient nobody asks for: those that an augmentation reads, and all before them."""
    found: set[str] = set()
    for node in reversed(network.nodes):
        if node.layer.augments or node.output.name in found:
            found |= {value.name for value in node.inputs}
    return found


def _layer(node: Node, values: Arrays, gradients: Arrays, activation: Limits, norm: Limits) -> LayerScale:
    y, gradient = values[node.output.name], gradients.get(node.output.name)
    deviation, zeros = float(y.std()), float((y == 0).mean())
    shape = show_shape(node.output.shape)
    if gradient is None:
        return LayerScale(node.name, shape, deviation, zeros, None, None, _verdict(activation.verdict(deviation), ""))
    length = _norm(gradient)
    verdict = _verdict(activation.verdict(deviation), norm.verdict(length))
    return LayerScale(node.name, shape, deviation, zeros, float(gradient.std()), length, verdict)


def _norm(gradient: Array) -> float:
    """The root of the mean, over the examples, of the squared norms."""
    return float(np.sqrt((gradient**2).sum() / len(gradient)))


def _verdict(activation: str, gradient: str) -> str:
    found = [f"{what} {word}" for what, word in (("activation", activation), ("gradient", gradient)) if word]
    return ", ".join(found) or "ok"
